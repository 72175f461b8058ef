"""A monotonic clock in milliseconds, for MicroPython (where it wraps) and CPython."""

import time

if hasattr(time, "ticks_ms"):
    now = time.ticks_ms
    between = time.ticks_diff

else:

    def now() -> int:
        return time.monotonic_ns() // 1_000_000

    def between(end: int, start: int) -> int:
        return end - start


def since(start: int) -> int:
    return int(between(now(), start))


def sleep(seconds: float) -> None:
    time.sleep(seconds)


class Timer:
    """Expires after some seconds. Call `remaining` at least every few days: MicroPython's clock can
    be compared over six days only, and an interval may be longer.
    """

    def __init__(self, seconds: float) -> None:
        self.read_at = now()
        self.left = int(seconds * 1000)

    def remaining(self) -> float:
        """Seconds; 0 once it has expired."""
        moment = now()
        self.left -= int(between(moment, self.read_at))
        self.read_at = moment
        return max(self.left, 0) / 1000

    def restart(self, seconds: float) -> None:
        self.read_at = now()
        self.left = int(seconds * 1000)

    def repeat(self, seconds: float) -> None:
        """Restart from the time of expiry, so that a period does not drift."""
        self.remaining()
        period = int(seconds * 1000)
        self.left = self.left + period if self.left > -period else period

    def shorten(self, seconds: float) -> None:
        self.left = min(self.left, int(seconds * 1000))
