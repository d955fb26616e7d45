"""Lifecycles, cycles and periods: what the law of every room stands on."""

import pytest

from tmf_apis.errors import IllegalTransition, InvalidBody
from tmf_apis.rest.pipeline.cycles import MAX_DEPTH, MAX_NODES, is_reachable
from tmf_apis.rest.pipeline.periods import check_order, check_valid_for
from tmf_apis.rest.pipeline.policy import Lifecycle

STEPS = {"new": frozenset({"old"}), "old": frozenset(), "gone": frozenset()}
STRICT = Lifecycle("state", STEPS, ("new", "old"), {"old": frozenset({"gone"})})
OPEN = Lifecycle("state", STEPS, ("new",), allows_unknown_states=True)
ASSIGNED = Lifecycle("state", STEPS, ("new",), server_sets_initial=True)


@pytest.mark.parametrize(
    ("machine", "wanted", "system", "state"),
    [
        (STRICT, None, False, "new"),
        (STRICT, "old", False, "old"),
        (STRICT, "gone", True, "gone"),
        (OPEN, "anything", False, "anything"),
        (ASSIGNED, "gone", False, "new"),
        (ASSIGNED, "gone", True, "gone"),
    ],
)
def test_a_lifecycle_says_where_a_resource_starts(machine, wanted, system, state):
    assert machine.initial_state("Thing", wanted, system=system) == state


@pytest.mark.parametrize(
    ("machine", "wanted", "system"),
    [(STRICT, "gone", False), (STRICT, "anything", True), (OPEN, "gone", False)],
)
def test_a_resource_does_not_start_anywhere(machine, wanted, system):
    with pytest.raises(IllegalTransition, match="new"):
        machine.initial_state("Thing", wanted, system=system)


def test_the_servers_own_steps_are_not_the_clients():
    assert STRICT.transition("Thing", "old", "gone", system=True) == "gone"
    with pytest.raises(IllegalTransition):
        STRICT.transition("Thing", "old", "gone")


def test_an_open_lifecycle_lets_what_it_does_not_know_come_and_go():
    assert OPEN.transition("Thing", "old", "anything") == "anything"
    assert OPEN.transition("Thing", "anything", "gone") == "gone"


def test_a_lifecycle_is_read_as_a_resource():
    shown = STRICT.as_resource("Thing")
    assert shown["states"] == ["gone", "new", "old"]
    assert shown["final"] == ["gone"]
    assert (shown["steps"]["new"], shown["system"]) == (["old"], {"old": ["gone"]})


def test_a_walk_that_is_too_deep_or_too_wide_is_given_up():
    assert is_reachable("x", ["0"], lambda names: {n: [str(int(n) + 1)] for n in names})
    wide = [str(n) for n in range(MAX_NODES + 1)]
    assert is_reachable(
        "x", ["a"], lambda names: {n: wide if n == "a" else ["b" + n] for n in names}
    )


def test_a_walk_that_ends_before_the_goal_does_not_reach_it():
    deep = {str(n): [str(n + 1)] for n in range(MAX_DEPTH - 2)}
    assert not is_reachable("x", ["0"], lambda names: {n: deep.get(n, []) for n in names})
    assert not is_reachable("x", [], lambda names: pytest.fail(f"asked for {names}"))
    assert not is_reachable("x", ["a"], lambda names: {n: ["a"] for n in names})


def test_a_period_ends_after_it_starts():
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
