"""Trusted documents that are HTTP endpoints, too.

`routes.toml` beside them has lines such as `"GET /topics/{id}" = "t"`; an operator's own adds to
them, and has precedence. What is in braces is a variable of the document.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from graphql import FieldNode, GraphQLSchema, OperationDefinitionNode, OperationType, print_ast

from schema.engine.documents import Document
from schema.engine.trusted_documents import OURS, BadTrustedDocument
from schema.routes.parameters import Parameters

MANIFEST = "routes.toml"
LINE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/[A-Za-z0-9_.~/{}-]+)")
NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# These have no body.
BY_QUERY = frozenset({"GET", "DELETE"})
# A mutation tells by them what was wrong.
ERRORS = "errors { code field message }"
# Of the server itself.
TAKEN = frozenset(
    {
        "docs",
        "graphiql",
        "graphql",
        "healthz",
        "metrics",
        "mqtt",
        "openapi.json",
        "readyz",
        "telegram",
    }
)


@dataclass(frozen=True, slots=True)
class Route:
    """`path` has the names in `in_path`, in braces."""

    method: str
    path: str
    id: str
    node: OperationDefinitionNode
    document: Document
    field: FieldNode
    parameters: Parameters
    in_path: tuple[str, ...]

    @property
    def about(self) -> str:
        """The comment at the document's head."""
        loc = self.document.ast.loc
        lines = loc.source.body.splitlines() if loc else []
        comment = takewhile(lambda line: line.startswith("#"), lines)
        return " ".join(line.lstrip("# ") for line in comment)

    @property
    def key(self) -> str:
        """Of the value in the operation's result."""
        return (self.field.alias or self.field.name).value

    @property
    def has_body(self) -> bool:
        return self.method not in BY_QUERY

    @property
    def changes(self) -> bool:
        return self.node.operation is OperationType.MUTATION


def read_routes(
    schema: GraphQLSchema, documents: Mapping[str, Document], folder: Path | None
) -> list[Route]:
    """Those of ours, and of the operator's folder. Raises BadTrustedDocument."""
    lines = _lines(OURS) | (_lines(folder) if folder else {})
    routes = [_route(schema, documents, line, id) for line, id in lines.items()]
    paths: dict[str, str] = {}
    for route in routes:
        other = paths.setdefault(NAME.sub("{}", route.path), route.path)
        if other != route.path:
            raise BadTrustedDocument(f"{MANIFEST}: write {route.path} as {other}, which it is.")
    return routes


def _lines(folder: Path) -> dict[str, str]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadTrustedDocument(f"{path} can't be read: {error}") from None
    for line, id in found.items():
        if not LINE.fullmatch(line) or not isinstance(id, str):
            raise BadTrustedDocument(f'{path}: write {line!r} as "GET /path/{{id}}" = "document".')
    return found


def _route(schema: GraphQLSchema, documents: Mapping[str, Document], line: str, id: str) -> Route:
    method, path = line.split()
    document = documents.get(id)
    if document is None:
        raise _bad(line, f"there is no trusted document {id}")
    node = document.plan(None).node
    field, *more = node.selection_set.selections
    if more or not isinstance(field, FieldNode):
        raise _bad(line, f"select one field, without fragments, at the top of {id}")
    route = Route(
        method,
        path,
        id,
        node,
        document,
        field,
        Parameters(schema, node),
        tuple(NAME.findall(path)),
    )
    _check(route, line)
    return route


def _check(route: Route, line: str) -> None:
    known = route.parameters.by_name
    if route.path.split("/")[1] in TAKEN:
        raise _bad(line, "the server needs this path itself")
    if route.node.operation is OperationType.SUBSCRIPTION:
        raise _bad(line, "a subscription can't be asked for like this")
    if route.changes and route.method == "GET":
        raise _bad(line, "take another method for a mutation")
    if route.changes and not _tells_errors(route.field):
        raise _bad(line, f"select `{ERRORS}` in {route.id}")
    for name in route.in_path:
        if name not in known or not known[name].is_plain or known[name].is_list:
            raise _bad(line, f"make ${name} a variable of {route.id}, a scalar or an enum")
    if not route.has_body:
        for name, parameter in known.items():
            if not parameter.is_plain:
                raise _bad(line, f"${name} of {route.id} does not go into a query")


def _tells_errors(field: FieldNode) -> bool:
    selections = field.selection_set.selections if field.selection_set else ()
    return any(" ".join(print_ast(each).split()) == ERRORS for each in selections)


def _bad(line: str, why: str) -> BadTrustedDocument:
    return BadTrustedDocument(f"{MANIFEST}, {line}: {why}.")
