"""User errors: in the payload of a mutation, each with its field and what to do."""

from typing import Any

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.types import Info

from domain.errors import ErrorCode as Code
from domain.errors import InputError, Problem

ErrorCode = strawberry.enum(
    Code,
    name="ErrorCode",
    description=(
        "INVALID: the value can't be used. NOT_FOUND: there is no such thing, or not for this "
        "token. CONFLICT: it does not fit the present state. NOT_ALLOWED: not with this token. "
        "USED_UP: the enrolment key has no uses left."
    ),
)


@strawberry.type(description="One thing wrong with the input, for the caller to put right.")
class UserError:
    code: Code = strawberry.field(description="What sort of mistake it is, for programs.")
    field: str | None = strawberry.field(
        description="Where: a dotted path into the input, such as `location.latitude`."
    )
    message: str = strawberry.field(description="What is wrong and what to do, for people.")


def user_error(problem: Problem) -> UserError:
    return UserError(code=problem.code, field=problem.field, message=problem.message)


class UserErrors(FieldExtension):
    """Turns an InputError into a payload that has nothing but `errors`."""

    def __init__(self, payload: type[Any]) -> None:
        self.payload = payload

    async def resolve_async(
        self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any
    ) -> Any:
        try:
            return await next_(source, info, **kwargs)
        except InputError as error:
            return self.payload(errors=[user_error(problem) for problem in error.problems])


def errors_field() -> Any:
    return strawberry.field(
        description="What was wrong with the input; empty when it was done.", default_factory=list
    )
