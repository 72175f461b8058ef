"""Milliseconds that only rise, on MicroPython (where they wrap) and on CPython alike."""

import time

if hasattr(time, "ticks_ms"):
    now = time.ticks_ms

    def since(start: int) -> int:
        return int(time.ticks_diff(time.ticks_ms(), start))

else:

    def now() -> int:
        return time.monotonic_ns() // 1_000_000

    def since(start: int) -> int:
        return now() - start


def sleep(seconds: float) -> None:
    time.sleep(seconds)
