"""The OpenAPI 3.1 description of the routes, generated from the documents and the schema."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from graphql import FragmentDefinitionNode, GraphQLNonNull, GraphQLSchema

from domain.errors import ErrorCode
from schema.routes.parameters import Parameter
from schema.routes.routes import Route
from server.rest.json_types import Json, JsonTypes, description_of

ERRORS = {
    "400": "The body is not JSON, or the request comes from a page of another site.",
    "401": "A valid token is required.",
    "403": "This token may not do that.",
    "404": "Not found, or not visible for this token.",
    "409": "The request conflicts with the current state: read it again, then decide.",
    "422": "A value is invalid; `field` names it.",
    "429": "Too many requests; try again after `Retry-After` seconds.",
    "503": "The database is unavailable or busy (`Retry-After`), or the request took too long.",
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
                    "field": {"type": ["string", "null"], "description": "The invalid field."},
                    "message": {"type": "string", "description": "For people."},
                },
            },
        }
    },
}
ABOUT = (
    "REST routes on top of the GraphQL API at `/graphql`, which can do more. Each route is a "
    "trusted document: its parameters are the document's variables, and its response is what the "
    "document selects."
)


def openapi(schema: GraphQLSchema, routes: Sequence[Route]) -> Json:
    types = JsonTypes(schema)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(schema, types, route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rollcall", "version": version("rollcall"), "description": ABOUT},
        # Relative to this document, for a proxy that adds a path.
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
        "summary": route.summary.rstrip("."),
        "tags": parts[:1],
        "parameters": list(_parameters(types, route)),
        "responses": {
            "200": {
                "description": root.fields[route.field.name.value].description or "Done.",
                "content": _json(_response(root, types, route)),
            },
            **{
                status: {"$ref": f"#/components/responses/{status}"}
                for status in ERRORS
                if _is_possible(route, status)
            },
        },
    }
    if route.has_body and (body := _body(types, route)):
        found["requestBody"] = body
    return found


def _is_possible(route: Route, status: str) -> bool:
    if status == "409":
        return route.is_mutation
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
        **description_of(parameter.description),
        # A query string can't express null.
        "schema": {**types.required(parameter.type), **_default(parameter)},
    }


def _body(types: JsonTypes, route: Route) -> Json | None:
    parameters = [p for p in route.parameters.by_name.values() if p.name not in route.in_path]
    required = [parameter.name for parameter in parameters if parameter.required]
    properties = {
        parameter.name: {
            **_type(types, parameter),
            **description_of(parameter.description),
            **_default(parameter),
        }
        for parameter in parameters
    }
    body = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return {"required": bool(required), "content": _json(body)} if parameters else None


def _type(types: JsonTypes, parameter: Parameter) -> Json:
    if isinstance(parameter.type, GraphQLNonNull):
        return types.required(parameter.type)
    return types.given(parameter.type)


def _default(parameter: Parameter) -> Json:
    return {} if parameter.default is None else {"default": parameter.default}


def _response(root: Any, types: JsonTypes, route: Route) -> Json:
    fragments = {
        node.name.value: node
        for node in route.document.ast.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    type = root.fields[route.field.name.value].type
    some = type if isinstance(type, GraphQLNonNull) else GraphQLNonNull(type)
    found = types.selected(some, route.field.selection_set, fragments)
    if route.is_mutation:
        del found["properties"]["errors"]
        found["required"].remove("errors")
    return found


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
