"""Blocking calls, such as database queries, run in an executor from asynchronous code."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def run_blocking(
    executor: Executor | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a function that blocks in an executor, with the caller's context variables.

    Args:
        executor: Where the function runs; None: the default executor of asyncio.
        function: The function.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.

    Returns:
        The result of the function.
    """
    loop = asyncio.get_running_loop()
    call = partial(copy_context().run, function, *args, **kwargs)
    return await loop.run_in_executor(executor, call)
