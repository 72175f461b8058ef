"""REST routes, such as `GET /topics/{id}`. Each executes a trusted document."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from graphql import GraphQLSchema
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.routing import Route as HTTPRoute
from starlette.types import Receive, Scope, Send

from domain.devices.enrolment import EnrolmentPolicy
from domain.errors import ErrorCode, InputError, RollcallError, Unauthenticated
from schema.engine.documents import BadDocument
from schema.engine.operation import Request
from schema.routes.routes import Route
from server.graphql.outcomes import describe_error, describe_result, error_label
from server.graphql.responses import encode_json
from server.graphql.service import GraphQLService
from server.http.body import JSON, BadRequest, check_preflight, read_object
from server.rest.openapi import openapi
from server.rest.responses import error_response, result_response


class Rest:
    """The routes, and `/openapi.json`, which describes them.

    The description needs no token: it reveals only the documents, and `/docs` loads it.
    """

    def __init__(self, app: FastAPI, service: GraphQLService, schema: GraphQLSchema) -> None:
        self._all_routes = app.router.routes
        self._service = service
        self._schema = schema
        self._in_force: Endpoints = ([], b"")
        app.add_route("/openapi.json", self._describe)

    def endpoints(self, routes: Sequence[Route]) -> "Endpoints":
        """Return what `replace` takes. Safe in another thread."""
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        # A path without parameters comes before a path with parameters that matches it, too.
        paths = sorted(by_path, key=lambda path: path.replace("{", "~"))
        http_routes = [
            HTTPRoute(path, RestEndpoint(self._service, by_path[path])) for path in paths
        ]
        return http_routes, encode_json(openapi(self._schema, routes))

    def replace(self, endpoints: "Endpoints") -> None:
        """Serve these from now on. Running requests keep theirs."""
        others = [route for route in self._all_routes if route not in self._in_force[0]]
        self._all_routes[:] = [*others, *endpoints[0]]
        self._in_force = endpoints

    async def _describe(self, _: HTTPRequest) -> Response:
        return Response(self._in_force[1], media_type=JSON)


# The description is encoded.
Endpoints = tuple[list[HTTPRoute], bytes]


class RestEndpoint:
    """An ASGI application for one path. `routes`: by method."""

    def __init__(self, service: GraphQLService, routes: Mapping[str, Route]) -> None:
        self._service = service
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(HTTPRequest(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, http: HTTPRequest) -> Response:
        route = self._routes.get("GET" if http.method == "HEAD" else http.method)
        try:
            return await self._execute(http, route)
        except (RollcallError, BadRequest, BadDocument) as error:
            log = http.state.log
            log["outcome"], log["error"] = error_label(error), describe_error(error)
            path = route.parameters.parameter_path if route else lambda field: field
            return error_response(error, path)

    async def _execute(self, http: HTTPRequest, route: Route | None) -> Response:
        if route is None:
            allowed = ", ".join(sorted(self._routes))
            raise BadRequest(405, f"Use {allowed} here.", headers={"Allow": allowed})
        service, log = self._service, http.state.log
        values = await self._values(http, route)
        address = http.client.host if http.client else None
        caller, device = await service.identify(http.headers.get("authorization"), address)
        if caller.kind is None and service.services().enrolment is not EnrolmentPolicy.OPEN:
            # Checked first: without a token nothing is revealed about the rest.
            raise Unauthenticated("This needs a token: send `Authorization: Bearer <token>`.")
        request = Request("", values, document_id=route.id, document=route.document)
        operation = await service.prepare(request, caller)
        route.parameters.check(values)
        log["operation"], log["actor"], log["outcome"] = operation.label, caller, "failed"
        result, log["outcome"] = await service.run(operation, caller, device)
        if log["outcome"] != "ok":
            log["error"] = describe_result(result)
        return result_response(route, result)

    async def _values(self, http: HTTPRequest, route: Route) -> dict[str, Any]:
        """Return unchecked values by the names of the document's variables.

        Raises BadRequest if the body is not a JSON object, InputError if a value is given twice.
        """
        if route.has_body and http.query_params:
            raise BadRequest(400, "Send the values in the JSON body, not in the query.")
        if route.has_body and _has_body(http):
            values = await read_object(http, self._service.settings.max_body_bytes)
        else:
            check_preflight(http.headers)
            values = {} if route.has_body else _query_values(http, route)
        for name, text in http.path_params.items():
            if name in values:
                message = f"{name} is in the path already: omit it here."
                raise InputError.at(name, message, ErrorCode.INVALID)
            values[name] = route.parameters.by_name[name].parse([text])
        return values


def _query_values(http: HTTPRequest, route: Route) -> dict[str, Any]:
    parameters = route.parameters.by_name
    texts: dict[str, list[str]] = {}
    for name, text in http.query_params.multi_items():
        texts.setdefault(name, []).append(text)
    return {
        name: parameters[name].parse(given) if name in parameters else given
        for name, given in texts.items()
    }


def _has_body(http: HTTPRequest) -> bool:
    headers = http.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
