from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.quiet_hours import QuietHours

PARIS = "Europe/Paris"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-01-10T20:59", None),
        ("2026-01-10T21:00", "2026-01-11T06:00"),
        ("2026-01-11T05:59", "2026-01-11T06:00"),
        ("2026-01-11T06:00", None),
        # The night in which the clock goes forward.
        ("2026-03-28T22:00", "2026-03-29T05:00"),
    ],
)
def test_quiet_hours_over_midnight_in_time_zone(now: str, end: str | None) -> None:
    hours = QuietHours.parse("22:00-07:00 Europe/Paris", "UTC")
    assert hours.end_after(at(now)) == (at(end) if end else None)


@pytest.mark.parametrize("minute", range(0, 180, 7))
def test_quiet_hours_end_in_repeated_hour_of_clock_change(minute: int) -> None:
    now = at("2026-10-25T00:00") + timedelta(minutes=minute)
    end = QuietHours.parse("22:00-02:30 Europe/Berlin", "UTC").end_after(now)
    assert end is None or end > now


def test_quiet_hours_within_a_day_in_default_zone() -> None:
    hours = QuietHours.parse("12:30 \u2013 14:00", "UTC")
    assert hours == QuietHours(time(12, 30), time(14), "UTC")
    assert hours.end_after(at("2026-01-10T13:00")) == at("2026-01-10T14:00")
    assert hours.end_after(at("2026-01-10T14:00")) is None
    assert str(hours) == "12:30-14:00 UTC"


@given(st.times(), st.times(), st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))  # noqa: DTZ001
def test_quiet_hours_end_within_a_day_plus_clock_change(
    begin: time, end: time, now: datetime
) -> None:
    hours = QuietHours(begin.replace(microsecond=0), end.replace(microsecond=0), PARIS)
    quiet_until = hours.end_after(now.replace(tzinfo=UTC))
    if quiet_until and begin != end:
        assert timedelta() < quiet_until - now.replace(tzinfo=UTC) <= timedelta(hours=25)


@pytest.mark.parametrize(
    "text", ["", "22:00", "22-07", "24:00-07:00", "22:00-22:00", "22:00-07:00 Mars/Base", "a-b"]
)
def test_invalid_quiet_hours_raise(text: str) -> None:
    with pytest.raises(ValueError, match=r"Give|different|hour must"):
        QuietHours.parse(text, "UTC")
