"""Conditional writes that met a conflict, tried again."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from domain.errors import Overloaded
from resolvers.services import Desk

ATTEMPTS = 6

Result = TypeVar("Result")


async def until_written(
    desk: Desk, device_id: str, attempt: Callable[[bool], Awaitable[Result | None]]
) -> Result:
    """The first result that is not None, which stands for a conflict.

    `attempt` reads, decides and writes. Its argument is false at first: the write skips a row that
    is locked. After a conflict the requests of this process for one device take turns, and writes
    wait for the row: each attempt then has to see what the one before has written.
    Raises Overloaded after `ATTEMPTS` conflicts.
    """
    result = await attempt(False)
    if result is not None:
        return result
    async with desk.turns.hold(device_id):
        for _ in range(ATTEMPTS - 1):
            result = await attempt(True)
            if result is not None:
                return result
    raise Overloaded("This device is being changed by others; try again soon.")
