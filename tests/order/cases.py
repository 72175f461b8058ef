"""Requests derived from the schema, so that new fields and arguments are covered, too."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
    is_required_argument,
)

from db.paging import cursor
from domain.devices.identity import device_id, parse_mac
from schema.build import build_schema

SCHEMA = build_schema()._schema
QUERY = SCHEMA.type_map["Query"]
assert isinstance(QUERY, GraphQLObjectType)

# Changed by each request of the device.
VOLATILE = frozenset({"lastSeenAt"})
MAC = "24:6f:28:00:00:01"
KNOWN_DEVICE = device_id(parse_mac(MAC))
DEEP = 3
CONDITION = "yes"
TEXTS = ("Acme", "ACME  ", "Borg", "Paris", "temperature", "BME280", "admin:1", "", "none of it")
# Keyed by the name of the argument or of the type. The last values are invalid.
VALUES: Mapping[str, Sequence[Any]] = {
    "Boolean": (True, False, 1, "true"),
    "Int": (1, 3, 0, True),
    "Float": (1.5, 0, True),
    "String": TEXTS,
    "ID": ("1", "", 1),
    "DateTime": ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", 1),
    "after": (cursor("device", 2), cursor("event", 5), cursor("token", 2), "", "junk"),
    "first": (1, 2, 50, 500, 0, True),
    "search": ("Paris", "bme", "acme par", MAC, "", " ", "!!", "zzz"),
}
FORMS = ("literals", "variables", "pieces", "get", "persisted", "trusted", "rest")
CALLERS = (
    "admin",
    "admin of Acme",
    "admin of Borg",
    "viewer",
    "viewer of Acme",
    "device",
    "other device",
    "key",
    "unknown",
    "anonymous",
)
# Complete documents: some need rights, some are invalid in ways that give different messages.
RAW = (
    "{ __schema { queryType { name } } }",
    '{ fleet { total } __type(name: "Device") { name } }',
    "{ devcies { totalCount } }",
    "query a { fleet { total } } query b { me { id } }",
    '{ me { id } config(deviceId: "x") { version } }',
    "{ FLEET: fleet { total } }",
    "{ fleet: fleet { total } }",
)
SELECTIONS = ("small", "large", "conditional")
TRUSTED = {"devices": "devices", "device": "device", "topics": "t", "config": "c", "me": "b"}
ROUTES = {"devices": "/devices", "device": "/devices", "topics": "/topics", "config": "/config"}


@dataclass(frozen=True)
class Case:
    """A request of a caller for a root field. `form`: how it is sent. `arguments`: JSON object.
    `condition`: value of the variable for `@include`, as JSON; None: omitted. `raw`: a complete
    document instead of the field.
    """

    field: str = ""
    arguments: str = "{}"
    caller: str = "admin"
    form: str = "literals"
    selection: str = "small"
    condition: str | None = None
    raw: str = ""

    @property
    def values(self) -> dict[str, Any]:
        return dict(json.loads(self.arguments))


@dataclass(frozen=True)
class Sent:
    """An HTTP request with URL parameters or a JSON body."""

    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: Any = None


def requests_of(case: Case) -> list[Sent]:
    """Return the requests of a client. The second is sent only if the server lacks the hash."""
    if case.form == "rest" and case.field in ROUTES:
        return [_by_route(case)]
    if case.form == "trusted" and case.field in TRUSTED:
        body = {"documentId": TRUSTED[case.field], "variables": _variables(case)}
        return [Sent("POST", "/graphql", body=body)]
    text, variables = text_of(case)
    whole = {"query": text, "variables": variables} if variables else {"query": text}
    if case.form == "get":
        params = {"query": text, "variables": json.dumps(variables)}
        return [Sent("GET", "/graphql", params=params)]
    if case.form != "persisted":
        return [Sent("POST", "/graphql", body=whole)]
    hash = {"version": 1, "sha256Hash": sha256(text.encode()).hexdigest()}
    extensions = {"persistedQuery": hash}
    alone = {"variables": variables, "extensions": extensions}
    return [
        Sent("POST", "/graphql", body=alone),
        Sent("POST", "/graphql", body={**whole, "extensions": extensions}),
    ]


def text_of(case: Case) -> tuple[str, dict[str, Any]]:
    """Return the document and its variables."""
    if case.raw:
        return case.raw, {}
    field, given = QUERY.fields[case.field], case.values
    declared: dict[str, str] = {}
    variables: dict[str, Any] = {}
    if case.form == "literals":
        arguments = {n: _literal(v, field.args[n].type) for n, v in given.items()}
    elif case.form == "pieces":
        arguments = _pieces(field, given, declared, variables)
    else:
        arguments = {name: f"${name}" for name in field.args}
        declared = {name: _declared(argument) for name, argument in field.args.items()}
        variables = given
    if case.selection == "conditional":
        declared[CONDITION] = "Boolean = true"
        if case.condition is not None:
            variables[CONDITION] = json.loads(case.condition)
    heads = ", ".join(f"${name}: {type}" for name, type in declared.items())
    call = ", ".join(f"{name}: {value}" for name, value in arguments.items())
    selected = _selected(get_named_type(field.type), case.selection)
    head = f"query ({heads}) " if heads else ""
    return f"{head}{{ {case.field}{f'({call})' if call else ''}{selected} }}", variables


def variants(field: str) -> Iterator[dict[str, Any]]:
    """Yield arguments of a root field that differ in one argument or one field of an argument."""
    required = {
        n: KNOWN_DEVICE for n, a in QUERY.fields[field].args.items() if is_required_argument(a)
    }
    yield required
    for name, argument in QUERY.fields[field].args.items():
        for value in (None, *values_of(name, argument.type)):
            yield {**required, name: value}


def values_of(name: str, type: Any) -> list[Any]:
    """Return values of a type, including invalid ones. Input objects have one field each."""
    named = get_named_type(type)
    if is_list_type(get_nullable_type(type)):
        some = values_of(name, named)[:3]
        return [[], *([value] for value in some), some, some[0]]
    if isinstance(named, GraphQLInputObjectType):
        fields = named.fields.items()
        each = [(n, v) for n, f in fields for v in (None, *values_of(n, f.type))]
        return [{}, *({n: v} for n, v in each)]
    if isinstance(named, GraphQLEnumType):
        return [*named.values]
    if named.name == "ID" and name in ("id", "deviceId"):
        return [KNOWN_DEVICE, KNOWN_DEVICE.upper(), "x", ""]
    return list(VALUES.get(name, VALUES[named.name]))


def _declared(argument: GraphQLArgument) -> str:
    """Return the type of its variable, which is nullable if the argument may be omitted."""
    type = argument.type if is_required_argument(argument) else get_nullable_type(argument.type)
    return str(type)


def _pieces(
    field: GraphQLField,
    given: Mapping[str, Any],
    declared: dict[str, str],
    variables: dict[str, Any],
) -> dict[str, str]:
    """Use a variable for each field of an input object."""
    arguments = {}
    for name, argument in field.args.items():
        type = get_named_type(argument.type)
        value = given.get(name)
        if not isinstance(type, GraphQLInputObjectType) or not isinstance(value, dict):
            arguments[name] = f"${name}"
            declared[name] = _declared(argument)
            if name in given:
                variables[name] = value
            continue
        parts = []
        for part, about in type.fields.items():
            declared[f"{name}_{part}"] = str(get_nullable_type(about.type))
            parts.append(f"{part}: ${name}_{part}")
            if part in value:
                variables[f"{name}_{part}"] = value[part]
        arguments[name] = f"{{{', '.join(parts)}}}"
    return arguments


def _literal(value: Any, type: Any) -> str:
    named = get_named_type(type)
    if isinstance(value, dict):
        fields = named.fields
        return f"{{{', '.join(f'{n}: {_literal(v, fields[n].type)}' for n, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(_literal(each, named) for each in value)}]"
    if isinstance(named, GraphQLEnumType) and isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _selected(type: Any, selection: str) -> str:
    if is_leaf_type(type):
        return ""
    text = _fields(type, 3 if selection == "large" else 1)
    if selection == "conditional":
        text = f"__typename ... @include(if: ${CONDITION}) {{ {text} }}"
    return f" {{ {text} }}"


def _fields(type: Any, depth: int) -> str:
    """Select all fields of an object, without nested pages."""
    parts = []
    for name, field in type.fields.items():
        inner = get_named_type(field.type)
        if name in VOLATILE or (name in ("edges", "sources", "listeners") and depth < DEEP):
            continue
        if is_leaf_type(inner):
            parts.append(name)
        elif isinstance(inner, GraphQLObjectType) and (depth > 1 or name == "nodes"):
            parts.append(f"{name} {{ {_fields(inner, depth - 1)} }}")
    return " ".join(parts)


def _variables(case: Case) -> dict[str, Any]:
    """Return the variables for the trusted document."""
    given = case.values
    return {"id": given["deviceId"]} if "deviceId" in given else given


def _by_route(case: Case) -> Sent:
    """A query string can't express null; the fields of a filter are separate parameters."""
    given = _variables(case)
    given |= given.pop("filter", None) or {}
    path = ROUTES[case.field]
    if isinstance(id := given.pop("id", None), str):
        path = f"{path}/{id or 'none'}"
    texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in given.items()}
    return Sent("GET", path, params={n: texts[n] for n in texts if given[n] is not None})
