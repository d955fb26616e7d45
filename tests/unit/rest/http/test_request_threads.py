"""Threads that run functions for the event loop."""

import asyncio
import threading
import time

import pytest

from tmf_apis.rest.http.request_threads import RequestThreads


async def gathered(threads, function, arguments):
    return await asyncio.gather(*(threads.run(function, argument) for argument in arguments))


def test_results_come_back_to_the_calls():
    threads = RequestThreads(3, "test")
    assert asyncio.run(gathered(threads, str, range(50))) == [str(n) for n in range(50)]
    assert asyncio.run(gathered(threads, str, range(3))) == ["0", "1", "2"]


def test_an_error_is_raised_at_the_call():
    async def divide():
        await RequestThreads(1, "test").run(divmod, 1, 0)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(divide())


def test_threads_start_only_while_all_others_are_busy():
    threads = RequestThreads(2, "few")
    names = set()

    def run(_):
        time.sleep(0.01)
        names.add(threading.current_thread().name)

    async def one_after_another():
        for number in range(3):
            await threads.run(run, number)

    asyncio.run(one_after_another())
    assert names == {"few_1"}
    asyncio.run(gathered(threads, run, range(6)))
    assert names == {"few_1", "few_2"}


def test_a_cancelled_call_leaves_its_thread_to_the_next():
    threads = RequestThreads(1, "test")

    async def cancel_first():
        first = threads.run(time.sleep, 0.05)
        await asyncio.sleep(0)
        first.cancel()
        return await threads.run(str, 7)

    assert asyncio.run(cancel_first()) == "7"


def test_a_function_that_outlives_its_event_loop_does_no_harm():
    threads = RequestThreads(1, "test")

    async def leave():
        threads.run(time.sleep, 0.1)

    asyncio.run(leave())
    assert asyncio.run(gathered(threads, str, [1])) == ["1"]
