"""The resource store: minimal updates that check the revision."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tmf_apis.errors import InvalidQuery
from tmf_apis.store.count_cache import CountCache
from tmf_apis.store.resources import ResourceStore

NAMES = st.sampled_from(["a", "b", "@type", "c.d", "c"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([1.0, "x", ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=5,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=4)


@pytest.fixture
def resources(database):
    return ResourceStore(database, CountCache(database), query_time=5000)


def stored(resources, body):
    document = {"_id": "t:1", "tenant": "t", "id": "1", "rev": 1, "body": body, "text": {}}
    resources.collection("Thing").delete_many({})
    resources.insert("Thing", document)
    return resources.find_one("Thing", {"tenant": "t"}, "1", {"rev": 1, "body": 1})


def as_text(value):
    """Return a text in which 1, 1.0 and true differ."""
    return repr(sorted(value.items())) if isinstance(value, dict) else repr(value)


@pytest.fixture
def check(resources):
    def run(before, after):
        old = stored(resources, before)
        assert resources.replace("Thing", old, {"body": after}, [])
        document = resources.find_one("Thing", {"tenant": "t"}, "1", {"rev": 1, "body": 1})
        assert document["rev"] == 2
        assert as_text(document["body"]) == as_text(after)

    return run


def test_any_change_stores_the_new_body(check):
    @settings(deadline=None, max_examples=60)
    @given(BODIES, BODIES)
    def replace(before, after):
        check(before, after)

    replace()


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), (0, False), ("", None)])
def test_values_that_python_considers_equal_are_distinguished(check, before, after):
    check({"a": {"b": before}}, {"a": {"b": after}})


def test_the_second_of_two_writers_is_refused(resources):
    old = stored(resources, {"a": 1})
    assert resources.replace("Thing", old, {"body": {"a": 2}}, [])
    assert not resources.replace("Thing", old, {"body": {"a": 3}}, [])
    assert resources.find_one("Thing", {"tenant": "t"}, "1", {"body": 1})["body"] == {"a": 2}


def test_a_removed_resource_is_neither_found_nor_changed(resources):
    old = stored(resources, {"a": 1})
    assert resources.remove("Thing", old["_id"], old["rev"], [{"id": "e"}])
    assert resources.find_one("Thing", {"tenant": "t"}, "1", {"body": 1}) is None
    assert not resources.replace("Thing", old, {"body": {"a": 2}}, [])


def test_results_of_several_batches_are_read_completely(resources):
    documents = [
        {"_id": f"t:{n:04}", "tenant": "t", "id": str(n), "rev": 1, "body": {"x": "y" * 9000}}
        for n in range(2500)
    ]
    resources.collection("Thing").insert_many(documents)
    assert len(resources.find_many("Thing", {"tenant": "t"})) == 2500


def test_a_page_is_read_up_to_its_bytes(database):
    """Sixteen requests for a thousand resources of 4 MiB must not take all memory."""
    resources = ResourceStore(
        database, CountCache(database), query_time=5000, page_bytes=32 * 2**20
    )
    text = {"v5": "x" * 2**20}
    collection = resources.collection("Large")
    collection.delete_many({})
    collection.insert_many([{"_id": f"{n:03}", "tenant": "t", "text": text} for n in range(60)])
    try:
        assert len(resources.find_many("Large", {}, limit=20, is_page=True)) == 20
        with pytest.raises(InvalidQuery, match="smaller limit"):
            resources.find_many("Large", {}, limit=60, is_page=True)
        assert len(resources.find_many("Large", {}, limit=60)) == 60
        unlimited = ResourceStore(database, CountCache(database), query_time=5000)
        assert len(unlimited.find_many("Large", {}, limit=60, is_page=True)) == 60
    finally:
        collection.drop()
