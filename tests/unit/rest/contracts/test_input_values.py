"""Texts, times and currencies of every contract: what is accepted, and what is refused."""

import json
import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.body_factory import TIME, BodyFactory
from tests.support.body_values import paths_to, with_value
from tests.support.contract_collections import COLLECTIONS, CONTRACTS, validators
from tmf_apis.errors import InvalidBody
from tmf_apis.rest.contracts import texts
from tmf_apis.rest.contracts.currencies import CURRENCIES
from tmf_apis.rest.contracts.dates import (
    DateNormalizer,
    accepted_timestamp,
    canonical_timestamp,
    is_timestamp,
    rfc3339,
)
from tmf_apis.rest.contracts.texts import check_texts, may_violate
from tmf_apis.settings import Settings

SETTINGS = Settings()
CREATED = [c for c in COLLECTIONS if "create" in c.operations]
WRONG_TIMES = [
    "2026-01-01T10:00:00", "2026-01-01T10:00:00.000", "2026-12-31T23:59:60Z",
    "2026-01-01T24:00:00Z", "2026-01-01T10:60:00Z", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z",
    "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-00:01", "0001-01-01T00:00:00+00:01",
    "10000-01-01T00:00:00Z", "2026-01-01", "2026-01-01T10:00:00+25:00", "2026-01-01T10:00:00Z ",
    "2026-01-01T10:00:00Z\n", "now", "", "2026-01-01T10:00:00\u0660Z",
]  # fmt: skip
WRONG_CURRENCIES = [
    "euros!!",
    "",
    "EURO",
    "eur",
    "EU",
    "E\u00dcR",
    "ZZZ",
    "EUR ",
    "EUR\n",
    "\u20ac",
    "978",
]


def accept(collection, body):
    """Check a body as POST does and return it with its times in the stored form."""
    operation, contract = collection.operations["create"], collection.contract
    dates = DateNormalizer(contract.document, accept_minutes=contract.version == "v4")
    body = dates.normalise(operation.schema, body)
    validators(contract).check(operation.body_schema, body)
    check_texts(body, SETTINGS)
    return body


def full_body(collection):
    return BodyFactory(collection.contract).full(collection.operations["create"].body_schema)


def is_refused(collection, body):
    try:
        accept(collection, body)
    except InvalidBody:
        return True
    return False


@pytest.mark.parametrize("collection", CREATED, ids=str)
def test_every_time_of_a_contract_is_checked_and_stored_in_utc(collection):
    body = full_body(collection)
    accept(collection, body)
    for path in paths_to(body, lambda _, value: value == TIME):
        for wrong in WRONG_TIMES:
            assert is_refused(collection, with_value(body, path, wrong)), (path, wrong)
        stored = accept(collection, with_value(body, path, "2026-01-01T12:00:00+02:00"))
        assert list(paths_to(stored, lambda _, v: v == "2026-01-01T10:00:00.000Z")) == [path]


@pytest.mark.parametrize("collection", CREATED, ids=str)
def test_only_version_4_accepts_times_without_seconds_and_offset(collection):
    body = full_body(collection)
    for path in paths_to(body, lambda _, value: value == TIME):
        example = with_value(body, path, "2017-08-23T00:00")
        assert is_refused(collection, example) is collection.is_v5


def test_every_amount_of_money_of_a_contract_has_a_currency():
    contracts = {
        contract.base_path: contract
        for contract in CONTRACTS
        if "Money" in contract.document["components"]["schemas"]
    }
    assert {"TMF620", "TMF622", "TMF678"} <= {c.number for c in contracts.values()}
    for contract in contracts.values():
        check = validators(contract).check_partial
        for wrong in WRONG_CURRENCIES:
            with pytest.raises(InvalidBody, match=r"/unit: .*ISO 4217, such as EUR"):
                check("Money", {"unit": wrong, "value": 1})
        for right in ("EUR", "USD", "XXX", "DEM"):
            check("Money", {"unit": right, "value": 1})


def test_no_other_schema_of_a_contract_describes_a_currency():
    for contract in CONTRACTS:
        for name, schema in contract.document["components"]["schemas"].items():
            for attribute, node in schema.get("properties", {}).items():
                if "Currency as a code" in node.get("description", ""):
                    assert (name, attribute) == ("Money", "unit")


@pytest.mark.parametrize("collection", CREATED, ids=str)
def test_no_text_of_a_contract_has_a_control_character(collection):
    body = full_body(collection)
    for path in paths_to(body, lambda _, value: isinstance(value, str)):
        text = "".join(str(part) for part in path[-1:])
        for character in ("\0", "\x1b", "\x7f", "\x9b"):
            with pytest.raises(InvalidBody, match=f"U\\+{ord(character):04X}"):
                check_texts(with_value(body, path, f"{text}{character}"), SETTINGS)


def test_the_limits_of_names_and_embedded_files_follow_the_contracts():
    files, links = set(), set()
    for collection in CREATED:
        for schema in collection.contract.document["components"]["schemas"].values():
            for part in (schema, *schema.get("allOf", ())):
                for name, node in part.get("properties", {}).items():
                    files |= {name} if node.get("format") == "base64" else set()
                    links |= {name} if node.get("format") == "uri" else set()
    assert files == texts.EMBEDDED_FILES
    assert all(texts.LINK.fullmatch(name) for name in links)
    assert all(texts.SINGLE_LINE.fullmatch(name) for name in links)
    assert not texts.SINGLE_LINE.fullmatch("description")
    assert not texts.SINGLE_LINE.fullmatch("value")


NAMES = st.sampled_from(
    ["id", "name", "href", "@type", "description", "value", "text", "content", "externalId", "x"]
)
CHARACTERS = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    "\0\t\n\r\x1b\x7f\x85\u202e\u2066"
)
TEXTS = st.text(CHARACTERS, max_size=20) | st.integers(1, 70_000).map(lambda n: "\u00e9" * n)
RESOURCES = st.recursive(
    st.dictionaries(NAMES, TEXTS | st.integers(), max_size=3),
    lambda inner: st.dictionaries(NAMES, inner | st.lists(inner | TEXTS, max_size=2), max_size=3),
    max_leaves=5,
)


def is_violation(name, text):
    """Return whether a text breaks a rule; written independently of the code."""
    is_name = name in {"id", "name", "href", "@type", "externalId"}
    forbidden = {c for c in text if ord(c) < 32 or 127 <= ord(c) < 160}
    if is_name:
        forbidden |= {c for c in text if c in "\u2028\u2029\u202a\u202b\u202c\u202d\u202e"
                      "\u2066\u2067\u2068\u2069"}  # fmt: skip
    else:
        forbidden -= set("\t\n\r")
    limit = 1024 if is_name and name != "href" else 65_536
    return bool(forbidden) or (len(text) > limit and name != "content")


def texts_of(value, name=""):
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from texts_of(member, key)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item, name)


@given(RESOURCES, st.booleans())
def test_exactly_the_violations_are_refused_and_the_search_in_the_raw_text_misses_none(
    resource, ascii_only
):
    raw = json.dumps(resource, ensure_ascii=ascii_only).encode()
    expected = any(is_violation(name, text) for name, text in texts_of(resource))
    try:
        check_texts(resource, SETTINGS)
    except InvalidBody:
        assert expected
        assert may_violate(raw, SETTINGS)
    else:
        assert not expected


def test_texts_of_an_earlier_release_stay_while_other_attributes_change():
    before = {"name": "a\nb", "note": [{"text": "\x07"}], "description": "x"}
    changed = {"note": [{"text": "\x07"}, {"text": "new"}]}
    check_texts(changed, SETTINGS, before)
    with pytest.raises(InvalidBody, match=r"/note/1/text: the character U\+0008"):
        check_texts({"note": [{"text": "\x07"}, {"text": "\x08"}]}, SETTINGS, before)
    with pytest.raises(InvalidBody):
        check_texts({"description": "\x07", "name": "a\nb\n"}, SETTINGS, before)


@pytest.mark.parametrize("link", ["javascript:alert(1)", " JAVASCRIPT:x", "data:text/html,x",
                                  "vbscript:x"])  # fmt: skip
@pytest.mark.parametrize("name", ["href", "url", "callback", "@schemaLocation", "orderHref"])
def test_a_link_cannot_be_a_script(name, link):
    with pytest.raises(InvalidBody, match="scheme"):
        check_texts({"ref": [{name: link}]}, SETTINGS)
    check_texts({"description": link}, SETTINGS)


@given(st.datetimes())
def test_every_time_has_a_stored_form_of_fixed_length(instant):
    stored = rfc3339(instant)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stored)
    assert canonical_timestamp(stored) == stored
    assert datetime.fromisoformat(stored).replace(tzinfo=None) <= instant


@given(st.text(st.sampled_from("0123456789-:TtZz+. "), max_size=30))
def test_no_text_makes_the_check_of_times_fail(text):
    assert is_timestamp(text) is (accepted_timestamp(text, accept_minutes=False) is not None)


def test_every_currency_has_three_capital_letters():
    assert all(re.fullmatch("[A-Z]{3}", code) for code in CURRENCIES)
