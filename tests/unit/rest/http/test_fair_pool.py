"""The order in which requests of several tenants and clients get a thread."""

import asyncio
import threading

import pytest

from tmf_apis.errors import Unavailable
from tmf_apis.rest.http.fair_pool import FairThreadPool, Origin, PoolLimits
from tmf_apis.rest.http.routing import is_search


class Work:
    """Functions that run until they are released, and the order in which they started."""

    def __init__(self):
        self.started = []
        self._releases = {}
        self._changed = threading.Condition()

    def run(self, name):
        with self._changed:
            self.started.append(name)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._releases.get(name), 10)

    def release(self, *names):
        with self._changed:
            self._releases.update(dict.fromkeys(names, True))
            self._changed.notify_all()


class Pool:
    """A pool with its work; the clock stands still unless a test moves it."""

    def __init__(self, **limits):
        self.time = 0.0
        defaults = {"threads": 4, "search_threads": 2, "contended_threads": 2, "waiting": 100}
        self.pool = FairThreadPool(
            PoolLimits(**{**defaults, "seconds": 10.0, **limits}), lambda: self.time
        )
        self.work = Work()
        self.tasks = {}

    async def send(self, name, tenant="", client="", *, is_search=False):
        origin = Origin(tenant, client, is_search)
        self.tasks[name] = asyncio.create_task(self.pool.run(origin, self.work.run, name))
        await asyncio.sleep(0)

    async def started(self, count):
        for _ in range(1000):
            if len(self.work.started) >= count:
                break
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.01)
        return self.work.started

    async def finish(self, *names):
        self.work.release(*names)
        await asyncio.gather(*(self.tasks[name] for name in names))

    async def finish_all(self):
        self.work.release(*self.tasks)
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert not self.pool._shares
        assert not self.pool._waiting + self.pool._running + self.pool._searching


def scenario(**limits):
    """Decorate an asynchronous test: it gets a pool, all of whose requests end after it."""

    def decorate(test):
        def run():
            async def steps():
                pool = Pool(**limits)
                try:
                    await test(pool)
                finally:
                    await pool.finish_all()

            asyncio.run(steps())

        return run

    return decorate


@scenario()
async def test_a_single_tenant_uses_all_threads(pool):
    for number in range(6):
        await pool.send(number, "a")
    assert await pool.started(4) == [0, 1, 2, 3]


@scenario()
async def test_a_quiet_tenant_need_not_wait_for_a_flood(pool):
    await pool.send("b0", "b")
    await pool.finish("b0")
    for number in range(50):
        await pool.send(number, "a")
    assert await pool.started(3) == ["b0", 0, 1]
    await pool.send("b1", "b")
    assert (await pool.started(4))[3] == "b1"


@scenario()
async def test_a_tenant_gets_all_threads_again_when_the_others_are_gone(pool):
    await pool.send("b", "b")
    await pool.finish("b")
    for number in range(9):
        await pool.send(number, "a")
    assert await pool.started(3) == ["b", 0, 1]
    pool.time = 2.0
    await pool.finish(0)
    assert await pool.started(6) == ["b", 0, 1, 2, 3, 4]


@scenario(threads=1, contended_threads=1)
async def test_the_tenant_that_used_the_threads_least_is_next(pool):
    await pool.send("a0", "a")
    for name in ("a1", "a2", "b1", "b2"):
        await pool.send(name, name[0])
    pool.time = 5.0
    await pool.finish("a0")
    assert await pool.started(2) == ["a0", "b1"]
    pool.time = 6.0
    await pool.finish("b1")
    assert (await pool.started(3))[2] == "b2"


@scenario(threads=1, contended_threads=1)
async def test_the_clients_of_a_tenant_take_turns(pool):
    await pool.send("first", "a", "x")
    for number in range(3):
        await pool.send(f"x{number}", "a", "x")
    await pool.send("y", "a", "y")
    await pool.send("z", "a", "z")
    order = ["first", "x0", "y", "z", "x1", "x2"]
    for index, name in enumerate(order):
        assert await pool.started(index + 1) == order[: index + 1]
        await pool.finish(name)


@scenario()
async def test_searches_leave_threads_to_other_requests(pool):
    for number in range(16):
        await pool.send(f"search {number}", "a", is_search=True)
    await pool.send("get", "a")
    assert set(await pool.started(3)) == {"search 0", "search 1", "get"}


@scenario(threads=1, waiting=2)
async def test_requests_over_the_length_of_the_queue_are_refused(pool):
    for number in range(3):
        await pool.send(number, "a")
    await pool.send("more", "a")
    with pytest.raises(Unavailable) as refusal:
        await pool.tasks["more"]
    assert refusal.value.headers["Retry-After"] == "1"


@scenario(threads=1, seconds=0.02)
async def test_a_request_that_waits_too_long_is_refused(pool):
    await pool.send(0, "a")
    await pool.send(1, "a")
    with pytest.raises(Unavailable, match="in time"):
        await pool.tasks[1]
    await pool.finish(0)
    await pool.send(2, "a")
    assert await pool.started(2) == [0, 2]


@scenario(threads=1)
async def test_a_request_that_is_cancelled_while_it_waits_leaves_the_queue(pool):
    for number in range(4):
        await pool.send(number, "a")
    pool.tasks[1].cancel()
    pool.work.release(0)
    pool.tasks[2].cancel()
    await asyncio.sleep(0)
    assert await pool.started(2) == [0, 3]


@scenario()
async def test_the_result_and_the_error_of_a_function_are_passed_on(pool):
    assert await pool.pool.run(Origin(), int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await pool.pool.run(Origin(), int, "x")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"limit=100", False),
        (b"offset=9999&fields=name", False),
        (b"after=&limit=3", False),
        (b"offset=10000", True),
        (b"sort=name", True),
        (b"filter=$.note", True),
        (b"%66ilter=$.note", True),
        (b"limit=3&name.regex=x", True),
        (b"lifecycleStatus=Active", True),
    ],
)
def test_lists_that_filter_sort_or_skip_much_are_searches(query, expected):
    assert is_search(query) is expected
