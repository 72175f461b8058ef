from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InputError
from domain.inputs import (
    Acknowledgement,
    ConfigChange,
    DeviceChange,
    DeviceFilter,
    Input,
    NewToken,
    Page,
    Registration,
)

GOOD: dict[str, Any] = {
    "mac": "24:6f:28:aa:bb:cc",
    "location": {"place": "Paris"},
    "measurement_type": "temperature",
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


def fields(kind: type[Input], values: dict[str, Any]) -> list[str | None]:
    """Where the problems are."""
    try:
        kind.check(values)
    except InputError as error:
        return [problem.field for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"owner": "x" * 64}, []),
        ({"owner": "x" * 65}, ["owner"]),
        ({"owner": ""}, ["owner"]),
        ({"owner": "\u200b"}, ["owner"]),
        ({"owner": "a\nb"}, ["owner"]),
        ({"owner": "a\x00b"}, ["owner"]),
        ({"owner": "\ud800"}, ["owner"]),
        ({"firmware": "x" * 65}, ["firmware"]),
        ({"applied_version": 0}, ["appliedVersion"]),
        ({"applied_version": 2**31}, ["appliedVersion"]),
        ({"location": {"place": "P", "latitude": 90, "longitude": -180}}, []),
        ({"location": {"place": "P", "latitude": 90.001, "longitude": 0}}, ["location.latitude"]),
        ({"location": {"place": "P", "latitude": 0, "longitude": 181}}, ["location.longitude"]),
        (
            {"location": {"place": "P", "latitude": float("nan"), "longitude": 0}},
            ["location.latitude"],
        ),
        ({"location": {"place": "P", "latitude": 1}}, ["location"]),
        ({"mac": "x", "measurement_type": ""}, ["mac", "measurementType"]),
    ],
)
def test_registration(values: dict[str, Any], expected: list[str]) -> None:
    assert fields(Registration, {**GOOD, **values}) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"qos": 0}, []),
        ({"qos": 3}, ["qos"]),
        ({"interval_seconds": 1}, []),
        ({"interval_seconds": 604_800}, []),
        ({"interval_seconds": 604_801}, ["intervalSeconds"]),
        ({"interval_seconds": 0}, ["intervalSeconds"]),
        ({}, [None]),
    ],
)
def test_config(values: dict[str, Any], expected: list[str]) -> None:
    assert fields(ConfigChange, values) == expected


def test_a_time_without_zone_is_utc() -> None:
    soon = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    token = NewToken.check({"kind": "enrol", "expires_at": soon})
    assert token.expires_at == soon.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "kind",
    [Registration, DeviceChange, ConfigChange, Acknowledgement, NewToken, DeviceFilter, Page],
)
@given(data=st.data())
def test_whatever_comes_is_taken_or_explained(kind: type[Input], data: st.DataObject) -> None:
    values = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(kind.model_fields, VALUES)))
    for problem in fields(kind, values):
        assert problem is None or problem.isprintable()
