"""The glossary names things that exist."""

import importlib
import re

import pytest

from tests.support.paths import ROOT

ROWS = re.findall(
    r"^\| (?!term|---)(.+?) \| .+? \| (.+?) \|$",
    (ROOT / "docs" / "glossary.md").read_text("utf-8"),
    re.MULTILINE,
)
REFERENCES = [(term, name) for term, cell in ROWS for name in re.findall(r"`([\w.:]+)`", cell)]


def test_the_glossary_has_terms():
    assert len(ROWS) > 50


@pytest.mark.parametrize(("term", "name"), REFERENCES, ids=lambda text: text.replace(" ", "-"))
def test_the_class_or_module_of_a_term_exists(term, name):
    module, _, attribute = name.partition(":")
    assert importlib.import_module(module).__doc__, term
    if attribute:
        assert hasattr(importlib.import_module(module), attribute), term


def test_each_term_has_a_standard_or_a_place_in_the_code():
    bare = [term for term, cell in ROWS if not re.search(r"`|TMF\d|RFC|ITU-T|Forum", cell)]
    assert bare == []


def test_terms_are_in_alphabetical_order_within_their_section():
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    for section in text.split("\n## ")[1:]:
        terms = re.findall(r"^\| (?!term|---)(.+?) \|", section, re.MULTILINE)
        assert terms == sorted(terms, key=str.lower)
