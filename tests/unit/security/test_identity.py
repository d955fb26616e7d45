"""Staff, parties and nobody: nobody is never treated as staff."""

import ast

import pytest

from tests.support.paths import ROOT
from tmf_apis.errors import Forbidden
from tmf_apis.security.identity import EVERYONE, Identity

SOURCES = sorted((ROOT / "tmf_apis").rglob("*.py"))
#: Names of sets of parties, whose truth value is false both for staff and for nobody.
NAMES = {"parties", "owners"}


def conditions(tree):
    """Yield the expressions whose truth value decides something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            yield node.test
        elif isinstance(node, ast.BoolOp):
            yield from node.values
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node.operand
        elif isinstance(node, ast.comprehension):
            yield from node.ifs


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_truth_value_of_the_parties_of_a_client_decides_nothing(path):
    """``if parties`` takes a client that acts for nobody for staff; ask ``is_staff``."""
    tree = ast.parse(path.read_text("utf-8"))
    tested = [
        node.lineno
        for node in conditions(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in NAMES
        and not (isinstance(node.value, ast.Name) and node.value.id == "policy")
    ]
    assert tested == []


def test_nobody_is_not_staff_and_owns_nothing():
    nobody, staff = Identity("x", "acme", frozenset()), Identity("x", "acme")
    assert (nobody.is_staff, nobody.owners) == (False, [])
    assert (staff.is_staff, staff.owners) == (True, None)
    staff.require_owner()
    with pytest.raises(Forbidden):
        nobody.require_owner()


def test_everyone_is_not_a_party():
    with pytest.raises(ValueError, match=r"\*"):
        Identity("x", "acme", frozenset({"a", EVERYONE}))
