"""Ranges of pools: their values, indexes and ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.fulfilment.reservation import pools

RANGES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 99999), st.integers(0, 40)).map(
            lambda first_and_count: f"{first_and_count[0]}-{sum(first_and_count)}"
        ),
        st.integers(0, 255).map(lambda number: f"198.18.{number}.0/29"),
        st.integers(0, 255).map(lambda number: f"2001:db8::{number:x}:0/125"),
    ),
    min_size=1,
    max_size=3,
    unique=True,
).map(",".join)


@given(RANGES)
def test_a_pool_contains_all_its_values_and_each_has_its_own_id(text):
    pool_range = pools.parse_range(text)
    values = pool_range.values()
    assert len(values) == pool_range.size
    assert all(pool_range.contains(value) for value in values)
    ids = {pools.value_resource_id("t", "p", value) for value in values}
    assert len(ids) == len(set(values))


@given(RANGES, st.text())
def test_the_indexes_from_any_seed_are_complete(text, seed):
    pool_range = pools.parse_range(text)
    assert sorted(pool_range.indexes_from(seed)) == list(range(pool_range.size))


@pytest.mark.parametrize("text", ["", " , ", "a-b", "9-3", "198.18.0.0/99", "1-198.18.0.1", "-"])
def test_an_invalid_range_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        pools.parse_range(text)


def test_numbers_keep_their_leading_zeros():
    assert pools.parse_range("0170-0172").values() == ["0170", "0171", "0172"]
    assert not pools.parse_range("0170-0172").contains("170")
