"""Repeats calls until Telegram accepts them."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from domain.errors import Unavailable
from notifier.channels.channel import RecipientGone, Refused, RetryLater, TemporaryFailure

log = logging.getLogger("rollcall.bot")

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


async def wait_before_retry(pause: float, error: Exception | None = None) -> float:
    """Wait about `pause` seconds, or as long as the error says. Return the next pause."""
    if isinstance(error, RetryLater):
        await asyncio.sleep(error.seconds)
        return pause
    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
    return min(pause * 2, LONGEST_PAUSE_SECONDS)


async def retry_until_done(failure: str, attempt: Callable[[], Awaitable[object]]) -> None:
    """Repeat `attempt`. `failure`: what the log says about an error."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            await attempt()
        except (TemporaryFailure, Refused, RecipientGone, Unavailable) as error:
            log.warning("%s; retrying: %s", failure, error)
            pause = await wait_before_retry(pause, error)
        except Exception:
            log.exception("%s; retrying.", failure)
            pause = await wait_before_retry(pause)
        else:
            return
