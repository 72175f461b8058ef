"""The routes in OpenAPI 3.1, made of the documents and the schema."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from graphql import FragmentDefinitionNode, GraphQLNonNull, GraphQLSchema

from domain.errors import ErrorCode
from schema.routes.parameters import Parameter
from schema.routes.routes import Route
from server.rest.json_types import Json, JsonTypes, described

ERRORS = {
    "400": "What came is not JSON, or from a page elsewhere.",
    "401": "This needs a valid token.",
    "403": "This token may not do that.",
    "404": "There is no such thing, or not for this token.",
    "409": "It does not fit the present state: read it and decide again.",
    "422": "A value can't be used; `field` says which.",
    "429": "Too much at once; `Retry-After` says when to come again.",
    "503": "The database is away or busy (`Retry-After`), or it took too long.",
}
PROBLEM: Json = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["code", "field", "message"],
                "properties": {
                    "code": {
                        "type": "string",
                        "description": "For programs: "
                        + ", ".join(ErrorCode)
                        + ", or another of docs/api.md.",
                    },
                    "field": {"type": ["string", "null"], "description": "What is wrong."},
                    "message": {"type": "string", "description": "For people."},
                },
            },
        }
    },
}
ABOUT = (
    "The REST face of the GraphQL API at `/graphql`, which can do more. Each route is a trusted "
    "document: its parameters are the document's variables, and its answer is what the document "
    "selects."
)


def openapi(schema: GraphQLSchema, routes: Sequence[Route]) -> Json:
    types = JsonTypes(schema)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(schema, types, route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rollcall", "version": version("rollcall"), "description": ABOUT},
        # Wherever this document is: behind a proxy that adds a path, too.
        "servers": [{"url": "."}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**types.components, "Problem": PROBLEM},
            "responses": {
                status: {"description": text, "content": _json(_reference("Problem"))}
                for status, text in ERRORS.items()
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of a person or device, or an enrolment key.",
                }
            },
        },
    }


def _operation(schema: GraphQLSchema, types: JsonTypes, route: Route) -> Json:
    root: Any = schema.get_root_type(route.node.operation)
    parts = [part for part in route.path.split("/") if part and "{" not in part]
    found: Json = {
        "operationId": f"{route.method.lower()}_{route.id}".replace(".", "_"),
        "summary": route.about.rstrip("."),
        "tags": parts[:1],
        "parameters": list(_parameters(types, route)),
        "responses": {
            "200": {
                "description": root.fields[route.field.name.value].description or "Done.",
                "content": _json(_answer(root, types, route)),
            },
            **{
                status: {"$ref": f"#/components/responses/{status}"}
                for status in ERRORS
                if _can_be(route, status)
            },
        },
    }
    if route.has_body and (body := _body(types, route)):
        found["requestBody"] = body
    return found


def _can_be(route: Route, status: str) -> bool:
    if status == "409":
        return route.changes
    return status != "404" or bool(route.in_path)


def _parameters(types: JsonTypes, route: Route) -> Iterator[Json]:
    for parameter in route.parameters.by_name.values():
        if parameter.name in route.in_path:
            yield _parameter(types, parameter, "path")
        elif not route.has_body:
            yield _parameter(types, parameter, "query")


def _parameter(types: JsonTypes, parameter: Parameter, where: str) -> Json:
    return {
        "name": parameter.name,
        "in": where,
        "required": where == "path" or parameter.required,
        **described(parameter.description),
        # A query can't say null.
        "schema": {**types.required(parameter.type), **_default(parameter)},
    }


def _body(types: JsonTypes, route: Route) -> Json | None:
    taken = [p for p in route.parameters.by_name.values() if p.name not in route.in_path]
    required = [parameter.name for parameter in taken if parameter.required]
    properties = {
        parameter.name: {
            **_type(types, parameter),
            **described(parameter.description),
            **_default(parameter),
        }
        for parameter in taken
    }
    body = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return {"required": bool(required), "content": _json(body)} if taken else None


def _type(types: JsonTypes, parameter: Parameter) -> Json:
    if isinstance(parameter.type, GraphQLNonNull):
        return types.required(parameter.type)
    return types.given(parameter.type)


def _default(parameter: Parameter) -> Json:
    return {} if parameter.default is None else {"default": parameter.default}


def _answer(root: Any, types: JsonTypes, route: Route) -> Json:
    fragments = {
        node.name.value: node
        for node in route.document.ast.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    type = root.fields[route.field.name.value].type
    some = type if isinstance(type, GraphQLNonNull) else GraphQLNonNull(type)
    found = types.selected(some, route.field.selection_set, fragments)
    if route.changes:
        del found["properties"]["errors"]
        found["required"].remove("errors")
    return found


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
