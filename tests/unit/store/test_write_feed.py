"""The feeds in which processes tell each other what they have written."""

from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.store.shared_state import FEED_BYTES, Cell, SharedState
from tmf_apis.store.write_feed import WriteFeed

ENTRIES = st.lists(
    st.tuples(st.sampled_from(["Category", "Customer"]), st.text(), st.text(), st.integers(-1, 1)),
    max_size=20,
)


def feeds(count=2, start=0):
    """Return a feed for each process; that of the first is at a position of its ring."""
    supervisor = SharedState.create(count)
    states = [SharedState(supervisor.file, count, number) for number in range(1, count + 1)]
    states[0].set(Cell.FEED_HEAD, start)
    return [WriteFeed(state) for state in states], states


@given(st.lists(ENTRIES, max_size=4), st.integers(0, 3 * FEED_BYTES))
def test_a_sibling_reads_every_entry_once_and_in_order(batches, start):
    (writer, reader), _ = feeds(start=start)
    for batch in batches:
        for entry in batch:
            writer.publish(entry)
        assert reader.has_news is bool(batch)
        assert list(reader.read()) == batch
    assert not reader.has_news
    assert not writer.has_news


def test_entries_at_the_end_of_the_ring_are_whole():
    (writer, reader), _ = feeds(start=FEED_BYTES - 10)
    writer.publish(("Category", "default:1", "default", 1))
    assert list(reader.read()) == [("Category", "default:1", "default", 1)]


def test_a_reader_that_is_more_than_a_ring_behind_learns_that_it_missed_entries():
    (writer, reader), _ = feeds()
    for number in range(FEED_BYTES // 1000 + 10):
        writer.publish(("Category", f"{number}" + "x" * 1000, "default", 1))
    assert reader.read() is None
    writer.publish(("Category", "last", "default", 1))
    assert list(reader.read()) == [("Category", "last", "default", 1)]


def test_an_entry_that_a_killed_process_began_is_not_read():
    (writer, reader), states = feeds()
    writer.publish(("Category", "whole", "default", 1))
    states[0].set(Cell.FEED_RESERVED, states[0].get(Cell.FEED_HEAD) + 50)
    restarted = WriteFeed(states[0])
    restarted.publish(("Category", "next", "default", 1))
    assert [entry[1] for entry in reader.read()] == ["whole", "next"]


def test_entries_of_all_siblings_are_read():
    processes, _ = feeds(3)
    for number, feed in enumerate(processes):
        feed.publish(("Category", str(number), "default", 1))
    assert {entry[1] for entry in processes[0].read()} == {"1", "2"}
    assert {entry[1] for entry in processes[1].read()} == {"0", "2"}
