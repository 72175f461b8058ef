"""The ASGI application. `uvicorn --factory server.app:create_app` is all it needs."""

import logging

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp

from domain.access.tokens import TokenKind
from schema.build import build_schema
from schema.engine.execution import Engine
from schema.engine.trusted_documents import trusted_documents
from schema.routes.routes import read_routes
from server.endpoints.broker_auth import BrokerAuth
from server.endpoints.health import Readiness
from server.endpoints.pages import add_pages
from server.graphql.endpoint import GraphQLEndpoint
from server.graphql.service import GraphQLService, Observers
from server.graphql.websocket import WebSocketEndpoint
from server.lifespan import Parts
from server.observability.access_log import AccessLog, RequestIds
from server.observability.logs import configure_logging
from server.observability.metrics import metrics_endpoint
from server.rest.endpoint import add_rest
from server.runtime.mqtt import Embedded, own_credentials
from server.settings import Settings, read_settings
from server.transport.fast_path import PATH, FastPath

TITLES = {
    TokenKind.ADMIN: "Admin token (manages everything; shown this once):",
    TokenKind.ENROL: "Enrolment key (for devices to register; shown this once):",
}
WELCOME = (
    "Rollcall, the registration desk of an IoT fleet. The GraphQL API is at /graphql, "
    "its REST face is described at /openapi.json.\n"
)


def create_app(settings: Settings | None = None, embedded: Embedded | None = None) -> FastAPI:
    """`embedded`: the socket of the embedded broker; else it makes one when it starts."""
    if settings is None:
        settings = read_settings()
        # Started by a server that knows nothing of our settings, such as plain uvicorn.
        if not logging.getLogger().handlers:
            configure_logging(settings)
    parts = Parts(settings, embedded, announce)
    database_supervisor, connections, tracing = (
        parts.database_supervisor,
        parts.connections,
        parts.tracing,
    )
    app = Application(
        title="Rollcall",
        lifespan=parts.lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=tracing.telemetry,
    )
    app.state.connections = connections
    app.state.stop = parts.stop
    app.state.database_supervisor = database_supervisor
    app.state.broker = parts.broker
    engine = Engine(
        build_schema(),
        settings.limits,
        settings.max_operation_seconds,
        trusted_documents(settings.trusted_documents),
    )
    service = GraphQLService(
        engine, database_supervisor, connections, Observers(parts.metrics, tracing), settings
    )
    endpoint = GraphQLEndpoint(service)
    app.add_route(PATH, endpoint.__call__, methods=["GET", "POST"])
    live = WebSocketEndpoint(service)
    app.router.routes.append(WebSocketRoute(PATH, live.__call__))
    add_rest(
        app,
        service,
        engine.schema,
        read_routes(engine.schema, engine.trusted, settings.trusted_documents),
    )
    auth = BrokerAuth(service, own_credentials(settings))
    app.add_route("/mqtt/auth", auth.__call__, methods=["POST"])
    if parts.alerts.bot and settings.telegram_webhook_url:
        from server.endpoints import telegram_webhook as hook  # noqa: PLC0415  it loads a lot

        receive = hook.TelegramWebhook(parts.alerts.bot, database_supervisor).__call__
        app.add_route(hook.PATH, receive, methods=["POST"])
    app.add_route("/metrics", metrics_endpoint(parts.metrics, service.require_operator))
    app.add_route("/healthz", lambda _: PlainTextResponse("alive\n"))
    app.add_route("/readyz", Readiness(database_supervisor, parts.supervisor, parts.stop).__call__)
    add_pages(app, WELCOME)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "GraphQL-Require-Preflight"],
            expose_headers=["Retry-After", "X-Request-Id"],
        )
    app.add_middleware(RequestIds, answered=parts.metrics.http)
    if not settings.cors_origins and not tracing.on:
        app.fast_path = FastPath(endpoint, AccessLog(parts.metrics.http))
        app.live = RequestIds(live.app, answered=parts.metrics.http)
    return app


class Application(FastAPI):
    """`fast_path` and `live`: for `/graphql` by HTTP and WebSocket, where `server.transport` serves
    it; None where every request has to meet some middleware.
    """

    fast_path: FastPath | None = None
    live: ASGIApp | None = None


def announce(made: dict[TokenKind, str]) -> None:
    """Prints new secrets where only whoever started the server sees them: never to the log."""
    for kind, secret in made.items():
        print(f"{TITLES[kind]}\n  {secret}", flush=True)  # noqa: T201
