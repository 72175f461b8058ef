"""Quiet hours: a daily period in which a recipient gets no alerts."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Self
from zoneinfo import ZoneInfo

PERIOD = re.compile(r"(\d{1,2}):(\d{2})\s*(?:-|\u2013)\s*(\d{1,2}):(\d{2})(?:\s+(\S+))?")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Daily from `begin` to `end`, which may be on the next day, in the time zone `zone`."""

    begin: time
    end: time
    zone: str

    @classmethod
    def parse(cls, text: str, zone: str) -> Self:
        """Parse `22:00-07:00`, with an optional time zone after it; `zone` is the default.

        Raises ValueError for anything else.
        """
        found = PERIOD.fullmatch(text.strip())
        if not found:
            raise ValueError("Give a period such as 22:00-07:00 Europe/Paris.")
        begin, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
        if begin == end:
            raise ValueError("Give a period whose begin and end differ.")
        return cls(begin, end, check_zone(found[5] or zone))

    def end_after(self, now: datetime) -> datetime | None:
        """Return when the period that contains `now` ends, in UTC; None if `now` is outside."""
        zone = ZoneInfo(self.zone)
        local = now.astimezone(zone)
        today = local.time().replace(tzinfo=None)
        if self.begin < self.end:
            within, tomorrow = self.begin <= today < self.end, False
        else:
            within, tomorrow = today >= self.begin or today < self.end, today >= self.begin
        if not within:
            return None
        day = local.date() + timedelta(days=tomorrow)
        end = datetime.combine(day, self.end, zone)
        # In the night in which the clocks go back, a local time occurs twice.
        ends = (end.astimezone(UTC), end.replace(fold=1).astimezone(UTC))
        return next((moment for moment in ends if moment > now), None)

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M} {self.zone}"


def check_zone(name: str) -> str:
    """Return the name. Raises ValueError if it is not a time zone."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("Give a time zone such as Europe/Paris or UTC.") from None
    return name
