"""Questions that a server can be asked, made of its schema: what is added there is asked, too."""

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

# A device's own requests change it.
VOLATILE = frozenset({"lastSeenAt"})
MAC = "24:6f:28:00:00:01"
KNOWN_DEVICE = device_id(parse_mac(MAC))
DEEP = 3
CONDITION = "yes"
TEXTS = ("Acme", "ACME  ", "Borg", "Paris", "temperature", "BME280", "admin:1", "", "none of it")
# By the type's name, or the argument's; the last ones are wrong.
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
WAYS = ("literals", "variables", "pieces", "get", "persisted", "trusted", "rest")
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
    "nobody",
)
# As they are: what some may ask and others not, and mistakes that are told differently.
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
class Question:
    """Who asks which root field for what, in which way. `arguments`: in JSON, those that are given;
    `condition`: the value of a variable for `@include`, in JSON; None: it is left out. `raw`: the
    document, in the place of these.
    """

    field: str = ""
    arguments: str = "{}"
    caller: str = "admin"
    way: str = "literals"
    selection: str = "small"
    condition: str | None = None
    raw: str = ""

    @property
    def values(self) -> dict[str, Any]:
        return dict(json.loads(self.arguments))


@dataclass(frozen=True)
class Sent:
    """An HTTP request: `params` of its URL, or a JSON body."""

    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: Any = None


def requests_of(question: Question) -> list[Sent]:
    """What a client sends for it; each only where the one before was not known by its hash."""
    if question.way == "rest" and question.field in ROUTES:
        return [_by_route(question)]
    if question.way == "trusted" and question.field in TRUSTED:
        body = {"documentId": TRUSTED[question.field], "variables": _variables(question)}
        return [Sent("POST", "/graphql", body=body)]
    text, variables = text_of(question)
    whole = {"query": text, "variables": variables} if variables else {"query": text}
    if question.way == "get":
        params = {"query": text, "variables": json.dumps(variables)}
        return [Sent("GET", "/graphql", params=params)]
    if question.way != "persisted":
        return [Sent("POST", "/graphql", body=whole)]
    hash = {"version": 1, "sha256Hash": sha256(text.encode()).hexdigest()}
    extensions = {"persistedQuery": hash}
    alone = {"variables": variables, "extensions": extensions}
    return [
        Sent("POST", "/graphql", body=alone),
        Sent("POST", "/graphql", body={**whole, "extensions": extensions}),
    ]


def text_of(question: Question) -> tuple[str, dict[str, Any]]:
    """The document, and its variables."""
    if question.raw:
        return question.raw, {}
    field, given = QUERY.fields[question.field], question.values
    declared: dict[str, str] = {}
    variables: dict[str, Any] = {}
    if question.way == "literals":
        arguments = {n: _literal(v, field.args[n].type) for n, v in given.items()}
    elif question.way == "pieces":
        arguments = _pieces(field, given, declared, variables)
    else:
        arguments = {name: f"${name}" for name in field.args}
        declared = {name: _declared(argument) for name, argument in field.args.items()}
        variables = given
    if question.selection == "conditional":
        declared[CONDITION] = "Boolean = true"
        if question.condition is not None:
            variables[CONDITION] = json.loads(question.condition)
    heads = ", ".join(f"${name}: {type}" for name, type in declared.items())
    call = ", ".join(f"{name}: {value}" for name, value in arguments.items())
    selected = _selected(get_named_type(field.type), question.selection)
    head = f"query ({heads}) " if heads else ""
    return f"{head}{{ {question.field}{f'({call})' if call else ''}{selected} }}", variables


def neighbours(field: str) -> Iterator[dict[str, Any]]:
    """Arguments of a root field that differ in one of them, or in one field of one."""
    required = {
        n: KNOWN_DEVICE for n, a in QUERY.fields[field].args.items() if is_required_argument(a)
    }
    yield required
    for name, argument in QUERY.fields[field].args.items():
        for value in (None, *values_of(name, argument.type)):
            yield {**required, name: value}


def values_of(name: str, type: Any) -> list[Any]:
    """Some values of a type, wrong ones among them; of an input object, with one field each."""
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
    """The type of its variable, which may be null or left out wherever the argument may."""
    type = argument.type if is_required_argument(argument) else get_nullable_type(argument.type)
    return str(type)


def _pieces(
    field: GraphQLField,
    given: Mapping[str, Any],
    declared: dict[str, str],
    variables: dict[str, Any],
) -> dict[str, str]:
    """As `find` has them: a variable for each field of an input object."""
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
    """What can be selected of an object, without pages inside of pages."""
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


def _variables(question: Question) -> dict[str, Any]:
    """Of the trusted document."""
    given = question.values
    return {"id": given["deviceId"]} if "deviceId" in given else given


def _by_route(question: Question) -> Sent:
    """A query can't say null; what is in a filter has names of its own."""
    given = _variables(question)
    given |= given.pop("filter", None) or {}
    path = ROUTES[question.field]
    if isinstance(id := given.pop("id", None), str):
        path = f"{path}/{id or 'none'}"
    texts = {n: v if isinstance(v, str) else json.dumps(v) for n, v in given.items()}
    return Sent("GET", path, params={n: texts[n] for n in texts if given[n] is not None})
