"""Every text argument and field of the schema, with hostile texts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_list_type,
)

from schema.build import build_schema
from schema.compiler.strawberry_internals import core_schema
from tests.support.client import Api

SCHEMA = core_schema(build_schema())
TEXTS = {
    "NUL": "Acme\0",
    "surrogate": "Acme\ud800",
    "half of a pair": "\udc00",
    "long": "x" * 100_000,
    "marks": "a" + "\u0315\u0316" * 100,
    "many marks": "a" + "\u0315\u0316" * 60_000,
    "invisible": "\u200b" * 40,
    "digits": "9" * 3_000,
    "quotes": "'; DROP TABLE devices; --\"\\",
    "line ends": "a\r\nb",
    "empty": "",
}
ACCEPT = {
    "query": "application/json",
    "mutation": "application/json",
    "subscription": "text/event-stream",
}
USUAL: dict[str, Any] = {
    "Int": 1,
    "Float": 1.0,
    "Boolean": True,
    "DateTime": "2999-01-01T00:00:00Z",
}


def text_paths() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield operation type, field and path of each text that a client can send."""
    for operation in ("query", "mutation", "subscription"):
        root = SCHEMA.type_map[operation.capitalize()]
        assert isinstance(root, GraphQLObjectType)
        for name, field in root.fields.items():
            for argument, definition in field.args.items():
                for path in paths_in(definition.type):
                    yield operation, name, (argument, *path)


def paths_in(type: Any, depth: int = 0) -> Iterator[tuple[str, ...]]:
    named = get_named_type(type)
    if isinstance(named, GraphQLInputObjectType) and depth < 4:
        for name, field in named.fields.items():
            for path in paths_in(field.type, depth + 1):
                yield (name, *path)
    elif named.name in ("String", "ID", "DateTime", "JSON"):
        yield ()


def value(type: Any, path: tuple[str, ...], text: str) -> Any:
    """Return a value of the type with the text at the path, and usual values elsewhere."""
    named = get_named_type(type)
    found: Any
    if isinstance(named, GraphQLInputObjectType):
        required = [n for n, field in named.fields.items() if str(field.type).endswith("!")]
        found = {
            name: value(named.fields[name].type, path[1:] if name == path[0] else ("",), text)
            for name in dict.fromkeys([*required, *[n for n in path[:1] if n]])
        }
    elif path == ():
        found = text
    else:
        found = USUAL.get(named.name, "Acme")
        if is_leaf_type(named) and hasattr(named, "values"):
            found = next(iter(named.values))
    return [found] if is_list_type(type) else found


def request(operation: str, name: str, path: tuple[str, ...], text: str) -> tuple[str, Any]:
    root: Any = SCHEMA.type_map[operation.capitalize()]
    args = root.fields[name].args
    used = [n for n, a in args.items() if n == path[0] or str(a.type).endswith("!")]
    variables = {n: value(args[n].type, path[1:] if n == path[0] else ("",), text) for n in used}
    declared = ", ".join(f"${n}: {args[n].type}" for n in used)
    given = ", ".join(f"{n}: ${n}" for n in used)
    return f"{operation} Q({declared}) {{ {name}({given}) {{ __typename }} }}", variables


@pytest.mark.parametrize("operation", ["query", "mutation", "subscription"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_hostile_text_gets_a_clear_error(api: Api, operation: str, text: str) -> None:
    checked = 0
    for kind, name, path in text_paths():
        if kind != operation:
            continue
        query, variables = request(kind, name, path, text)
        response = await api.http.post(
            "/graphql",
            content=json.dumps({"query": query, "variables": variables}),
            headers={
                "Authorization": f"Bearer {api.admin}",
                "Accept": ACCEPT[operation],
                "Content-Type": "application/json",
            },
        )
        assert "INTERNAL" not in response.text, (name, path, response.text[:500])
        assert response.status_code < 500, (name, path, response.text[:500])
        assert len(response.content) < 20_000
        checked += 1
    assert checked >= {"query": 15, "mutation": 30, "subscription": 5}[operation]
