"""Keeps Mosquitto's files in line with the registry."""

import asyncio
import logging
import time
from contextlib import suppress

from db import event_log
from db.event_log import Position
from domain.accounts import Account
from domain.errors import Unavailable
from domain.events import EventKind
from mqtt.mosquitto import MosquittoFiles
from resolvers.broker_access import broker_accounts_of
from resolvers.desk import Desk

log = logging.getLogger("rollcall.mqtt")

POLL_SECONDS = 1.0
# Changes within this time are written together; the more there is to write, the longer.
GATHER_SECONDS = 0.5
SHARE_OF_TIME = 0.1
RETRY_SECONDS = 10.0

# The other events change nothing of who may do what.
RELEVANT = frozenset(EventKind) - {
    EventKind.CONFIG_APPLIED,
    EventKind.CONFIG_CHANGED,
    EventKind.CONFIG_OVERDUE,
}
# Tokens expire without an event.
EVERY_SECONDS = 60.0


class MosquittoAccounts:
    """`server`: the account by which this server itself connects."""

    name = "Mosquitto accounts"
    needed = True

    def __init__(self, files: MosquittoFiles, server: Account | None) -> None:
        self._files = files
        self._server = server
        self._woken = asyncio.Event()
        self._position: Position | None = None
        self._again = 0.0

    def wake(self) -> None:
        """Something was written to the database."""
        self._woken.set()

    async def run(self, desk: Desk) -> None:
        """Until it is cancelled. Raises Unavailable."""
        self._position = None
        while True:
            self._woken.clear()
            try:
                pause = await self._turn(desk)
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, it is tried again
                log.warning("Mosquitto's files could not be written, trying again: %r", error)
                pause, self._position = RETRY_SECONDS, None
            if pause:
                await asyncio.sleep(pause)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()

    async def _turn(self, desk: Desk) -> float:
        """Writes if something has happened; returns for how many seconds to leave it at that."""
        if not await self._something_happened(desk):
            return 0
        await asyncio.sleep(GATHER_SECONDS)
        async with desk.database.begin(own=True) as session:
            position = await event_log.settled(session)
        started = time.monotonic()
        accounts = [account async for account in broker_accounts_of(desk, self._server)]
        await asyncio.to_thread(self._files.write, accounts)
        self._position, self._again = position, started + EVERY_SECONDS
        return (time.monotonic() - started) / SHARE_OF_TIME * (1 - SHARE_OF_TIME)

    async def _something_happened(self, desk: Desk) -> bool:
        if self._position is None or time.monotonic() > self._again:
            return True
        async with desk.database.begin(own=True) as session:
            batch = await event_log.read(session, self._position, 1, event_log.of_kinds(RELEVANT))
        if not batch.events:
            self._position = batch.end
        return bool(batch.events)
