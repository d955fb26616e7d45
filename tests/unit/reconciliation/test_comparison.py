"""Comparison of the services in the inventory with those on an element."""

import pytest

from adapters.values import Observed
from tmf_apis.reconciliation.comparison import (
    IN_DOUBT,
    MISSING_ON_ELEMENT,
    PORT_DIFFERS,
    PORT_GONE,
    SETTING_DIFFERS,
    UNKNOWN_ON_ELEMENT,
    compare,
)
from tmf_apis.reconciliation.expected_state import ExpectedService, ExpectedState

SPEEDS = {"downstream": 100_000_000, "upstream": 20_000_000}


def expected(service, port="p1", *, settings=SPEEDS, resource=None, **attributes):
    resource = resource or {"id": f"r-{port}"}
    return ExpectedService(service, port, settings, resource, **attributes)


def observed(service, port="p1", **settings):
    return Observed(service, port, {**SPEEDS, **settings}, up=True)


def difference_types(state, *observations, ports=None):
    return [difference.type for difference in compare(state, observations, ports)]


@pytest.mark.parametrize(
    ("state", "observations", "ports", "types"),
    [
        (ExpectedState(), [], None, []),
        (ExpectedState([expected("s")]), [observed("s")], None, []),
        (ExpectedState([expected("s")]), [], {"p1"}, [MISSING_ON_ELEMENT]),
        (ExpectedState([expected("s")]), [], {"p2"}, [PORT_GONE]),
        (ExpectedState([expected("s")]), [observed("s", upstream=1)], None, [SETTING_DIFFERS]),
        (ExpectedState([expected("s")]), [observed("s", "p2")], None, [PORT_DIFFERS]),
        (ExpectedState(), [observed("s")], None, [UNKNOWN_ON_ELEMENT]),
        (
            ExpectedState([expected("s", state="terminated")]),
            [observed("s")],
            None,
            [UNKNOWN_ON_ELEMENT],
        ),
        (ExpectedState([expected("s", state="terminated")]), [], None, [IN_DOUBT]),
        (
            ExpectedState([expected("s"), expected("s", "p2")]),
            [observed("s")],
            None,
            [IN_DOUBT, IN_DOUBT],
        ),
        (ExpectedState([expected("s")]), [observed("s"), observed("s", "p2")], None, [IN_DOUBT]),
        (
            ExpectedState([expected("a"), expected("b")]),
            [observed("a")],
            None,
            [IN_DOUBT, IN_DOUBT],
        ),
        (
            ExpectedState([expected("a")]),
            [observed("b")],
            {"p1"},
            [MISSING_ON_ELEMENT, UNKNOWN_ON_ELEMENT],
        ),
        (
            ExpectedState([expected("s", resource={"id": "r", "unknownStatus": True})]),
            [observed("s")],
            None,
            [IN_DOUBT],
        ),
        (ExpectedState(ports_in_doubt={"p1": {"id": "r"}}), [], None, [IN_DOUBT]),
        (ExpectedState(held_ports={"p1"}), [observed("s")], None, []),
        (ExpectedState(services_in_flight={"s"}), [observed("s", "p7")], None, []),
        (ExpectedState([expected("s", settings={})]), [observed("s")], None, []),
    ],
)
def test_each_type_of_difference_is_recognised(state, observations, ports, types):
    ports = frozenset(ports) if ports else None
    assert difference_types(state, *observations, ports=ports) == types


def test_a_setting_that_the_element_does_not_report_is_no_difference():
    state = ExpectedState([expected("s", settings={**SPEEDS, "colour": "blue"})])
    assert difference_types(state, observed("s")) == []


def test_a_difference_has_the_expected_and_the_observed_values():
    (difference,) = compare(ExpectedState([expected("s")]), [observed("s", downstream=5)])
    assert difference.message == "downstream is 5 instead of 100000000"
    values = difference.expected["downstream"], difference.observed["downstream"]
    assert values == (100_000_000, 5)
