from datetime import timedelta

import pytest

from domain.durations import parse_duration
from domain.events.kinds import EventKind
from domain.events.retention import Retention


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        (" 2 H ", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("4w", timedelta(weeks=4)),
    ],
)
def test_parse_duration(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "2", "h", "0h", "-1h", "1h 30m", "999999999w", "1y", "٢h"])
def test_invalid_duration_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="Give a duration"):
        parse_duration(text)


def test_retention_by_kind() -> None:
    ages = Retention.parse("400d, config_applied=30d, token_created=forever").ages()
    assert ages[EventKind.CONFIG_APPLIED] == timedelta(days=30)
    assert ages[EventKind.DEVICE_DELETED] == timedelta(days=400)
    assert EventKind.TOKEN_CREATED not in ages
    assert Retention.parse("forever,config_applied=2d").ages() == {
        EventKind.CONFIG_APPLIED: timedelta(days=2)
    }
    assert Retention().ages() == {}


@pytest.mark.parametrize("text", ["", "30", "12h", "nothing=3d", "config_applied=", "=3d"])
def test_invalid_retention_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"Give a duration|at least one day|Unknown event kind"):
        Retention.parse(text)
