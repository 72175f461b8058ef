"""Conditional writes that met a conflict, tried again."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from db.postgres.advisory_locks import lock_device
from domain.errors import Overloaded
from resolvers.services import Services

ATTEMPTS = 6

Result = TypeVar("Result")


async def until_written(
    services: Services,
    device_id: str,
    attempt: Callable[[AsyncSession | None], Awaitable[Result | None]],
) -> Result:
    """Return the first result of `attempt` that is not None, which stands for a conflict.

    `attempt` reads, decides and writes. After a conflict, the requests for one device take turns
    on all servers, and write in the transaction that has the turn. Most of them wait in their own
    process, so that they don't take its connections. For transactions of its own an attempt that
    has a turn uses the other pool (`background=True`).
    Raises Overloaded after `ATTEMPTS` conflicts.
    """
    result = await attempt(None)
    if result is not None:
        return result
    async with services.device_locks.hold(device_id), services.database.transaction() as session:
        await lock_device(session, device_id)
        for _ in range(ATTEMPTS - 1):
            result = await attempt(session)
            if result is not None:
                break
    if result is None:
        raise Overloaded("This device is being changed by others; try again soon.")
    return result
