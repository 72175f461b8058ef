"""The server as a client of the broker, for as long as the database is there."""

import asyncio
import logging
import random
from collections.abc import Callable

from db.database import Locks
from mqtt.connection import Address, Connection, ConnectionLost, connected
from mqtt.delivery import DeliveryLoop
from mqtt.reports import ReportLoop
from resolvers.desk import Desk

log = logging.getLogger("rollcall.mqtt")

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 15.0


class BrokerClient:
    """`connected` says whether there is a connection to the broker now."""

    def __init__(self, address: Callable[[], Address]) -> None:
        self._address = address
        self._delivery: DeliveryLoop | None = None

    @property
    def connected(self) -> bool:
        return self._delivery is not None

    def wake(self) -> None:
        """Something was written to the database."""
        if self._delivery:
            self._delivery.wake()

    async def run(self, desk: Desk) -> None:
        """Until it is cancelled; connects again by itself. Raises Unavailable."""
        async with desk.database.locks() as locks:
            pause, told = FIRST_PAUSE_SECONDS, ""
            while True:
                try:
                    await self._session(desk, locks)
                except ConnectionLost as lost:
                    if str(lost) != told:
                        log.warning("No connection to the MQTT broker, trying again: %s.", lost)
                    told = str(lost)
                await locks.release_all()
                if self._delivery:
                    pause, self._delivery = FIRST_PAUSE_SECONDS, None
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _session(self, desk: Desk, locks: Locks) -> None:
        """Raises ConnectionLost."""
        loops: list[DeliveryLoop | ReportLoop] = []

        def receive(topic: str, payload: bytes, kept: bool) -> None:
            for loop in loops:
                loop.received(topic, payload, kept=kept)

        async with connected(self._address(), receive) as connection:
            self._delivery = DeliveryLoop(desk.database, locks, connection)
            reports = ReportLoop(desk, locks, connection)
            loops += (self._delivery, reports)
            log.info("Connected to the MQTT broker.")
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._delivery.run(), name="config delivery")
                    tasks.create_task(reports.run(), name="device reports")
                    tasks.create_task(_until_lost(connection), name="broker connection")
            except ExceptionGroup as group:
                raise _first(group) from None


async def _until_lost(connection: Connection) -> None:
    await asyncio.shield(connection.lost)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """What went wrong, rather than what followed from it."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
