"""Signals between the processes on one database: there are new events."""

from collections.abc import Callable

import asyncpg

from db.postgres.connect import PROBE_SECONDS

CHANNEL = "rollcall_events"


class EventSignal:
    """Checks the server, and notifies the other processes.

    Both methods call `on_failure` and raise the error if the server does not answer.
    """

    def __init__(
        self, driver: "asyncpg.Connection[asyncpg.Record]", on_failure: Callable[[], None]
    ) -> None:
        self._driver = driver
        self._on_failure = on_failure

    async def probe(self) -> None:
        await self._execute("SELECT 1")

    async def notify(self) -> None:
        """Run outside of other transactions: NOTIFY makes them commit one after another."""
        await self._execute(f"NOTIFY {CHANNEL}")

    async def _execute(self, statement: str) -> None:
        try:
            await self._driver.execute(statement, timeout=PROBE_SECONDS)
        except Exception:
            self._on_failure()
            raise
