"""Looks for configs that are not applied in time."""

import asyncio

from resolvers.desk import Desk
from resolvers.overdue import AT_ONCE, note_overdue

CHECK_SECONDS = 5.0


class OverdueWatch:
    """`intervals`: how many of a device's own intervals it may take; 0: it is never looked for."""

    def __init__(self, intervals: float) -> None:
        self._intervals = intervals

    def wake(self) -> None:
        """Time alone makes a config overdue."""

    async def run(self, desk: Desk) -> None:
        """Until it is cancelled. Raises Unavailable."""
        while True:
            if self._intervals and await note_overdue(desk, self._intervals) == AT_ONCE:
                continue
            await asyncio.sleep(CHECK_SECONDS)
