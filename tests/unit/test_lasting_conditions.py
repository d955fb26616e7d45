"""A condition is logged when it begins and when it ends, however often it is found."""

import ast
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import ROOT
from tmf_apis.lasting_conditions import LastingCondition

LOG = logging.getLogger("tests.lasting_conditions")
#: Packages that serve requests or commands: what they log, a client has caused once.
ON_REQUEST = {"rest", "console", "element_cli", "bulk_load", "demo"}
MODULES = [
    path
    for path in sorted((ROOT / "tmf_apis").rglob("*.py"))
    if path.relative_to(ROOT / "tmf_apis").parts[0] not in ON_REQUEST
]


class Lines(logging.Handler):
    """Keeps the messages of log lines with their subjects."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append((record.getMessage(), record.element))


@pytest.fixture(scope="module")
def handler():
    handler = Lines()
    LOG.addHandler(handler)
    LOG.propagate = False
    yield handler
    LOG.removeHandler(handler)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans())))
def test_a_condition_of_a_subject_is_logged_when_it_begins_and_when_it_ends(handler, observations):
    handler.lines.clear()
    condition = LastingCondition(LOG, "begins", "ends")
    expected, holding = [], set()
    for subject, holds in observations:
        if holds != (subject in holding):
            expected.append(("begins" if holds else "ends", subject))
        holding = holding | {subject} if holds else holding - {subject}
        (condition.report if holds else condition.clear)(subject, element=subject)
    assert handler.lines == expected


def test_another_cause_of_a_condition_is_logged_once(handler):
    handler.lines.clear()
    condition = LastingCondition(LOG, "begins", "ends")
    for cause in ("no credentials", "wrong key", "no credentials", "wrong key"):
        condition.report("gw", cause=cause, element=cause)
    assert handler.lines == [("begins", "no credentials"), ("begins", "wrong key")]


def test_the_conditions_of_subjects_that_are_gone_are_forgotten(handler):
    handler.lines.clear()
    condition = LastingCondition(LOG, "begins", "ends")
    condition.report("gone", element="gone")
    condition.forget_others(["gw"])
    condition.clear("gone", element="gone")
    assert handler.lines == [("begins", "gone")]


def lines_in_loops(path):
    """Return the numbers of log calls below an ``except`` in a ``while`` loop.

    Errors and tracebacks that repeat are limited by ``tmf_apis.repeated_errors``.
    """
    loops = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if
             isinstance(node, ast.While)]  # fmt: skip
    handlers = (node for loop in loops for node in ast.walk(loop) if
                isinstance(node, ast.ExceptHandler))  # fmt: skip
    calls = (node for handler in handlers for node in ast.walk(handler) if
             isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))  # fmt: skip
    return [
        call.lineno
        for call in calls
        if call.func.attr in {"info", "warning"} and getattr(call.func.value, "id", "") == "log"
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_loop_logs_a_condition_once_and_not_in_every_round(path):
    assert lines_in_loops(path) == [], "use LastingCondition"
