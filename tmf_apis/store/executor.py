"""Blocking calls, such as database queries, run in an executor from asynchronous code."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def run_blocking(
    executor: Executor | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a function that blocks in an executor and return its result.

    Args:
        executor: Where the function runs; None: the default executor of asyncio.
        function: The function.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(executor, partial(function, *args, **kwargs))
