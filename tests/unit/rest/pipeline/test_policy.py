"""Lifecycles, cycles and periods, which all policies use."""

import pytest

from tmf_apis.errors import IllegalTransition, InvalidBody
from tmf_apis.rest.pipeline.cycles import MAX_DEPTH, MAX_NODES, is_reachable
from tmf_apis.rest.pipeline.periods import check_order, check_valid_for
from tmf_apis.rest.pipeline.policy import Lifecycle

TRANSITIONS = {"new": frozenset({"old"}), "old": frozenset(), "gone": frozenset()}
STRICT = Lifecycle("state", TRANSITIONS, ("new", "old"), {"old": frozenset({"gone"})})
OPEN = Lifecycle("state", TRANSITIONS, ("new",), allows_unknown_states=True)
ASSIGNED = Lifecycle("state", TRANSITIONS, ("new",), server_sets_initial=True)


@pytest.mark.parametrize(
    ("lifecycle", "requested", "system", "state"),
    [
        (STRICT, None, False, "new"),
        (STRICT, "old", False, "old"),
        (STRICT, "gone", True, "gone"),
        (OPEN, "anything", False, "anything"),
        (ASSIGNED, "gone", False, "new"),
        (ASSIGNED, "gone", True, "gone"),
    ],
)
def test_a_new_resource_gets_its_initial_state(lifecycle, requested, system, state):
    assert lifecycle.initial_state("Thing", requested, system=system) == state


@pytest.mark.parametrize(
    ("lifecycle", "requested", "system"),
    [(STRICT, "gone", False), (STRICT, "anything", True), (OPEN, "gone", False)],
)
def test_other_initial_states_are_refused(lifecycle, requested, system):
    with pytest.raises(IllegalTransition, match="new"):
        lifecycle.initial_state("Thing", requested, system=system)


def test_a_client_cannot_make_the_transitions_of_the_server():
    assert STRICT.transition("Thing", "old", "gone", system=True) == "gone"
    with pytest.raises(IllegalTransition):
        STRICT.transition("Thing", "old", "gone")


def test_an_open_lifecycle_accepts_unknown_states():
    assert OPEN.transition("Thing", "old", "anything") == "anything"
    assert OPEN.transition("Thing", "anything", "gone") == "gone"


def test_a_lifecycle_has_a_resource_form():
    resource = STRICT.as_resource("Thing")
    assert resource["states"] == ["gone", "new", "old"]
    assert resource["final"] == ["gone"]
    assert (resource["steps"]["new"], resource["system"]) == (["old"], {"old": ["gone"]})


def test_a_graph_that_is_too_deep_or_too_large_counts_as_a_cycle():
    assert is_reachable("x", ["0"], lambda names: {n: [str(int(n) + 1)] for n in names})
    wide = [str(n) for n in range(MAX_NODES + 1)]
    assert is_reachable(
        "x", ["a"], lambda names: {n: wide if n == "a" else ["b" + n] for n in names}
    )


def test_a_goal_outside_the_graph_is_not_reachable():
    deep = {str(n): [str(n + 1)] for n in range(MAX_DEPTH - 2)}
    assert not is_reachable("x", ["0"], lambda names: {n: deep.get(n, []) for n in names})
    assert not is_reachable("x", [], lambda names: pytest.fail(f"fetched {names}"))
    assert not is_reachable("x", ["a"], lambda names: {n: ["a"] for n in names})


def test_a_period_cannot_end_before_it_starts():
    check_order({"a": "2026-01-01T01:00:00+02:00", "b": "2026-01-01T00:00:00Z"}, "a", "b")
    check_order({"a": "2026-01-02T00:00:00Z"}, "a", "b")
    check_order({"a": "2026-01-02T00:00:00Z", "b": "soon"}, "a", "b")
    check_valid_for({"validFor": None})
    with pytest.raises(InvalidBody, match=r"^/validFor/endDateTime: "):
        check_valid_for(
            {
                "validFor": {
                    "startDateTime": "2026-01-02T00:00:00Z",
                    "endDateTime": "2026-01-01T00:00:00Z",
                }
            }
        )
