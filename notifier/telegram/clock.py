"""Telegram's clock, by which updates have their dates: this machine's may be wrong."""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp


class TelegramClock:
    """Set by the header `Date` of each answer, and by the date of each message that is sent, since
    a Bot API server of one's own has no such header. Until then it is this machine's clock.
    """

    def __init__(
        self, clock: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._steady = steady
        self._ahead: float | None = None

    @property
    def now(self) -> float:
        """Unix time."""
        return self._clock() if self._ahead is None else self._ahead + self._steady()

    def set(self, now: float) -> None:
        """`now`: Unix time."""
        self._ahead = now - self._steady()

    def read_header(self, date: str | None) -> None:
        """Anything but a date is passed over."""
        try:
            self.set(parsedate_to_datetime(date or "").timestamp())
        except ValueError:
            return

    def read_message(self, sent: Any) -> None:
        """What Telegram has answered; passed over if it is not a message."""
        date = getattr(sent, "edit_date", None) or getattr(sent, "date", None)
        if isinstance(date, int) and date > 0:
            self.set(date)


class Tracing(aiohttp.TraceConfig):
    """Of a client session: it sets the clock by each answer."""

    def __init__(self, clock: TelegramClock) -> None:
        super().__init__()
        self._clock = clock
        self.on_request_end.append(self._ended)

    async def _ended(self, _: Any, __: Any, ended: aiohttp.TraceRequestEndParams) -> None:
        self._clock.read_header(ended.response.headers.get("Date"))
