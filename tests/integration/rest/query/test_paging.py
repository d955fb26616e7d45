"""Every resource is on exactly one page, in order, by offset and by cursor in both directions."""

from operator import itemgetter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import InsertOne

from tests.support.query_model import ATTRIBUTES, BODIES, documents_of, scalar_values
from tmf_apis.rest.query.filtering import all_of
from tmf_apis.rest.query.paging import cursor, page_from_parameters
from tmf_apis.rest.query.sorting import sort_keys
from tmf_apis.settings import Settings


def keys(text=""):
    return sort_keys(text, ATTRIBUTES)


def page_of(sort="", **parameters):
    return page_from_parameters(parameters, keys(sort), Settings())


def read_page(things, page):
    """Return the documents of a page, and whether there are more, as a handler reads them."""
    documents = things.find(all_of({"tenant": "t"}, page.cursor_clause)).sort(page.sort)
    documents = documents.skip(page.offset).limit(page.fetch_limit)
    return page.page_items(list(documents) if page.fetch_limit else [])


def walk(things, sort, limit, *, direction="after"):
    """Yield the ids of each page; the cursors of one page lead to the next."""
    parameters = {direction: ""}
    while True:
        page = page_of(sort, limit=str(limit), **parameters)
        documents, has_more = read_page(things, page)
        yield [document["id"] for document in documents]
        if not has_more:
            return
        edge = documents[-1] if direction == "after" else documents[0]
        parameters = {direction: cursor(edge, page.keys)}


_SORTS = ("name", "count", "amount", "flag", "since", "part.name", "part.size", "id")


@st.composite
def sorts(draw):
    names = draw(st.lists(st.sampled_from(_SORTS), max_size=3, unique=True))
    return ",".join(draw(st.sampled_from(["", "-", "+"])) + name for name in names)


def in_order(documents, sort):
    """Return the ids of the documents as Python sorts them; a missing value is the smallest."""
    ordered = sorted(documents, key=itemgetter("id"))
    for name in reversed(sort.split(",") if sort else []):
        path = name.lstrip("+-")

        def sort_value(document, path=path):
            values = [document["id"]] if path == "id" else scalar_values(document["body"], path)
            return (1, values[0]) if values else (0, 0)

        ordered.sort(key=sort_value, reverse=name.startswith("-"))
    return [document["id"] for document in ordered]


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

    forwards = [id for page in walk(things, sort, limit) for id in page]
    backwards = [
        id for page in reversed(list(walk(things, sort, limit, direction="before"))) for id in page
    ]
    by_offset = [
        document["id"]
        for offset in range(0, len(documents), limit)
        for document in read_page(things, page_of(sort, limit=str(limit), offset=str(offset)))[0]
    ]

    assert forwards == expected
    assert backwards == expected
    assert by_offset == expected


@_WALKS
@given(
    bodies=st.lists(BODIES, min_size=4, max_size=10),
    late_bodies=st.lists(BODIES, min_size=1, max_size=4),
    sort=sorts(),
    data=st.data(),
)
def test_a_walk_is_not_disturbed_by_inserts_and_deletes(database, bodies, late_bodies, sort, data):
    things, documents = database["Thing"], documents_of(bodies)
    things.delete_many({})
    things.insert_many(documents)
    expected = in_order(documents, sort)

    pages = walk(things, sort, 2)
    seen = next(pages)
    deleted_id = data.draw(st.sampled_from(seen))
    things.delete_one({"id": deleted_id})
    inserted = [
        {"_id": f"t:9{number}", "tenant": "t", "id": f"9{number}", "body": body}
        for number, body in enumerate(late_bodies)
    ]
    things.bulk_write([InsertOne(document) for document in inserted])
    seen += [id for page in pages for id in page]

    assert [id for id in seen if not id.startswith("9")] == expected
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("sort", ["", "-id", "name", "-name", "count,-name", "-count"])
@pytest.mark.parametrize("direction", ["after", "before"])
def test_a_deep_page_reads_no_more_than_the_first(database, sort, direction):
    things = database["Thing"]
    index = [("tenant", 1), *page_of(sort).sort]
    things.create_index(index)
    things.insert_many(
        {"_id": f"t:{n:05}", "tenant": "t", "id": f"{n:05}", "body": body}
        for n in range(3000)
        for body in [{"name": f"{n % 1500:05}", "count": n % 2} if n % 3 else {}]
    )
    middle = things.find({"tenant": "t"}).sort(page_of(sort).sort).skip(1500).limit(1).next()
    page = page_of(sort, limit="10", **{direction: cursor(middle, keys(sort))})
    plan = (
        things.find(all_of({"tenant": "t"}, page.cursor_clause))
        .sort(page.sort)
        .limit(page.fetch_limit)
    )
    stats = plan.explain()["executionStats"]
    assert stats["nReturned"] == 11
    assert stats["totalKeysExamined"] <= 60
    assert stats["totalDocsExamined"] <= 40
