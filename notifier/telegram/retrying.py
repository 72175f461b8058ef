"""What the bot does again and again until Telegram takes it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from domain.errors import Unavailable
from notifier.channels.channel import Failed, Gone, Later, Refused

log = logging.getLogger("rollcall.bot")

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


async def rest(pause: float, error: Exception | None = None) -> float:
    """Waits about `pause` seconds, or as long as the error says. Returns the next pause."""
    if isinstance(error, Later):
        await asyncio.sleep(error.seconds)
        return pause
    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
    return min(pause * 2, LONGEST_PAUSE_SECONDS)


async def until_done(what: str, attempt: Callable[[], Awaitable[object]]) -> None:
    """`what`: for the log."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            await attempt()
        except (Failed, Refused, Gone, Unavailable) as error:
            log.warning("%s, trying again: %s", what, error)
            pause = await rest(pause, error)
        except Exception:
            log.exception("%s, trying again.", what)
            pause = await rest(pause)
        else:
            return
