import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from domain.access.inputs import NewToken
from domain.devices.inputs import (
    Acknowledgement,
    ConfigChange,
    DeviceChange,
    DeviceFilter,
    Location,
    RegistrationInput,
)
from domain.errors import ErrorCode, InputError, Problem
from domain.inputs import Input, Page
from tests.rules.levels import ANY_TEXT

INPUTS = [
    RegistrationInput,
    DeviceChange,
    ConfigChange,
    Acknowledgement,
    NewToken,
    DeviceFilter,
    Page,
]
GOOD: dict[type[Input], dict[str, Any]] = {
    RegistrationInput: {
        "mac": "24:6f:28:aa:bb:cc",
        "location": {"place": "Paris"},
        "measurementType": "temperature",
    },
    Location: {"place": "Paris"},
    ConfigChange: {"qos": 1},
    Acknowledgement: {"version": 1},
    NewToken: {"kind": "enrol"},
}
NAMES = [
    (RegistrationInput, "owner"),
    (RegistrationInput, "measurementType"),
    (Location, "place"),
    (DeviceChange, "owner"),
    (DeviceChange, "measurementType"),
    (NewToken, "owner"),
    (DeviceFilter, "owner"),
    (DeviceFilter, "place"),
    (DeviceFilter, "measurementType"),
]
SHORT = [
    (RegistrationInput, "sensorModel"),
    (RegistrationInput, "firmware"),
    (DeviceChange, "sensorModel"),
    (DeviceChange, "firmware"),
    (Acknowledgement, "firmware"),
    (DeviceFilter, "sensorModel"),
]
LONG = [(Acknowledgement, "error", 200), (NewToken, "note", 200), (DeviceFilter, "search", 100)]
NUMBERS = [
    (RegistrationInput, "appliedVersion", 1, 2**31 - 1),
    (ConfigChange, "intervalSeconds", 1, 604_800),
    (ConfigChange, "qos", 0, 2),
    (ConfigChange, "expectedVersion", 1, 2**31 - 1),
    (Acknowledgement, "version", 1, 2**31 - 1),
    (NewToken, "maxUses", 1, 2**31 - 1),
    (Page, "first", 1, 500),
]
TEXTS = NAMES + SHORT + [(kind, field) for kind, field, _ in LONG]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ANY_TEXT
    | st.text(st.characters(), max_size=9)
    | st.datetimes().map(str)
    | st.sampled_from(["enrol", "DEVICE", "24:6f:28:aa:bb:cc", 604_801, 90.0, {"place": "P"}]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


def problems(kind: type[Input], values: dict[str, Any]) -> tuple[Problem, ...]:
    try:
        kind.check(GOOD.get(kind, {}) | values)
    except InputError as error:
        return error.problems
    return ()


def fields(kind: type[Input], values: dict[str, Any]) -> list[str | None]:
    """Where the problems are."""
    return [problem.field for problem in problems(kind, values)]


@pytest.mark.parametrize("kind", GOOD)
def test_what_is_good(kind: type[Input]) -> None:
    assert fields(kind, {}) == []


@pytest.mark.parametrize(("kind", "field"), NAMES + SHORT)
def test_a_name_has_1_to_64_characters(kind: type[Input], field: str) -> None:
    for good in ("x", "я" * 64, "🚀" * 64, "  " + "x" * 64 + "\t\n"):
        assert fields(kind, {field: good}) == []
    for bad in ("", " \u3000\t", "x" * 65, "🚀" * 65):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("kind", "field"), NAMES)
def test_a_name_has_something_to_see(kind: type[Input], field: str) -> None:
    for bad in ("\u200b", "\u2060\ufeff\u00ad", "\u3164", "\u202e", "\u2800", "\ufe0f"):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("kind", "field"), TEXTS)
def test_text_has_no_control_characters(kind: type[Input], field: str) -> None:
    for bad in ("a\x00b", "\x00", "a\nb", "a\x1bb", "a\x7fb", "a\x85b", "\ud800", "a\udfffb"):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("kind", "field", "most"), LONG)
def test_longer_text_has_a_limit_too(kind: type[Input], field: str, most: int) -> None:
    assert fields(kind, {field: ""}) == []
    assert fields(kind, {field: "x" * most}) == []
    assert fields(kind, {field: "x" * (most + 1)}) == [field]


@pytest.mark.parametrize(("kind", "field"), [*TEXTS, (RegistrationInput, "mac")])
def test_text_is_text(kind: type[Input], field: str) -> None:
    for bad in (1, 1.5, True, ["a"], {"a": "b"}):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("kind", "field", "least", "most"), NUMBERS)
def test_a_number_has_limits(kind: type[Input], field: str, least: int, most: int) -> None:
    for good in (least, most):
        assert fields(kind, {field: good}) == []
    for bad in (least - 1, most + 1, -(2**63), 10**400, 1.5, float("nan"), float("inf"), "x"):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("field", "other", "most"), [
    ("latitude", "longitude", 90),
    ("longitude", "latitude", 180),
])  # fmt: skip
def test_coordinates_are_on_earth(field: str, other: str, most: int) -> None:
    for good in (-most, 0, most, -0.0):
        assert fields(Location, {field: good, other: 0}) == []
    infinite = float("inf")
    for bad in (most + 1e-9, -most - 1e-9, infinite, -infinite, float("nan"), "north", 10**400):
        assert fields(Location, {field: bad, other: 0}) == [field]


@pytest.mark.parametrize("field", ["latitude", "longitude"])
def test_one_coordinate_alone_is_no_place(field: str) -> None:
    registration = {"location": {"place": "Paris", field: 1}}
    assert fields(RegistrationInput, registration) == ["location"]
    assert "both latitude and longitude" in problems(RegistrationInput, registration)[0].message


def test_a_mac_is_an_address() -> None:
    assert RegistrationInput.check(GOOD[RegistrationInput]).mac == bytes.fromhex("246f28aabbcc")
    for bad in ("", "24:6f", "0" * 12, None, b"\x24\x6f\x28\xaa\xbb\xcc"):
        assert fields(RegistrationInput, {"mac": bad}) == ["mac"]


def test_all_problems_are_told_at_once() -> None:
    wrong = {
        "mac": "x",
        "owner": "\x00",
        "location": {"place": "", "latitude": 91, "longitude": "east"},
        "measurementType": "x" * 65,
        "sensorModel": "",
        "appliedVersion": 0,
    }
    found = problems(RegistrationInput, wrong)
    assert [problem.field for problem in found] == [
        "mac",
        "owner",
        "location.place",
        "location.latitude",
        "location.longitude",
        "measurementType",
        "sensorModel",
        "appliedVersion",
    ]
    assert {problem.code for problem in found} == {ErrorCode.INVALID}
    assert all(problem.message[-1:].strip() for problem in found)


def test_what_is_missing_is_named_as_the_caller_names_it() -> None:
    with pytest.raises(InputError) as raised:
        RegistrationInput.check({"location": {}})
    missing = [problem.field for problem in raised.value.problems]
    assert missing == ["mac", "location.place", "measurementType"]


def test_a_change_of_config_changes_something() -> None:
    with pytest.raises(InputError, match="intervalSeconds, qos or both"):
        ConfigChange.check({"expectedVersion": 1})


@pytest.mark.parametrize("values", [{}, {"sensorModel": "BME280"}, {"owner": "Acme"}])
def test_a_change_leaves_the_rest_as_it_is(values: dict[str, Any]) -> None:
    change = DeviceChange.check(values)
    assert change.model_dump(exclude_none=True, by_alias=True) == values


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Lima"])
def test_a_time_without_zone_is_utc_wherever_the_server_stands(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        _check_zones()
    finally:
        monkeypatch.undo()
        time.tzset()


def _check_zones() -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    for same in (soon, soon.replace(tzinfo=None), soon.astimezone(timezone(timedelta(hours=-12)))):
        for given_as in (same, same.isoformat()):
            token = NewToken.check({"kind": "enrol", "expiresAt": given_as})
            assert token.expires_at == soon
            assert token.expires_at is not None
            assert token.expires_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.now(UTC) - timedelta(seconds=1),
        datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1),
        datetime.now(timezone(timedelta(hours=14))),
        datetime.min,  # noqa: DTZ901
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        "yesterday",
        float("nan"),
        10**400,
    ],
)
def test_a_token_expires_in_the_future_and_in_utc(moment: Any) -> None:
    assert fields(NewToken, {"expiresAt": moment}) == ["expiresAt"]


@pytest.mark.parametrize(("kind", "fits"), [("admin", False), ("viewer", False), ("enrol", True)])
def test_only_an_enrolment_key_has_a_number_of_uses(kind: str, *, fits: bool) -> None:
    found = problems(NewToken, {"kind": kind, "maxUses": 5})
    assert [problem.message for problem in found] == (
        [] if fits else ["Only an enrolment key can have maxUses."]
    )


def test_nobody_makes_a_device_s_token() -> None:
    assert "by registering" in problems(NewToken, {"kind": "device"})[0].message
    for unknown in ("root", "", "ADMIN", None, 1):
        assert fields(NewToken, {"kind": unknown}) == ["kind"]


def test_a_page_has_50_unless_told_otherwise() -> None:
    assert Page.check({}) == Page(first=50, after=None)


@pytest.mark.parametrize("kind", INPUTS)
@given(data=st.data())
def test_whatever_comes_is_taken_or_explained(kind: type[Input], data: st.DataObject) -> None:
    named = {name: JSON for field in kind.model_fields for name in (field, to_camel(field))}
    values = data.draw(st.fixed_dictionaries({}, optional=named))
    values |= data.draw(st.sampled_from([{}, GOOD.get(kind, {})]))
    for problem in problems(kind, values):
        assert problem.message
        assert problem.field is None or problem.field.isprintable()


@pytest.mark.parametrize("kind", INPUTS)
@given(values=JSON)
def test_not_even_an_object(kind: type[Input], values: Any) -> None:
    with suppress(InputError):
        kind.check(values)
