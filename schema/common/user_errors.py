"""User errors in the payload of a mutation, each with a field and what to do."""

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
        "INVALID: the value can't be used. NOT_FOUND: the object does not exist, or the token may "
        "not see it. CONFLICT: the request does not fit the present state. NOT_ALLOWED: the token "
        "may not do this. USED_UP: the enrolment key has no uses left."
    ),
)


@strawberry.type(description="A problem with the input that the caller can correct.")
class UserError:
    code: Code = strawberry.field(description="The kind of problem, for programs.")
    field: str | None = strawberry.field(
        description="Where the problem is: a dotted path into the input, such as "
        "`location.latitude`; null if it is not in one field."
    )
    message: str = strawberry.field(description="What is wrong and what to do, for people.")


def user_error(problem: Problem) -> UserError:
    return UserError(code=problem.code, field=problem.field, message=problem.message)


class UserErrors(FieldExtension):
    """Turns an InputError into a payload with `errors` only."""

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
        description="Problems with the input; empty if the mutation succeeded.",
        default_factory=list,
    )
