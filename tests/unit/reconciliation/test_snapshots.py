"""Validation of what an element reports."""

from dataclasses import replace

import pytest

from adapters.values import Component
from tests.support.snapshots import access_port, element_snapshot
from tmf_apis.reconciliation.snapshots import InconsistentSnapshot


@pytest.mark.parametrize("serial", ["N/A", "To Be Filled By O.E.M.", "0000000", "  "])
def test_placeholders_are_no_serial_numbers(serial):
    assert element_snapshot(serial=serial).serial == ""


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        ({"ports": 5000}, "claims 5000 ports"),
        ({"ports": (access_port(),) * 2}, "2 of its ports are called 'p1'"),
        ({"ports": (replace(access_port(), name="x" * 300),)}, "is called"),
        ({"ports": (replace(access_port(), name=""),)}, "is called ''"),
        ({"components": (Component("a", "card"),) * 2}, "2 of its parts"),
    ],
)
def test_contradictory_reports_are_rejected(reported, reason):
    with pytest.raises(InconsistentSnapshot, match=reason):
        element_snapshot(**reported)


def test_texts_are_cut_to_one_printable_line():
    snapshot = element_snapshot("gw\n\x1b[31m" + "x" * 500)
    assert snapshot.facts.name.isprintable()
    assert len(snapshot.facts.name) <= 255


def test_invalid_addresses_are_left_out_and_listed():
    port = replace(access_port(), addresses=("192.0.2.7/24", "<script>"))
    snapshot = element_snapshot(ports=(port,))
    assert snapshot.ports[0].addresses == ("192.0.2.7/24",)
    assert snapshot.anomalies == ("port p1 has the address '<script>'",)
