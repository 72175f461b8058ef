"""What callers may send, with its limits. Pydantic checks it; every message names its field."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from domain.access.tokens import TokenKind
from domain.alerts.recipients import Role
from domain.devices.config import MAX_INTERVAL_SECONDS
from domain.devices.identity import parse_mac
from domain.errors import ErrorCode, InputError, Problem
from domain.events.kinds import EventKind
from domain.names import name_key

MAX_VERSION = 2**31 - 1


def _printable(text: str) -> str:
    if not text.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise ValueError("Control characters are not allowed here.")
    return text


def _mac(value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError("Give the MAC address as text.")  # noqa: TRY004  pydantic wants ValueError
    return parse_mac(value)


def _visible(name: str) -> str:
    if not name_key(name):
        raise ValueError("Give at least one visible character.")
    return name


def _utc(moment: datetime) -> datetime:
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError("Give a time between the years 1 and 9999, in UTC.") from None


def _future(moment: datetime) -> datetime:
    moment = _utc(moment)
    if moment <= datetime.now(UTC):
        raise ValueError("Give a time in the future.")
    return moment


Text = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_printable)]
Name = Annotated[Text, StringConstraints(min_length=1, max_length=64), AfterValidator(_visible)]
Short = Annotated[Text, StringConstraints(min_length=1, max_length=64)]
Version = Annotated[int, Field(ge=1, le=MAX_VERSION)]
Interval = Annotated[int, Field(ge=1, le=MAX_INTERVAL_SECONDS)]
Qos = Annotated[int, Field(ge=0, le=2)]
Mac = Annotated[bytes, BeforeValidator(_mac)]


class Input(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    @classmethod
    def check(cls, values: dict[str, Any]) -> Self:
        """Raises InputError with every problem there is."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(*map(_problem, error.errors())) from None


def _problem(error: Any) -> Problem:
    field = ".".join(to_camel(str(part)) for part in error["loc"]) or None
    message = error["msg"].removeprefix("Value error, ")
    return Problem(ErrorCode.INVALID, field, message)


class Location(Input):
    """Coordinates in degrees (WGS 84), both or neither."""

    place: Name
    latitude: float | None = Field(default=None, ge=-90, le=90, allow_inf_nan=False)
    longitude: float | None = Field(default=None, ge=-180, le=180, allow_inf_nan=False)

    @model_validator(mode="after")
    def both_or_neither(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("Give both latitude and longitude, or neither.")
        return self


class Registration(Input):
    mac: Mac
    owner: Name | None = None
    location: Location
    measurement_type: Name
    sensor_model: Short | None = None
    firmware: Short | None = None
    applied_version: Version | None = None


class DeviceChange(Input):
    """What is left out stays as it is."""

    owner: Name | None = None
    location: Location | None = None
    measurement_type: Name | None = None
    sensor_model: Short | None = None
    firmware: Short | None = None


class ConfigChange(Input):
    """What is left out stays as it is. `expected_version` guards against a lost update."""

    interval_seconds: Interval | None = None
    qos: Qos | None = None
    expected_version: Version | None = None

    @model_validator(mode="after")
    def something(self) -> Self:
        if self.interval_seconds is None and self.qos is None:
            raise ValueError("Give intervalSeconds, qos or both.")
        return self


class NewLink(Input):
    """Whom a device hears: an owner's devices, by place, by type, by both, or one device."""

    owner: Name | None = None
    place: Name | None = None
    measurement_type: Name | None = None
    device_id: str | None = None

    @model_validator(mode="after")
    def one_or_some(self) -> Self:
        if self.device_id is not None and (self.place or self.measurement_type):
            raise ValueError("Give either deviceId, or place and measurementType.")
        return self


class Acknowledgement(Input):
    version: Version
    error: Annotated[Text, StringConstraints(max_length=200)] | None = None
    firmware: Short | None = None


class NewToken(Input):
    kind: TokenKind
    owner: Name | None = None
    note: Annotated[Text, StringConstraints(max_length=200)] | None = None
    expires_at: Annotated[datetime, AfterValidator(_future)] | None = None
    max_uses: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = None

    @model_validator(mode="after")
    def fits_its_kind(self) -> Self:
        if self.kind is TokenKind.DEVICE:
            raise ValueError("A device gets its token by registering.")
        if self.max_uses is not None and self.kind is not TokenKind.ENROL:
            raise ValueError("Only an enrolment key can have maxUses.")
        return self


class NewInvite(Input):
    role: Role = Role.VIEWER
    owner: Name | None = None
    note: Annotated[Text, StringConstraints(max_length=200)] | None = None
    expires_at: Annotated[datetime, AfterValidator(_future)] | None = None


class DeviceFilter(Input):
    """All that is given must hold. Names match whatever their case; `search` matches words by
    their beginning in names, sensor model, firmware and id.
    """

    owner: Name | None = None
    place: Name | None = None
    measurement_type: Name | None = None
    sensor_model: Short | None = None
    state: str | None = None
    awaits_approval: bool | None = None
    in_sync: bool | None = None
    online: bool | None = None
    search: Annotated[Text, StringConstraints(max_length=100)] | None = None


class EventFilter(Input):
    """All that is given must hold; `since` belongs to it, `until` does not."""

    device_id: str | None = None
    owner: Name | None = None
    kinds: list[EventKind] | None = None
    actor: Annotated[Text, StringConstraints(min_length=1, max_length=100)] | None = None
    since: Annotated[datetime, AfterValidator(_utc)] | None = None
    until: Annotated[datetime, AfterValidator(_utc)] | None = None


class DeliveryFilter(Input):
    """All that is given must hold."""

    state: str | None = None
    recipient_id: str | None = None


class Page(Input):
    first: int = Field(default=50, ge=1, le=500)
    after: str | None = None
