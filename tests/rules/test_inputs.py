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
    """Return the field of each problem."""
    return [problem.field for problem in problems(kind, values)]


@pytest.mark.parametrize("kind", GOOD)
def test_valid_input_has_no_problems(kind: type[Input]) -> None:
    assert fields(kind, {}) == []


@pytest.mark.parametrize(("kind", "field"), NAMES + SHORT)
def test_name_has_1_to_64_characters(kind: type[Input], field: str) -> None:
    for good in ("x", "я" * 64, "🚀" * 64, "  " + "x" * 64 + "\t\n"):
        assert fields(kind, {field: good}) == []
    for bad in ("", " \u3000\t", "x" * 65, "🚀" * 65):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("kind", "field"), NAMES)
def test_name_has_a_visible_character(kind: type[Input], field: str) -> None:
    for bad in ("\u200b", "\u2060\ufeff\u00ad", "\u3164", "\u202e", "\u2800", "\ufe0f"):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("kind", "field"), TEXTS)
def test_text_has_no_control_characters(kind: type[Input], field: str) -> None:
    for bad in ("a\x00b", "\x00", "a\nb", "a\x1bb", "a\x7fb", "a\x85b", "\ud800", "a\udfffb"):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("kind", "field", "maximum"), LONG)
def test_text_length_limit(kind: type[Input], field: str, maximum: int) -> None:
    assert fields(kind, {field: ""}) == []
    assert fields(kind, {field: "x" * maximum}) == []
    assert fields(kind, {field: "x" * (maximum + 1)}) == [field]


@pytest.mark.parametrize(("kind", "field"), [*TEXTS, (RegistrationInput, "mac")])
def test_text_must_be_a_string(kind: type[Input], field: str) -> None:
    for bad in (1, 1.5, True, ["a"], {"a": "b"}):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("kind", "field", "minimum", "maximum"), NUMBERS)
def test_number_limits(kind: type[Input], field: str, minimum: int, maximum: int) -> None:
    for good in (minimum, maximum):
        assert fields(kind, {field: good}) == []
    for bad in (minimum - 1, maximum + 1, -(2**63), 10**400, 1.5, float("nan"), float("inf"), "x"):
        assert fields(kind, {field: bad}) == [field]


@pytest.mark.parametrize(("field", "other", "maximum"), [
    ("latitude", "longitude", 90),
    ("longitude", "latitude", 180),
])  # fmt: skip
def test_coordinate_limits(field: str, other: str, maximum: int) -> None:
    for good in (-maximum, 0, maximum, -0.0):
        assert fields(Location, {field: good, other: 0}) == []
    infinite = float("inf")
    for bad in (
        maximum + 1e-9,
        -maximum - 1e-9,
        infinite,
        -infinite,
        float("nan"),
        "north",
        10**400,
    ):
        assert fields(Location, {field: bad, other: 0}) == [field]


@pytest.mark.parametrize("field", ["latitude", "longitude"])
def test_single_coordinate_is_rejected(field: str) -> None:
    registration = {"location": {"place": "Paris", field: 1}}
    assert fields(RegistrationInput, registration) == ["location"]
    assert "both latitude and longitude" in problems(RegistrationInput, registration)[0].message


def test_mac_must_be_an_address() -> None:
    assert RegistrationInput.check(GOOD[RegistrationInput]).mac == bytes.fromhex("246f28aabbcc")
    for bad in ("", "24:6f", "0" * 12, None, b"\x24\x6f\x28\xaa\xbb\xcc"):
        assert fields(RegistrationInput, {"mac": bad}) == ["mac"]


def test_all_problems_are_reported_at_once() -> None:
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


def test_missing_fields_are_reported_in_camel_case() -> None:
    with pytest.raises(InputError) as raised:
        RegistrationInput.check({"location": {}})
    missing = [problem.field for problem in raised.value.problems]
    assert missing == ["mac", "location.place", "measurementType"]


def test_empty_config_change_is_rejected() -> None:
    with pytest.raises(InputError, match="intervalSeconds, qos or both"):
        ConfigChange.check({"expectedVersion": 1})


@pytest.mark.parametrize("values", [{}, {"sensorModel": "BME280"}, {"owner": "Acme"}])
def test_device_change_contains_only_given_fields(values: dict[str, Any]) -> None:
    change = DeviceChange.check(values)
    assert change.model_dump(exclude_none=True, by_alias=True) == values


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Lima"])
def test_time_without_zone_is_utc_in_any_local_zone(
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
def test_token_expiry_must_be_in_the_future(moment: Any) -> None:
    assert fields(NewToken, {"expiresAt": moment}) == ["expiresAt"]


@pytest.mark.parametrize(("kind", "fits"), [("admin", False), ("viewer", False), ("enrol", True)])
def test_max_uses_only_for_enrolment_keys(kind: str, *, fits: bool) -> None:
    found = problems(NewToken, {"kind": kind, "maxUses": 5})
    assert [problem.message for problem in found] == (
        [] if fits else ["Only an enrolment key can have maxUses."]
    )


def test_device_tokens_can_not_be_created() -> None:
    assert "by registering" in problems(NewToken, {"kind": "device"})[0].message
    for unknown in ("root", "", "ADMIN", None, 1):
        assert fields(NewToken, {"kind": unknown}) == ["kind"]


def test_default_page_size_is_50() -> None:
    assert Page.check({}) == Page(first=50, after=None)


@pytest.mark.parametrize("kind", INPUTS)
@given(data=st.data())
def test_any_values_are_accepted_or_reported_with_message(
    kind: type[Input], data: st.DataObject
) -> None:
    named = {name: JSON for field in kind.model_fields for name in (field, to_camel(field))}
    values = data.draw(st.fixed_dictionaries({}, optional=named))
    values |= data.draw(st.sampled_from([{}, GOOD.get(kind, {})]))
    for problem in problems(kind, values):
        assert problem.message
        assert problem.field is None or problem.field.isprintable()


@pytest.mark.parametrize("kind", INPUTS)
@given(values=JSON)
def test_check_accepts_or_rejects_any_json(kind: type[Input], values: Any) -> None:
    with suppress(InputError):
        kind.check(values)
