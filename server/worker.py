"""What goes on beside the requests, for as long as the database is there."""

import asyncio
import logging
from typing import Protocol

from domain.errors import Unavailable
from resolvers.desk import Desk

log = logging.getLogger("rollcall.workers")

PAUSE_SECONDS = 5.0


class Worker(Protocol):
    def wake(self) -> None:
        """Somebody has written events."""

    async def run(self, desk: Desk) -> None:
        """Until it is cancelled. Raises Unavailable."""


async def keep_running(worker: Worker, desk: Desk) -> None:
    """Until it is cancelled: whatever ends a worker is logged, and it begins anew.

    Whether the database is lost is for others to say: a worker may have found it busy.
    """
    while True:
        try:
            await worker.run(desk)
        except Unavailable as error:
            log.warning("%s was interrupted, and begins anew: %s", type(worker).__name__, error)
        except Exception:
            log.exception("%s has failed, and begins anew.", type(worker).__name__)
        task = asyncio.current_task()
        if task and task.cancelling():
            # What it did at its end has failed in turn.
            raise asyncio.CancelledError
        await asyncio.sleep(PAUSE_SECONDS)
