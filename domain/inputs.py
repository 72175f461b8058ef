"""Field types of inputs, with their limits. Every error names its field."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from domain.errors import ErrorCode, InputError, Problem
from domain.names import name_key

MAX_VERSION = 2**31 - 1
# Replacements for pydantic's messages, by its error type.
MESSAGES = {
    "missing": "Give a value.",
    "too_short": "Give at least {min_length} values.",
    "too_long": "Give at most {max_length} values.",
}


def _printable(text: str) -> str:
    if not text.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
        raise ValueError("Control characters are not allowed here.")
    return text


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
Note = Annotated[Text, StringConstraints(max_length=200)]
Moment = Annotated[datetime, AfterValidator(_utc)]
Future = Annotated[datetime, AfterValidator(_future)]


class Input(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    @classmethod
    def check(cls, values: dict[str, Any]) -> Self:
        """Raises InputError with all problems of the values."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(*map(_problem, error.errors())) from None


def _problem(error: Any) -> Problem:
    field = ".".join(to_camel(str(part)) for part in error["loc"]) or None
    message = error["msg"].removeprefix("Value error, ")
    if template := MESSAGES.get(error["type"]):
        message = template.format(**error.get("ctx", {}))
    return Problem(ErrorCode.INVALID, field, message)


class Page(Input):
    first: int = Field(default=50, ge=1, le=500)
    after: str | None = None
