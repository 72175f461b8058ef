"""Inputs about tokens."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from domain.access.tokens import TokenKind
from domain.inputs import MAX_VERSION, Future, Input, Name, Note


class NewToken(Input):
    kind: TokenKind
    owner: Name | None = None
    note: Note | None = None
    expires_at: Future | None = None
    max_uses: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = None

    @model_validator(mode="after")
    def check_kind(self) -> Self:
        if self.kind is TokenKind.DEVICE:
            raise ValueError("A device gets its token by registering.")
        if self.max_uses is not None and self.kind is not TokenKind.ENROL:
            raise ValueError("Only an enrolment key can have maxUses.")
        return self
