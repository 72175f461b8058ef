"""The ASGI application. `uvicorn --factory server.app:create_app` starts it, too."""

import logging

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp

from concurrency.connection_guard import ConnectionGuard
from domain.access.tokens import TokenKind
from schema.build import build_schema
from schema.engine.execution import Engine
from server.endpoints.broker_auth import BrokerAuth
from server.endpoints.health import Readiness
from server.endpoints.pages import add_pages
from server.graphql.endpoint import GraphQLEndpoint
from server.graphql.service import GraphQLService, Observers
from server.graphql.websocket import WebSocketEndpoint
from server.http.cors import CorsLines, cors_options
from server.http.default_headers import DefaultHeaders
from server.lifespan import Components
from server.observability.access_log import AccessLog, RequestIds
from server.observability.logs import configure_logging
from server.observability.metrics import metrics_endpoint
from server.observability.request_spans import TracedWebSocket
from server.rest.endpoint import Rest
from server.rest.trusted import Trusted, TrustedFiles, read_files
from server.runtime.mqtt import Embedded, server_credentials
from server.settings import Settings, read_settings, warn_of_unknown_variables
from server.transport.fast_path import PATH, FastPath

TITLES = {
    TokenKind.ADMIN: "Admin token (manages everything; shown this once):",
    TokenKind.ENROL: "Enrolment key (for devices to register; shown this once):",
}
WELCOME = (
    "Rollcall, the registration server of an IoT fleet. The GraphQL API is at /graphql. "
    "/openapi.json describes the REST routes.\n"
)


def create_app(
    settings: Settings | None = None,
    embedded: Embedded | None = None,
    files: TrustedFiles | None = None,
) -> FastAPI:
    """`embedded`: the socket of the embedded broker. If None, the application opens it at start.

    `files`: those of the trusted documents, if they were read already.
    Raises BadTrustedDocument if one is invalid.
    """
    if settings is None:
        settings = read_settings()
        # Started by a server that does not configure logging, such as plain uvicorn.
        if not logging.getLogger().handlers:
            configure_logging(settings)
        warn_of_unknown_variables()
    components = Components(settings, embedded, announce)
    database_supervisor, connections, tracing = (
        components.database_supervisor,
        components.connections,
        components.tracing,
    )
    app = Application(
        title="Rollcall",
        lifespan=components.lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=tracing.telemetry,
    )
    app.guard = components.guard
    app.state.connections = connections
    app.state.stop = components.stop
    app.state.database_supervisor = database_supervisor
    app.state.broker = components.broker
    files = files or read_files(settings.trusted_documents)
    engine = Engine(build_schema(), settings.limits, settings.max_operation_seconds, files.texts)
    service = GraphQLService(
        engine, database_supervisor, connections, Observers(components.metrics, tracing), settings
    )
    endpoint = GraphQLEndpoint(service)
    app.add_route(PATH, endpoint.__call__, methods=["GET", "POST"])
    websocket = WebSocketEndpoint(service)
    app.router.routes.append(WebSocketRoute(PATH, websocket.__call__))
    auth = BrokerAuth(service, server_credentials(settings))
    app.add_route("/mqtt/auth", auth.__call__, methods=["POST"])
    if components.alerts.bot and settings.telegram_webhook_url:
        from server.endpoints import telegram_webhook as hook  # noqa: PLC0415  a slow import

        receive = hook.TelegramWebhook(components.alerts.bot, database_supervisor).__call__
        app.add_route(hook.PATH, receive, methods=["POST"])
    app.add_route("/metrics", metrics_endpoint(components.metrics, service.require_operator))
    app.add_route("/healthz", lambda _: PlainTextResponse("alive\n"))
    readiness = Readiness(database_supervisor, components.supervisor, components.stop)
    app.add_route("/readyz", readiness.__call__)
    add_pages(app, WELCOME)
    rest = Rest(app, service, engine.schema)
    app.state.trusted = Trusted(engine, rest, files, settings.trusted_documents)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cors_options(settings.cors_origins))
    app.add_middleware(RequestIds, on_response=components.metrics.http)
    app.add_middleware(DefaultHeaders)
    access_log, spans = AccessLog(components.metrics.http), tracing.request_spans
    app.fast_path = FastPath(endpoint, access_log, CorsLines(settings.cors_origins), spans)
    live = RequestIds(websocket.app, on_response=components.metrics.http)
    app.live = TracedWebSocket(live, spans) if spans else live
    return app


class Application(FastAPI):
    """`fast_path` and `live` serve `/graphql` over HTTP and WebSocket in `server.transport`.

    `guard`: limits the connections there.
    """

    fast_path: FastPath | None = None
    live: ASGIApp | None = None
    guard: ConnectionGuard | None = None


def announce(secrets: dict[TokenKind, str]) -> None:
    """Print new secrets to standard output. They must not get into the log."""
    for kind, secret in secrets.items():
        print(f"{TITLES[kind]}\n  {secret}", flush=True)  # noqa: T201
