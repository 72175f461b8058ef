"""Retries of conditional writes after a conflict."""

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
    """Return the first result of `attempt` that is not None; None stands for a conflict.

    `attempt` reads, decides and writes. After a conflict, requests for one device are serialized on
    all servers by an advisory lock, and write in the transaction that holds it (`session`). They
    wait for a lock of their process first, so that few of them occupy a database connection.
    An attempt with a session takes its other transactions from the background pool
    (`background=True`): waiting for a second connection of one pool could deadlock.
    Raises Overloaded after `ATTEMPTS` conflicts.
    """
    result = await attempt(None)
    if result is not None:
        return result
    async with services.device_locks.lock(device_id), services.database.transaction() as session:
        await lock_device(session, device_id)
        for _ in range(ATTEMPTS - 1):
            result = await attempt(session)
            if result is not None:
                break
    if result is None:
        raise Overloaded("Too many concurrent changes of this device: try again soon.")
    return result
