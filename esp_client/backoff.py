"""Pauses between attempts: doubled each time, limited, and with jitter."""

import random

FIRST_SECONDS = 1
LONGEST_SECONDS = 300


def jittered(seconds: float) -> float:
    """1 to 1.5 times as long: never earlier than the server asks for."""
    return seconds * (1 + random.getrandbits(16) / 131072)


class Backoff:
    def __init__(self) -> None:
        self.seconds = FIRST_SECONDS

    def reset(self) -> None:
        self.seconds = FIRST_SECONDS

    def next(self) -> float:
        """Seconds to wait now."""
        pause = jittered(self.seconds)
        self.seconds = min(self.seconds * 2, LONGEST_SECONDS)
        return pause
