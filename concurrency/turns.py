"""Long work in the event loop that lets other tasks run in between."""

import asyncio
import time

# Seconds of work before other tasks get their turn.
TURN_SECONDS = 0.005


class Turns:
    """For a loop that may have much to do without waiting, such as one over received messages."""

    def __init__(self) -> None:
        self._end = 0.0

    async def give_way(self) -> None:
        """Let other tasks run if this one has worked for TURN_SECONDS since the last time."""
        now = time.monotonic()
        if now >= self._end:
            await asyncio.sleep(0)
            self._end = time.monotonic() + TURN_SECONDS
