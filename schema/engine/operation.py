"""Requests, and the operations that they ask for."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from graphql import OperationType

from schema.engine.documents import Document
from schema.engine.plan import Plan


@dataclass(frozen=True, slots=True)
class Request:
    """A GraphQL request over any transport.

    `document_id`: of a trusted document, instead of `query`. `sha256`: in hex, of `query`, or of a
    persisted document if `query` is empty. `document`: the one with this id, if already known.
    """

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    document_id: str | None = None
    sha256: str | None = None
    document: Document | None = None


class DocumentRights(NamedTuple):
    """What a caller may send. `sender`: a key of the caller, for fair shares.

    `persists`: whether its documents are persisted by their hash.
    """

    sender: Hashable
    may_introspect: bool = False
    only_trusted: bool = False
    persists: bool = False


class Operation(NamedTuple):
    """A request with a valid document, ready to be executed. `sender`: as in DocumentRights."""

    request: Request
    document: Document
    plan: Plan
    sender: Hashable

    @property
    def type(self) -> OperationType:
        return self.plan.type

    @property
    def label(self) -> str:
        return self.plan.label
