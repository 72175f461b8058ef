"""Hears what devices say of themselves, and hands it on in batches."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from db.postgres.advisory_locks import Lock, Locks
from domain.devices.identity import is_device_id
from domain.mqtt.messages import StateReport, parse_state, parse_status
from mqtt.client.connection import Connection
from resolvers.devices import mqtt_reports
from resolvers.services import Services

log = logging.getLogger("rollcall.mqtt")

STATE, STATUS = "+/+/+/+/state", "+/+/+/+/status"
BATCH = 500
# What comes within this time is written together.
GATHER_SECONDS = 0.02
POLL_SECONDS = 1.0
# The broker tells at once who was there when it was asked; the others have so long to come back.
GRACE_SECONDS = 90.0

Told = TypeVar("Told")


class ReportReceiver:
    """Of one connection. One process listens for all; if it goes, another does."""

    def __init__(self, services: Services, locks: Locks, connection: Connection) -> None:
        self._services = services
        self._locks = locks
        self._connection = connection
        # By base topic: what a device says again replaces what it said before.
        self._states: dict[str, StateReport] = {}
        self._statuses: dict[str, bool] = {}
        self._kinds: tuple[tuple[dict[str, Any], Any], ...] = (
            (self._statuses, mqtt_reports.record_presence),
            (self._states, mqtt_reports.record_states),
        )
        self._came = asyncio.Event()
        # Who was online since we listen; None once everybody had the time to come back.
        self._present: set[str] | None = set()

    def received(self, topic: str, payload: bytes, *, kept: bool) -> None:
        """`kept`: the broker had it retained."""
        base, _, leaf = topic.rpartition("/")
        id = base.rpartition("/")[2]
        if not is_device_id(id):
            return
        if leaf == "state" and (report := parse_state(payload)):
            self._states[base] = replace(report, fresh=not kept)
        elif leaf == "status" and (online := parse_status(payload)) is not None:
            self._statuses[base] = online
            if self._present is not None and online:
                self._present.add(id)
        self._came.set()

    async def run(self) -> None:
        """Until it is cancelled. Raises ConnectionLost, and Unavailable."""
        while True:
            async with self._locks.attempt(Lock.REPORTS) as ours:
                if ours:
                    await self._listen()
            await asyncio.sleep(POLL_SECONDS)

    async def _listen(self) -> None:
        await self._connection.subscribe(STATE, STATUS)
        since = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._came.wait()
            self._came.clear()
            await asyncio.sleep(GATHER_SECONDS)
            # In turns: neither waits for all of the other.
            for told, note in self._kinds:
                await _write_some(self._services, told, note)
            if any(told for told, _ in self._kinds):
                self._came.set()
            if self._present is not None and time.monotonic() > since + GRACE_SECONDS:
                await self._note_absent(self._present)
                self._present = None

    async def _note_absent(self, present: Collection[str]) -> None:
        """In pieces, so that nobody waits for a large fleet."""
        absent, after = 0, ""
        while found := await mqtt_reports.mark_silent_offline(self._services, present, after):
            count, after = found
            absent += count
        if absent:
            log.info("%s devices are not online any more.", absent)


async def _write_some(
    services: Services,
    told: dict[str, Told],
    note: Callable[[Services, Mapping[str, Told]], Awaitable[Collection[str]]],
) -> None:
    batch = dict(islice(told.items(), BATCH))
    if not batch:
        return
    busy = await note(services, batch)
    for base, what in batch.items():
        # Meanwhile it may have said something else.
        if told[base] == what:
            del told[base]
            if base in busy:
                told[base] = what  # behind the others
