"""Pages: every resource once, in order, however the list is walked."""

import base64
import re
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import InsertOne

from tests.support.query_model import ATTRIBUTES, BODIES, documents_of, scalar_values
from tmf_apis.errors import InvalidQuery
from tmf_apis.rest.query.filtering import all_of
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


def asked(sort="", settings=SETTINGS, **parameters):
    return page_from_parameters(parameters, keys(sort), settings)


def read(things, part):
    """A page as a handler reads it: its documents, and whether there was more."""
    found = (
        things.find(all_of({"tenant": "t"}, part.cursor_clause)).sort(part.sort).skip(part.offset)
    )
    return part.cut(list(found.limit(part.fetch)) if part.fetch else [])


def walk(things, sort, limit, *, way="after"):
    """The ids of each page, going by cursor as long as there is more."""
    parameters = {way: ""}
    while True:
        part = asked(sort, limit=str(limit), **parameters)
        documents, more = read(things, part)
        yield [one["id"] for one in documents]
        if not more:
            return
        edge = documents[-1] if way == "after" else documents[0]
        parameters = {way: cursor(edge, part.keys)}


def links(header):
    """Relation -> the arguments of its URL."""
    found = re.findall(r'<([^>]*)>; rel="(\w+)"', header)
    return {rel: parse_qsl(urlsplit(url).query, keep_blank_values=True) for url, rel in found}


def test_without_parameters_it_is_the_first_page_of_the_servers_size():
    part = asked()
    assert (part.limit, part.offset, part.is_explicit, part.is_cursor_page) == (
        100,
        0,
        False,
        False,
    )
    assert (part.cursor_clause, part.sort, part.fetch_limit) == ({}, [("_id", 1)], 100)


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "-1"}, {"limit": "x"}, {"limit": ""}, {"limit": "1001"}, {"limit": "1.5"},
        {"limit": "٣"}, {"limit": "9" * 5000}, {"limit": " 1"}, {"offset": "-1"}, {"offset": "x"},
        {"offset": "100001"}, {"offset": "1e3"}, {"after": "", "before": ""},
        {"after": "", "offset": "0"}, {"limit": "1\0"},
    ],
)  # fmt: skip
def test_an_impossible_page_is_refused(parameters):
    with pytest.raises(InvalidQuery):
        asked(**parameters)


def coded(value):
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "x", "====", "%00", "\0", "é", "\ud800", "x" * 10_000, coded(b"\xff\xfe"), coded({}),
        coded([]), coded(["t:1"]), coded([1, 2, 3]), coded([1, None]), coded(["1", "t:1"]),
        coded([True, "t:1"]), coded([{"$gt": 1}, "t:1"]), coded([[1], "t:1"]),
        coded([1, {"$ne": 1}]), coded(b"[1e999,1]"), coded(b'[18446744073709551615,"t:1"]'),
        coded(b"[" * 1000), coded(b"null"), coded(b'[NaN,"t:1"]'), coded(b'["\\ud800","t:1"]'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("way", ["after", "before"])
def test_a_hostile_cursor_is_refused(text, way):
    with pytest.raises(InvalidQuery, match="cursor"):
        asked("count", **{way: text})


def test_a_cursor_of_another_sort_is_refused():
    made = cursor({"_id": "t:1", "body": {"name": "x"}}, keys("name"))
    assert asked("name", after=made).after == ("x", "t:1")
    for other in ("count", "flag", "name,count", "", "characteristic.value"):
        with pytest.raises(InvalidQuery, match="cursor"):
            asked(other, after=made)


def test_a_sort_by_something_with_several_values_has_no_cursor():
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
def test_a_part_that_was_asked_for_is_206(parameters, count, total, expected):
    assert page_status(asked(**parameters), count, total, SETTINGS) == expected
    always_ok = Settings(partial_status=200)
    assert page_status(asked(**parameters), count, total, always_ok) == 200


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
    assert asked(**parameters).provable_total(count) == total


def shown(parameters, count, total, **more):
    return PageResult(page=asked(**parameters), count=count, total=total, **more)


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
    header = link_header(URL, [], shown(parameters, count, total), SETTINGS)
    assert {rel: dict(arguments)["offset"] for rel, arguments in links(header).items()} == expected


def test_links_keep_the_query():
    query = [("name", "a&b,ü"), ("count>5", ""), ("limit", "2"), ("offset", "2"), ("name", "c")]
    header = link_header(URL, query, shown({"limit": "2", "offset": "2"}, 2, 9), SETTINGS)
    kept = [("name", "a&b,ü"), ("count>5", ""), ("name", "c")]
    assert links(header)["next"] == [*kept, ("offset", "4"), ("limit", "2")]
    assert header.startswith(f"<{URL}?")
    assert header.isascii()


def test_behind_the_largest_offset_links_go_by_cursor():
    limits = Settings(offset_limit=10)
    part = page_from_parameters({"limit": "5", "offset": "10"}, keys(), limits)
    deep = PageResult(page=part, count=5, total=99, first_cursor="F", last_cursor="L")
    led = links(link_header(URL, [], deep, limits))
    assert led["next"] == [("after", "L"), ("limit", "5")]
    assert led["last"] == [("before", ""), ("limit", "5")]
    lost = PageResult(page=part, count=5, total=99)
    assert "next" not in links(link_header(URL, [], lost, limits))


@pytest.mark.parametrize(
    ("way", "more", "expected"),
    [
        ({"after": ""}, True, {"first", "next", "last"}),
        ({"after": ""}, False, {"first", "last"}),
        ({"after": coded(["t:1"])}, True, {"first", "prev", "next", "last"}),
        ({"after": coded(["t:1"])}, False, {"first", "prev", "last"}),
        ({"before": ""}, True, {"first", "prev", "last"}),
        ({"before": coded(["t:1"])}, True, {"first", "prev", "next", "last"}),
        ({"before": coded(["t:1"])}, False, {"first", "next", "last"}),
    ],
)
def test_by_cursor_links_go_by_cursor(way, more, expected):
    answered = shown(way | {"limit": "2"}, 2, 9, more=more, first="F", last="L")
    led = links(link_header(URL, [("name", "x"), *way.items()], answered, SETTINGS))
    assert set(led) == expected
    places = {"first": ("after", ""), "prev": ("before", "F"), "next": ("after", "L"),
              "last": ("before", "")}  # fmt: skip
    for rel, arguments in led.items():
        assert arguments == [("name", "x"), places[rel], ("limit", "2")]


def test_an_empty_page_by_cursor_leads_to_the_ends():
    answered = shown({"after": coded(["t:1"])}, 0, 9)
    assert set(links(link_header(URL, [], answered, SETTINGS))) == {"first", "last"}


_SORTS = ("name", "count", "amount", "flag", "since", "part.name", "part.size", "id")


@st.composite
def sorts(draw):
    names = draw(st.lists(st.sampled_from(_SORTS), max_size=3, unique=True))
    return ",".join(draw(st.sampled_from(["", "-", "+"])) + name for name in names)


def in_order(documents, sort):
    """The ids of the documents as plain Python sorts them; what is missing comes first."""
    ordered = sorted(documents, key=lambda one: one["id"])
    for name in reversed(sort.split(",") if sort else []):
        path = name.lstrip("+-")

        def place(document, path=path):
            found = [document["id"]] if path == "id" else scalar_values(document["body"], path)
            return (1, found[0]) if found else (0, 0)

        ordered.sort(key=place, reverse=name.startswith("-"))
    return [one["id"] for one in ordered]


_WALKS = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_WALKS
@given(bodies=st.lists(BODIES, min_size=1, max_size=12), sort=sorts(), limit=st.integers(1, 5))
def test_a_walk_visits_every_resource_once_and_in_order(database, bodies, sort, limit):
    things, documents = database["Thing"], documents_of(bodies)
    things.delete_many({})
    things.insert_many([*documents, {"_id": "u:1", "tenant": "u", "id": "x", "body": {}}])
    expected = in_order(documents, sort)

    forwards = [id for part in walk(things, sort, limit) for id in part]
    backwards = [
        id for part in reversed(list(walk(things, sort, limit, way="before"))) for id in part
    ]
    by_offset = [
        one["id"]
        for offset in range(0, len(documents), limit)
        for one in read(things, asked(sort, limit=str(limit), offset=str(offset)))[0]
    ]

    assert forwards == expected
    assert backwards == expected
    assert by_offset == expected


@_WALKS
@given(
    bodies=st.lists(BODIES, min_size=4, max_size=10),
    late=st.lists(BODIES, min_size=1, max_size=4),
    sort=sorts(),
    data=st.data(),
)
def test_a_walk_is_not_disturbed_by_inserts_and_deletes(database, bodies, late, sort, data):
    things, documents = database["Thing"], documents_of(bodies)
    things.delete_many({})
    things.insert_many(documents)
    expected = in_order(documents, sort)

    steps = walk(things, sort, 2)
    seen = next(steps)
    gone = data.draw(st.sampled_from(seen))
    things.delete_one({"id": gone})
    added = [
        {"_id": f"t:9{number}", "tenant": "t", "id": f"9{number}", "body": body}
        for number, body in enumerate(late)
    ]
    things.bulk_write([InsertOne(one) for one in added])
    seen += [id for part in steps for id in part]

    assert [id for id in seen if not id.startswith("9")] == expected
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("sort", ["", "-id", "name", "-name", "count,-name", "-count"])
@pytest.mark.parametrize("way", ["after", "before"])
def test_a_deep_page_reads_no_more_than_the_first(database, sort, way):
    things = database["Thing"]
    index = [("tenant", 1), *asked(sort).sort]
    things.create_index(index)
    things.insert_many(
        {"_id": f"t:{n:05}", "tenant": "t", "id": f"{n:05}", "body": body}
        for n in range(3000)
        for body in [{"name": f"{n % 1500:05}", "count": n % 2} if n % 3 else {}]
    )
    middle = things.find({"tenant": "t"}).sort(asked(sort).sort).skip(1500).limit(1).next()
    part = asked(sort, limit="10", **{way: cursor(middle, keys(sort))})
    plan = (
        things.find(all_of({"tenant": "t"}, part.cursor_clause))
        .sort(part.sort)
        .limit(part.fetch_limit)
    )
    stats = plan.explain()["executionStats"]
    assert stats["nReturned"] == 11
    assert stats["totalKeysExamined"] <= 60
    assert stats["totalDocsExamined"] <= 40
