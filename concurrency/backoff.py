"""Exponential backoff with jitter."""

import asyncio
import random


class Backoff:
    """Pauses between attempts that double from `first` to `longest` seconds.

    Each is shortened by up to a half at random, so that many processes do not retry together.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    async def pause(self) -> None:
        seconds = self._next * random.uniform(0.5, 1.0)  # noqa: S311
        self._next = min(self._next * 2, self._longest)
        await asyncio.sleep(seconds)

    def reset(self) -> None:
        self._next = self._first
