"""REST routes: trusted documents as HTTP endpoints.

`routes.toml` beside the documents has lines such as `"GET /topics/{id}" = "t"`, with variables of
the document in braces. The operator's file adds routes and overrides built-in ones.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from graphql import FieldNode, GraphQLSchema, OperationDefinitionNode, OperationType, print_ast

from schema.engine.documents import Document
from schema.engine.trusted_documents import BUILT_IN, BadTrustedDocument
from schema.routes.parameters import Parameters

MANIFEST = "routes.toml"
LINE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/[A-Za-z0-9_.~/{}-]+)")
NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Methods without a body: their values are in the query.
BY_QUERY = frozenset({"GET", "DELETE"})
# The selection of user errors that a mutation must have.
ERRORS = "errors { code field message }"
# First path segments that the server itself uses.
RESERVED = frozenset(
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
    """`in_path`: names of the variables that `path` has in braces."""

    method: str
    path: str
    id: str
    node: OperationDefinitionNode
    document: Document
    field: FieldNode
    parameters: Parameters
    in_path: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The comment at the start of the document."""
        loc = self.document.ast.loc
        lines = loc.source.body.splitlines() if loc else []
        comment = takewhile(lambda line: line.startswith("#"), lines)
        return " ".join(line.lstrip("# ") for line in comment)

    @property
    def key(self) -> str:
        """Response key of the root field."""
        return (self.field.alias or self.field.name).value

    @property
    def has_body(self) -> bool:
        return self.method not in BY_QUERY

    @property
    def is_mutation(self) -> bool:
        return self.node.operation is OperationType.MUTATION


def read_routes(
    schema: GraphQLSchema, documents: Mapping[str, Document], folder: Path | None
) -> list[Route]:
    """Return the built-in routes and those of the operator's folder.

    Raises BadTrustedDocument if a route is invalid.
    """
    return routes_of(schema, documents, route_lines(folder))


def route_lines(folder: Path | None) -> Mapping[str, str]:
    """Return document ids by method and path. Raises BadTrustedDocument if a line is invalid."""
    return _lines(BUILT_IN) | (_lines(folder) if folder else {})


def routes_of(
    schema: GraphQLSchema, documents: Mapping[str, Document], lines: Mapping[str, str]
) -> list[Route]:
    """`lines`: as returned by `route_lines`. Raises BadTrustedDocument if a route is invalid."""
    routes = [_route(schema, documents, line, id) for line, id in lines.items()]
    paths: dict[str, str] = {}
    for route in routes:
        other = paths.setdefault(NAME.sub("{}", route.path), route.path)
        if other != route.path:
            raise BadTrustedDocument(
                f"{MANIFEST}: {route.path} has the same path as {other}: write it as {other}."
            )
    return routes


def _lines(folder: Path) -> dict[str, str]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadTrustedDocument(f"{path} can't be read: {error}") from None
    for line, id in lines.items():
        if not LINE.fullmatch(line) or not isinstance(id, str):
            raise BadTrustedDocument(f'{path}: write {line!r} as "GET /path/{{id}}" = "document".')
    return lines


def _route(schema: GraphQLSchema, documents: Mapping[str, Document], line: str, id: str) -> Route:
    method, path = line.split()
    document = documents.get(id)
    if document is None:
        raise _bad(line, f"there is no trusted document {id}")
    node = document.plan(None).node
    field, *more = node.selection_set.selections
    if more or not isinstance(field, FieldNode):
        raise _bad(line, f"select exactly one root field in {id}, without fragments")
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
    parameters = route.parameters.by_name
    if route.path.split("/")[1] in RESERVED:
        raise _bad(line, "the server needs this path itself")
    if route.node.operation is OperationType.SUBSCRIPTION:
        raise _bad(line, "a subscription can't be a route")
    if route.is_mutation and route.method == "GET":
        raise _bad(line, "use another method for a mutation")
    if route.is_mutation and not _selects_errors(route.field):
        raise _bad(line, f"select `{ERRORS}` in {route.id}")
    for name in route.in_path:
        if name not in parameters or not parameters[name].is_plain or parameters[name].is_list:
            raise _bad(line, f"make ${name} a variable of {route.id}, a scalar or an enum")
    if not route.has_body:
        for name, parameter in parameters.items():
            if not parameter.is_plain:
                raise _bad(
                    line, f"${name} of {route.id} can't be sent in a query: use another method"
                )


def _selects_errors(field: FieldNode) -> bool:
    selections = field.selection_set.selections if field.selection_set else ()
    return any(" ".join(print_ast(each).split()) == ERRORS for each in selections)


def _bad(line: str, problem: str) -> BadTrustedDocument:
    return BadTrustedDocument(f"{MANIFEST}, {line}: {problem}.")
