"""Keeps Mosquitto's files in line with the registry."""

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from db.events import log as event_log
from db.events.log import Position
from domain.errors import Unavailable
from domain.events.kinds import EventKind
from domain.mqtt.accounts import Account
from mqtt.mosquitto.files import MosquittoFiles
from resolvers.access.mqtt import broker_accounts_of
from resolvers.services import Services

log = logging.getLogger("rollcall.mqtt")

POLL_SECONDS = 1.0
# Changes within this time are written together; the more there is to write, the longer.
GATHER_SECONDS = 0.5
SHARE_OF_TIME = 0.1
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 10.0
LOCK = "lock"

# The other events change nothing of who may do what.
RELEVANT = frozenset(EventKind) - {
    EventKind.CONFIG_APPLIED,
    EventKind.CONFIG_CHANGED,
    EventKind.CONFIG_OVERDUE,
    EventKind.DEVICE_OFFLINE,
    EventKind.DEVICE_ONLINE,
    EventKind.ENROLMENT_REQUESTED,
    EventKind.RECIPIENT_ADDED,
    EventKind.RECIPIENT_INVITED,
    EventKind.RECIPIENT_REMOVED,
}
OF_RELEVANT_KIND = event_log.of_kinds(RELEVANT)
# Tokens expire without an event.
EVERY_SECONDS = 60.0


class MosquittoSync:
    """`server`: the account by which this server itself connects."""

    name = "Mosquitto accounts"
    needed = True

    def __init__(self, files: MosquittoFiles, server: Account | None) -> None:
        self._files = files
        self._server = server
        self._woken = asyncio.Event()
        self._position: Position | None = None
        # Relevant events beyond the position that were committed before the files were written.
        self._seen = 0
        self._again = 0.0

    def wake(self) -> None:
        """Something was written to the database."""
        self._woken.set()

    async def run(self, services: Services) -> None:
        """Until it is cancelled. Raises Unavailable."""
        async with _only_writer(self._files.folder):
            self._files.resume()
            try:
                await self._keep_up(services)
            finally:
                self._files.cancel()

    async def _keep_up(self, services: Services) -> None:
        self._position, retry = None, RETRY_SECONDS
        while True:
            self._woken.clear()
            try:
                pause = await self._turn(services)
                retry = RETRY_SECONDS
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, it is tried again
                log.warning("Mosquitto's files could not be written, trying again: %r", error)
                pause, self._position = retry, None
                retry = min(retry * 2, LONGEST_RETRY_SECONDS)
            if pause:
                await asyncio.sleep(pause)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()

    async def _turn(self, services: Services) -> float:
        """Writes if something has happened; returns for how many seconds to leave it at that."""
        if not await self._something_happened(services):
            return 0
        await asyncio.sleep(GATHER_SECONDS)
        async with services.database.transaction(background=True) as session:
            position = await event_log.last_readable(session)
            [seen] = await event_log.counts_after(session, [position], OF_RELEVANT_KIND)
        started, cpu = time.monotonic(), time.thread_time()
        accounts = [account async for account in broker_accounts_of(services, self._server)]
        cpu = time.thread_time() - cpu
        cpu += await asyncio.to_thread(self._write, accounts)
        self._position, self._seen, self._again = position, seen, started + EVERY_SECONDS
        return cpu / SHARE_OF_TIME * (1 - SHARE_OF_TIME)

    def _write(self, accounts: list[Account]) -> float:
        """The CPU seconds that it took here and in Mosquitto.

        Not the time that passed: newcomers would wait for nine times as long as a disk stalls.
        """
        started = time.thread_time()
        changed = self._files.write(accounts)
        own = time.thread_time() - started
        return own + self._files.reload_seconds if changed else own

    async def _something_happened(self, services: Services) -> bool:
        """Also if a transaction that has been open for long holds back what is settled."""
        if self._position is None or time.monotonic() > self._again:
            return True
        async with services.database.transaction(background=True) as session:
            settled = await event_log.last_readable(session)
            places = self._position, settled
            seen, beyond = await event_log.counts_after(session, places, OF_RELEVANT_KIND)
        if seen != self._seen:
            return True
        self._position, self._seen = settled, beyond
        return False


@asynccontextmanager
async def _only_writer(folder: Path) -> AsyncIterator[None]:
    """One server at a time: another one that has read the registry earlier would write later.

    Waits until no other server on this machine, and no other worker process of this one, writes.
    """
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _locked(number):  # noqa: ASYNC110  nobody says when it is free
            await asyncio.sleep(POLL_SECONDS)
        yield
    finally:
        os.close(number)


def _locked(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
