"""Telegram's clock, which dates updates. The clock of this machine may be wrong."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp


class TelegramClock:
    """Set by the `Date` header of each response, and by the date of each sent message.

    A self-hosted Bot API server sends no such header. Before the first date, this machine's clock
    is used.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._steady = steady
        self._offset: float | None = None

    @property
    def now(self) -> float:
        """Unix time."""
        return self._clock() if self._offset is None else self._offset + self._steady()

    def set(self, now: float) -> None:
        """`now`: Unix time."""
        self._offset = now - self._steady()

    def read_header(self, date: str | None) -> None:
        """Set the clock by a `Date` header. Ignore anything else."""
        try:
            self.set(parsedate_to_datetime(date or "").timestamp())
        except ValueError:
            return

    def read_message(self, result: Any) -> None:
        """Set the clock by the result of a call if it is a message."""
        date = getattr(result, "edit_date", None) or getattr(result, "date", None)
        if isinstance(date, int) and date > 0:
            self.set(date)


class Tracing(aiohttp.TraceConfig):
    """Sets the clock by each response of a client session."""

    def __init__(self, clock: TelegramClock) -> None:
        super().__init__()
        self._clock = clock
        self.on_request_end.append(self._ended)

    async def _ended(self, _: Any, __: Any, ended: aiohttp.TraceRequestEndParams) -> None:
        self._clock.read_header(ended.response.headers.get("Date"))
