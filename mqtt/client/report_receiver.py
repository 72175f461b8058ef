"""Receives devices' state and status messages, and records them in batches."""

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
# Messages within this time are written together.
GATHER_SECONDS = 0.02
POLL_SECONDS = 1.0
# Seconds. Retained statuses arrive at once; other devices have this time to reconnect.
GRACE_SECONDS = 90.0

Report = TypeVar("Report")


class ReportReceiver:
    """Receives by one connection. One process holds the lock; if it ends, another takes over."""

    def __init__(self, services: Services, locks: Locks, connection: Connection) -> None:
        self._services = services
        self._locks = locks
        self._connection = connection
        # By base topic: a newer message of a device replaces the older one.
        self._states: dict[str, StateReport] = {}
        self._statuses: dict[str, bool] = {}
        self._kinds: tuple[tuple[dict[str, Any], Any], ...] = (
            (self._statuses, mqtt_reports.record_presence),
            (self._states, mqtt_reports.record_states),
        )
        self._received = asyncio.Event()
        # Ids of devices that were online since the subscription. None after the grace period.
        self._online_ids: set[str] | None = set()

    def received(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """`retained`: the broker had stored it before the subscription."""
        base, _, leaf = topic.rpartition("/")
        id = base.rpartition("/")[2]
        if not is_device_id(id):
            return
        if leaf == "state" and (report := parse_state(payload)):
            self._states[base] = replace(report, fresh=not retained)
        elif leaf == "status" and (online := parse_status(payload)) is not None:
            self._statuses[base] = online
            if self._online_ids is not None and online:
                self._online_ids.add(id)
        self._received.set()

    async def run(self) -> None:
        """Run until cancelled. Raises ConnectionLost and Unavailable."""
        while True:
            async with self._locks.try_lock(Lock.REPORTS) as locked:
                if locked:
                    await self._receive()
            await asyncio.sleep(POLL_SECONDS)

    async def _receive(self) -> None:
        await self._connection.subscribe(STATE, STATUS)
        subscribed_at = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._received.wait()
            self._received.clear()
            await asyncio.sleep(GATHER_SECONDS)
            # One batch of each kind in turn, so that neither delays the other.
            for reports, record in self._kinds:
                await _record_batch(self._services, reports, record)
            if any(reports for reports, _ in self._kinds):
                self._received.set()
            if self._online_ids is not None and time.monotonic() > subscribed_at + GRACE_SECONDS:
                await self._mark_offline(self._online_ids)
                self._online_ids = None

    async def _mark_offline(self, online: Collection[str]) -> None:
        """Mark all other devices offline, in batches, so that a large fleet blocks nothing."""
        total, after = 0, ""
        while found := await mqtt_reports.mark_silent_offline(self._services, online, after):
            count, after = found
            total += count
        if total:
            log.info("%s devices did not reconnect; marked them offline.", total)


async def _record_batch(
    services: Services,
    reports: dict[str, Report],
    record: Callable[[Services, Mapping[str, Report]], Awaitable[Collection[str]]],
) -> None:
    batch = dict(islice(reports.items(), BATCH))
    if not batch:
        return
    busy = await record(services, batch)
    for base, report in batch.items():
        # Keep a newer report that has replaced it.
        if reports[base] == report:
            del reports[base]
            if base in busy:
                reports[base] = report  # retried after the others
