"""Wait for the effects of other threads and processes."""

import asyncio
import time


def wait_until(condition, *, timeout=30.0, pause=0.01):
    """Return the first true result of ``condition``; fail after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not true within {timeout:g} s"
        time.sleep(pause)
    return result


async def wait_in_thread(condition):
    """Like ``wait_until``, while the event loop runs on."""
    return await asyncio.to_thread(wait_until, condition)
