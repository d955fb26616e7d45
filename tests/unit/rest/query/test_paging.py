"""Pages, cursors and links of a list."""

import base64
import re
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from tests.support.query_model import ATTRIBUTES
from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.paging import (
    PageResult,
    cursor,
    link_header,
    page_from_parameters,
    page_status,
)
from tmf_apis.rest.query.sorting import sort_keys
from tmf_apis.settings import Settings

SETTINGS = Settings()
URL = "http://here/tmf-api/x"


def keys(text=""):
    return sort_keys(text, ATTRIBUTES)


def page_of(sort="", settings=SETTINGS, **parameters):
    return page_from_parameters(parameters, keys(sort), settings)


def links(header):
    """Return the query parameters of each link by its relation."""
    matches = re.findall(r'<([^>]*)>; rel="(\w+)"', header)
    return {
        relation: parse_qsl(urlsplit(url).query, keep_blank_values=True)
        for url, relation in matches
    }


def test_without_parameters_the_page_is_the_first_of_default_size():
    page = page_of()
    assert (page.limit, page.offset) == (100, 0)
    assert (page.is_explicit, page.is_cursor_page) == (False, False)
    assert (page.cursor_clause, page.sort, page.fetch_limit) == ({}, [("_id", 1)], 100)


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "-1"}, {"limit": "x"}, {"limit": ""}, {"limit": "1.5"}, {"limit": "+5"},
        {"limit": "٣"}, {"limit": "9" * 1001}, {"limit": " 1"}, {"offset": "-1"}, {"offset": "x"},
        {"offset": ""}, {"offset": "1e3"}, {"after": "", "before": ""},
        {"after": "", "offset": "0"}, {"limit": "1\0"},
    ],
)  # fmt: skip
def test_invalid_paging_parameters_are_refused(parameters):
    with pytest.raises(InvalidQuery):
        page_of(**parameters)


def token(value):
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "x", "====", "%00", "\0", "é", "\ud800", "x" * 10_000, token(b"\xff\xfe"), token({}),
        token([]), token(["t:1"]), token([1, 2, 3]), token([1, None]), token(["1", "t:1"]),
        token([True, "t:1"]), token([{"$gt": 1}, "t:1"]), token([[1], "t:1"]),
        token([1, {"$ne": 1}]), token(b"[1e999,1]"), token(b'[18446744073709551615,"t:1"]'),
        token(b"[" * 1000), token(b"null"), token(b'[NaN,"t:1"]'), token(b'["\\ud800","t:1"]'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("parameter", ["after", "before"])
def test_a_hostile_cursor_is_refused(text, parameter):
    with pytest.raises(InvalidQuery, match="cursor"):
        page_of("count", **{parameter: text})


def test_a_cursor_of_another_sort_is_refused():
    name_cursor = cursor({"_id": "t:1", "body": {"name": "x"}}, keys("name"))
    assert page_of("name", after=name_cursor).after == ("x", "t:1")
    for other in ("count", "flag", "name,count", "", "characteristic.value"):
        with pytest.raises(InvalidQuery, match="cursor"):
            page_of(other, after=name_cursor)


def test_a_sort_by_a_multi_valued_attribute_has_no_cursor():
    assert cursor({"_id": "t:1", "body": {"tag": ["a"]}}, keys("tag")) is None
    assert cursor({"_id": "t:1", "body": {"name": ["a"]}}, keys("name")) is None
    assert cursor({"_id": "t:1", "body": [{"name": "a"}]}, keys("name")) is None
    assert cursor({"_id": "t:1", "body": {"name": "x" * 5000}}, keys("name")) is None


@pytest.mark.parametrize(
    ("parameters", "count", "total", "expected"),
    [
        ({}, 100, 500, 200),
        ({}, 3, 3, 200),
        ({"limit": "10"}, 10, 500, 206),
        ({"limit": "10"}, 3, 3, 200),
        ({"offset": "1"}, 2, 3, 206),
        ({"offset": "0"}, 3, 3, 200),
        ({"offset": "9"}, 0, 3, 200),
        ({"limit": "0"}, 0, 3, 200),
        ({"after": ""}, 100, 500, 206),
    ],
)
def test_a_requested_partial_page_is_206(parameters, count, total, expected):
    assert page_status(page_of(**parameters), count, total, SETTINGS) == expected
    always_ok = Settings(partial_status=200)
    assert page_status(page_of(**parameters), count, total, always_ok) == 200


@pytest.mark.parametrize(
    ("parameters", "count", "total"),
    [
        ({}, 3, 3),
        ({}, 0, 0),
        ({}, 100, None),
        ({"offset": "7"}, 3, 10),
        ({"offset": "7"}, 0, None),
        ({"limit": "0"}, 0, None),
        ({"after": ""}, 3, None),
    ],
)
def test_a_short_page_proves_the_total(parameters, count, total):
    assert page_of(**parameters).provable_total(count) == total


def result_of(parameters, count, total, **options):
    return PageResult(page=page_of(**parameters), count=count, total=total, **options)


@pytest.mark.parametrize(
    ("parameters", "count", "total", "expected"),
    [
        ({}, 3, 3, {}),
        ({"limit": "3"}, 3, 3, {}),
        ({"limit": "0"}, 0, 3, {}),
        ({}, 0, 0, {}),
        ({"limit": "2"}, 2, 5, {"first": "0", "next": "2", "last": "4"}),
        (
            {"limit": "2", "offset": "2"},
            2,
            5,
            {"first": "0", "prev": "0", "next": "4", "last": "4"},
        ),
        (
            {"limit": "2", "offset": "1"},
            2,
            5,
            {"first": "0", "prev": "0", "next": "3", "last": "4"},
        ),
        ({"limit": "2", "offset": "4"}, 1, 5, {"first": "0", "prev": "2", "last": "4"}),
        ({"limit": "2", "offset": "99"}, 0, 5, {"first": "0", "prev": "3", "last": "4"}),
    ],
)
def test_links_lead_to_the_other_pages(parameters, count, total, expected):
    header = link_header(URL, [], result_of(parameters, count, total), SETTINGS)
    assert {
        relation: dict(arguments)["offset"] for relation, arguments in links(header).items()
    } == expected


def test_links_keep_the_query():
    query = [("name", "a&b,ü"), ("count>5", ""), ("limit", "2"), ("offset", "2"), ("name", "c")]
    header = link_header(URL, query, result_of({"limit": "2", "offset": "2"}, 2, 9), SETTINGS)
    others = [("name", "a&b,ü"), ("count>5", ""), ("name", "c")]
    assert links(header)["next"] == [*others, ("offset", "4"), ("limit", "2")]
    assert header.startswith(f"<{URL}?")
    assert header.isascii()


def test_links_beyond_the_largest_offset_use_cursors():
    limits = Settings(offset_limit=10)
    page = page_from_parameters({"limit": "5", "offset": "10"}, keys(), limits)
    last_by_offset = PageResult(page=page, count=5, total=99, first_cursor="F", last_cursor="L")
    targets = links(link_header(URL, [], last_by_offset, limits))
    assert targets["next"] == [("after", "L"), ("limit", "5")]
    assert targets["last"] == [("before", ""), ("limit", "5")]
    without_cursors = PageResult(page=page, count=5, total=99)
    assert "next" not in links(link_header(URL, [], without_cursors, limits))


@pytest.mark.parametrize(
    ("parameters", "has_more", "expected"),
    [
        ({"after": ""}, True, {"first", "next", "last"}),
        ({"after": ""}, False, {"first", "last"}),
        ({"after": token(["t:1"])}, True, {"first", "prev", "next", "last"}),
        ({"after": token(["t:1"])}, False, {"first", "prev", "last"}),
        ({"before": ""}, True, {"first", "prev", "last"}),
        ({"before": token(["t:1"])}, True, {"first", "prev", "next", "last"}),
        ({"before": token(["t:1"])}, False, {"first", "next", "last"}),
    ],
)
def test_links_of_a_cursor_page_use_cursors(parameters, has_more, expected):
    result = result_of(
        parameters | {"limit": "2"}, 2, 9, has_more=has_more, first_cursor="F", last_cursor="L"
    )
    targets = links(link_header(URL, [("name", "x"), *parameters.items()], result, SETTINGS))
    assert set(targets) == expected
    cursors = {"first": ("after", ""), "prev": ("before", "F"), "next": ("after", "L"),
              "last": ("before", "")}  # fmt: skip
    for relation, arguments in targets.items():
        assert arguments == [("name", "x"), cursors[relation], ("limit", "2")]


def test_an_empty_cursor_page_links_to_both_ends():
    result = result_of({"after": token(["t:1"])}, 0, 9)
    assert set(links(link_header(URL, [], result, SETTINGS))) == {"first", "last"}


@pytest.mark.parametrize(
    ("sent", "limit"),
    [("0", 0), ("007", 7), ("1000", 1000), ("1001", 1000), ("9" * 30, 1000), ("9" * 999, 1000)],
)
def test_a_limit_above_the_largest_page_is_cut_to_it(sent, limit):
    assert page_of(limit=sent).limit == limit
    header = link_header(URL, [("limit", sent)], result_of({"limit": sent}, limit, 9999), SETTINGS)
    assert all(("limit", str(limit)) in query for query in links(header).values())


@pytest.mark.parametrize("offset", ["100001", "1" + "0" * 30, "9" * 999])
def test_a_deep_offset_is_accepted_only_past_the_end(offset):
    page = page_of(offset=offset)
    assert page.is_deep
    page.check_depth(100_001 if offset == "100001" else 2**40)
    with pytest.raises(InvalidQuery, match=r"from 0 to 100000 in a list of .*; start with after="):
        page.check_depth(2**63)


def test_links_of_an_empty_deep_page_lead_back_into_the_list():
    result = result_of({"limit": "10", "offset": "1" + "0" * 30}, 0, 25)
    assert links(link_header(URL, [], result, SETTINGS))["prev"] == [
        ("offset", "15"), ("limit", "10"),
    ]  # fmt: skip
    long = result_of({"limit": "10", "offset": "1" + "0" * 30}, 0, 200_000)
    assert links(link_header(URL, [], long, SETTINGS))["prev"] == [("before", ""), ("limit", "10")]
