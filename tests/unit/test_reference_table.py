"""docs/references.md has every reference and attribute of the contracts and policies."""

from tests.support.reference_table import DOCUMENT, reference_rows, with_tables
from tmf_apis.rest.pipeline.party_rules import Access

WORDS = {*(access.value for access in Access), "party", "anywhere (catalogue)"}
GENERIC = "see, if it names a kind of this server"


def test_the_tables_are_those_of_the_contracts_and_policies():
    text = DOCUMENT.read_text("utf-8")
    assert with_tables(text) == text, "run: python -m tests.support.reference_table"


def test_every_word_of_the_tables_is_explained():
    text = DOCUMENT.read_text("utf-8")
    for _, path, _, access in reference_rows():
        assert access in WORDS | {GENERIC}, path
        assert access == GENERIC or f"| {access} | " in text, access
