"""How servers on one database tell each other of new events."""

from collections.abc import Callable

import asyncpg

from db.postgres.connect import PROBE_SECONDS

CHANNEL = "rollcall_events"


class EventSignal:
    """Whether the server answers, and a word to the other processes. Either raises if not; `lost`
    is called then.
    """

    def __init__(
        self, driver: "asyncpg.Connection[asyncpg.Record]", lost: Callable[[], None]
    ) -> None:
        self._driver = driver
        self._lost = lost

    async def probe(self) -> None:
        await self._execute("SELECT 1")

    async def tell(self) -> None:
        """Outside of the transactions themselves: NOTIFY makes them commit one by one."""
        await self._execute(f"NOTIFY {CHANNEL}")

    async def _execute(self, statement: str) -> None:
        try:
            await self._driver.execute(statement, timeout=PROBE_SECONDS)
        except Exception:
            self._lost()
            raise
