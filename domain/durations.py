"""Durations as people write them."""

import re
from datetime import timedelta

DURATION = re.compile(r"([0-9]{1,9})\s*([smhdw])", re.IGNORECASE)
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MAX_DURATION = timedelta(weeks=52 * 100)


def parse_duration(text: str) -> timedelta:
    """Parse `90s`, `30m`, `2h`, `1d` or `4w`. Raises ValueError for anything else."""
    found = DURATION.fullmatch(text.strip())
    seconds = int(found[1]) * SECONDS[found[2].lower()] if found else 0
    if not 0 < seconds <= MAX_DURATION.total_seconds():
        raise ValueError("Give a duration such as 90s, 30m, 2h, 1d or 4w.")
    return timedelta(seconds=seconds)
