"""Names and sentences are in the field's words: no private metaphors, no pronouns, no riddles."""

import ast
import re

import pytest

from tests.support.paths import ROOT

SOURCES = sorted(
    path
    for folder in ("tmf_apis", "adapters", "tests", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
#: A variable, parameter or attribute is called what it is.
PRONOUNS = {"it", "one", "ones", "another", "found", "said", "told", "some", "many"}
#: A function is a verb, a noun or a predicate; these alone are neither.
PARTICIPLES = {
    *("asked", "begun", "called", "changed", "chosen", "done", "ended", "found", "given", "gone"),
    *("heard", "held", "kept", "known", "left", "looked", "lost", "made", "meant", "noted"),
    *("read_", "said", "seen", "sent", "shown", "taken", "thought", "told", "took", "used"),
    *("wanted", "written"),
}
#: Openings of a docstring that hide the thing that it is about.
RIDDLES = re.compile(
    r"(?:Return|Yield|Give|Say) (?:what|whether what|how it|who|whom|whose|where it)\b|"
    r"(?:What|Who|Whom|Whose|Where|When|How|Whether|Which) "
)


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def bound_names(tree):
    """Yield line and name of each variable, parameter and attribute that a module binds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def definitions(tree):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_name_is_a_pronoun_or_a_bare_participle(path):
    tree = ast.parse(path.read_text("utf-8"))
    names = [(line, name) for line, name in bound_names(tree) if name.strip("_") in PRONOUNS]
    names += [
        (node.lineno, node.name)
        for node in definitions(tree)
        if node.name.strip("_") in PRONOUNS | PARTICIPLES
    ]
    assert names == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_docstring_opens_with_a_riddle(path):
    tree = ast.parse(path.read_text("utf-8"))
    openings = [
        (getattr(node, "lineno", 1), text.splitlines()[0])
        for node in (tree, *definitions(tree))
        if (text := ast.get_docstring(node)) and RIDDLES.match(text)
    ]
    assert openings == []
