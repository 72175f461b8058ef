"""A count that several fields of one connection show."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Count = TypeVar("Count")


def cached_count(count: Callable[[], Awaitable[Count]]) -> Callable[[], Awaitable[Count]]:
    """Counts once, however many fields of a connection ask."""
    counting: asyncio.Task[Count] | None = None

    async def ask() -> Count:
        nonlocal counting
        counting = counting or asyncio.ensure_future(count())
        return await counting

    return ask
