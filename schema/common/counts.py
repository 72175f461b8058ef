"""A count that several fields of a connection share."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Count = TypeVar("Count")


def cached_count(count: Callable[[], Awaitable[Count]]) -> Callable[[], Awaitable[Count]]:
    """Return a function that counts at its first call, and then returns the same count."""
    task: asyncio.Task[Count] | None = None

    async def shared() -> Count:
        nonlocal task
        task = task or asyncio.ensure_future(count())
        return await task

    return shared
