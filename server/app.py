"""The ASGI application. `uvicorn --factory server.app:create_app` is all it needs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from domain.tokens import TokenKind
from schema.build import build_schema
from server.graphql import GraphQLEndpoint
from server.keeper import DatabaseKeeper
from server.logs import configure_logging
from server.metrics import Metrics, metrics_endpoint
from server.request_id import RequestIds
from server.settings import Settings, read_settings
from server.tracing import tracing_from_environment

# A database that is still away then is waited for while requests are answered with 503.
WAIT_AT_START_SECONDS = 15

TITLES = {
    TokenKind.ADMIN: "Admin token (manages everything; shown this once):",
    TokenKind.ENROL: "Enrolment key (for devices to register; shown this once):",
}
WELCOME = "Rollcall, the registration desk of an IoT fleet. The GraphQL API is at /graphql.\n"


def create_app(settings: Settings | None = None) -> FastAPI:
    if settings is None:
        settings = read_settings()
        # Started by a server that knows nothing of our settings, such as plain uvicorn.
        if not logging.getLogger().handlers:
            configure_logging(settings)
    keeper = DatabaseKeeper(settings, announce)
    tracing = tracing_from_environment()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with tracing.running(), keeper.running():
            with suppress(TimeoutError):
                await asyncio.wait_for(keeper.opened.wait(), WAIT_AT_START_SECONDS)
            yield

    async def ready(_: Request) -> Response:
        if keeper.desk is None:
            return PlainTextResponse("The database is not available.\n", 503)
        return PlainTextResponse("ready\n")

    app = FastAPI(
        title="Rollcall",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=tracing.telemetry,
    )
    metrics = Metrics(lambda: keeper.desk)
    app.add_middleware(RequestIds, answered=metrics.http)
    app.add_route("/metrics", metrics_endpoint(metrics))
    graphql = GraphQLEndpoint(build_schema(), keeper)
    app.add_route("/graphql", graphql.__call__, methods=["GET", "POST"])
    app.add_route("/healthz", lambda _: PlainTextResponse("alive\n"))
    app.add_route("/readyz", ready)
    app.add_route("/", lambda _: PlainTextResponse(WELCOME))
    return app


def announce(made: dict[TokenKind, str]) -> None:
    """Prints new secrets where only whoever started the server sees them: never to the log."""
    for kind, secret in made.items():
        print(f"{TITLES[kind]}\n  {secret}", flush=True)  # noqa: T201
