"""Comparison of the views of a service in the walkthrough."""

from dataclasses import replace

import pytest

from tmf_apis.demo.walkthrough.consistency import ServiceView, is_consistent

PRODUCT = ServiceView("product", "TMF637 product", "active", (100, 40), "Fibre 100")
ELEMENT = ServiceView(
    "element", "element over SNMP", "switched on", (100, 40), "gw sub1", link_up=True
)


def test_views_with_the_states_of_a_condition_are_consistent():
    assert is_consistent([PRODUCT, ELEMENT], "running")


@pytest.mark.parametrize("state", ["switched off", "absent", "other port"])
def test_a_view_with_another_state_is_inconsistent(state):
    assert not is_consistent([PRODUCT, replace(ELEMENT, state=state)], "running")
