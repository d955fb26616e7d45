"""The limit on requests that wait for a database that does not answer."""

import asyncio
import json
import time

import pytest

from tmf_apis.rest.http.unanswered import UnansweredRequests

SCOPE = {"type": "http", "method": "GET", "path": "/"}


def answer(application, *, limit=0.2, silent_for=0.0):
    """Return the messages of a response, while the database has been silent for some seconds."""
    last_answer = time.monotonic() - silent_for
    requests = UnansweredRequests(limit, lambda: last_answer)
    messages = []

    async def send(message):
        messages.append(message)

    async def run():
        await asyncio.create_task(requests.answer(application, SCOPE, None, send))

    asyncio.run(run())
    return messages


async def wait_forever(scope, receive, send):
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 1.0)


async def respond_slowly(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.sleep(0.6)
    await send({"type": "http.response.body", "body": b"all"})


@pytest.mark.parametrize("silent_for", [0.0, 60.0])
def test_a_request_that_waits_while_the_database_is_silent_gets_503_in_time(silent_for):
    started = time.monotonic()
    start, body = answer(wait_forever, silent_for=silent_for)
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert json.loads(body["body"])["message"] == "the database does not answer; try again"
    assert time.monotonic() - started < 5


def test_a_response_that_has_begun_is_completed():
    assert [m.get("body") for m in answer(respond_slowly, silent_for=60.0)] == [None, b"all"]


def test_a_slow_request_is_not_refused_while_the_database_answers_others():
    requests = UnansweredRequests(0.2, time.monotonic)
    ended = []

    async def work(scope, receive, send):
        await asyncio.sleep(0.6)
        ended.append(scope)

    asyncio.run(requests.answer(work, SCOPE, None, None))
    assert ended == [SCOPE]


def test_a_request_that_is_cancelled_by_the_server_has_no_response():
    requests, messages = UnansweredRequests(60.0, time.monotonic), []

    async def run():
        task = asyncio.create_task(requests.answer(wait_forever, SCOPE, None, messages.append))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return task.cancelled()

    assert asyncio.run(run())
    assert messages == []
