"""Pauses between attempts: doubling, capped, and never the same for two devices."""

import random

FIRST_SECONDS = 1
LONGEST_SECONDS = 300


def jittered(seconds: float) -> float:
    """Between the time itself and half as much again: never earlier than asked for."""
    return seconds * (1 + random.getrandbits(16) / 131072)


class Backoff:
    def __init__(self) -> None:
        self.seconds = FIRST_SECONDS

    def reset(self) -> None:
        self.seconds = FIRST_SECONDS

    def next(self) -> float:
        """Seconds to wait now; more each time."""
        pause = jittered(self.seconds)
        self.seconds = min(self.seconds * 2, LONGEST_SECONDS)
        return pause
