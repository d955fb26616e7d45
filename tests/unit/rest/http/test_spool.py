"""Large response bodies in temporary files."""

import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmf_apis.errors import Unavailable
from tmf_apis.rest.http.asgi import send_response
from tmf_apis.rest.http.messages import Response
from tmf_apis.rest.http.spool import Spool


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path, 1_000_000)


def messages_of(response, *, head=False):
    """Return the messages of a response."""
    messages = []

    async def send(message):
        messages.append(message)

    asyncio.run(send_response(send, response, head=head))
    return messages


def test_a_spooled_body_is_sent_in_parts_and_deleted(spool, tmp_path):
    body = spool.add([b"x" * 100_000, b"y" * 50_001])
    assert (len(body), spool.used) == (150_001, 150_001)
    assert not list(tmp_path.iterdir()), "the file has no name"
    start, *parts = messages_of(Response(200, spooled=body))
    assert (b"content-length", b"150001") in start["headers"]
    assert b"".join(part["body"] for part in parts) == b"x" * 100_000 + b"y" * 50_001
    assert [part.get("more_body", False) for part in parts] == [True, True, False]
    assert max(len(part["body"]) for part in parts) <= 65_536
    assert spool.used == 0


def test_a_spooled_body_is_deleted_although_nobody_wants_it(spool):
    start, last = messages_of(Response(200, spooled=spool.add([b"x" * 100])), head=True)
    assert (b"content-length", b"100") in start["headers"]
    assert not last["body"]
    spool.add([b"x" * 100])
    gc.collect()
    assert spool.used == 0


def test_a_body_over_the_limit_of_all_bodies_is_refused(spool):
    kept = spool.add([b"x" * 900_000])
    with pytest.raises(Unavailable) as refusal:
        spool.add(iter([b"x" * 50_000] * 3))
    assert refusal.value.headers["Retry-After"] == "5"
    assert spool.used == 900_000
    kept.close()
    assert len(spool.add([b"x" * 900_000])) == 900_000


@given(st.integers(0, 200_000))
def test_every_body_is_sent_completely(size):
    start, *parts = messages_of(Response(200, bytes(size)))
    assert b"".join(part["body"] for part in parts) == bytes(size)
    assert (b"content-length", str(size).encode()) in start["headers"]
    assert [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False]


@given(st.binary(max_size=200), st.integers(0, 220), st.integers(0, 220))
def test_any_part_of_a_spooled_body_can_be_read(tmp_path_factory, content, start, size):
    spool = Spool(tmp_path_factory.getbasetemp(), 1_000_000)
    body = spool.add([content[:50], content[50:]])
    assert body.read(start, size) == content[start : start + size]
    body.close()


def test_the_file_of_a_spooled_body_does_not_have_its_text(spool):
    body = spool.add([b"personal value " * 10_000])
    body._file.seek(0)
    assert b"personal" not in body._file.read()
    assert body.read(15, 8) == b"personal"
