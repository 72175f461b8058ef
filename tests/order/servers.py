"""Servers on one database that does not change; each starts with empty caches."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import asyncpg
import httpx
import pytest
from uvicorn.server import ServerState

from domain import names
from domain.devices import search_words
from schema.engine import documents
from server import app as server_app
from server.app import create_app
from server.settings import Settings
from server.transport.http_protocol import HTTPProtocol
from server.transport.listen import server_for
from tests.conftest import ADMIN, opened
from tests.order.cases import MAC, Case, Sent, requests_of
from tests.support.client import Api

NOT_FOUND = b"PERSISTED_QUERY_NOT_FOUND"
BUG = re.compile(rb"[0-9a-f]{12}(?=[:\"])")
SEEN = re.compile(rb'"lastSeenAt":(null|"[^"]*"),?|,"lastSeenAt":(null|"[^"]*")(?=})')
# Gives devices different states, by their number.
VARY_DEVICES = """
UPDATE devices SET
    online = number % 2 = 0,
    awaits_approval = number % 3 = 0,
    state = CASE WHEN number % 5 = 0 THEN 'pending' WHEN number % 7 = 0 THEN 'rejected'
        ELSE state END,
    applied_version = CASE WHEN number % 4 = 0 THEN NULL ELSE config_version END,
    confirmed_at = now()
"""
OWNERS, PLACES, TYPES = ("Acme", "Borg"), ("Paris", "Rome", "Acme"), ("temperature", "humidity")


class Response(NamedTuple):
    status: int
    type: str
    body: Any


class Deployment:
    """A database with different devices, and a token for each kind of caller."""

    def __init__(self, settings: Settings, tokens: Mapping[str, str | None]) -> None:
        self.settings = settings
        self.tokens = tokens
        self.http = httpx.AsyncClient(timeout=30)
        self._fresh: dict[Case, Response] = {}

    async def fresh(self, case: Case) -> Response:
        """Return the response of a new server."""
        if case not in self._fresh:
            async with self.server() as server:
                self._fresh[case] = await server.send(case, as_text=True)
        return self._fresh[case]

    @asynccontextmanager
    async def server(self) -> AsyncIterator["Server"]:
        for cached in (names.name_key, search_words.words_in):
            cached.cache_clear()
        app = create_app(self.settings)
        # Background tasks would change the database.
        app.state.database_supervisor.background_tasks = []
        async with app.router.lifespan_context(app), listening(app, self.settings) as url:
            await opened(app)
            yield Server(self, url)


class Server:
    def __init__(self, deployment: Deployment, url: str) -> None:
        self._deployment = deployment
        self._url = url

    async def send(self, case: Case, *, as_text: bool = False) -> Response:
        """`as_text`: send the text of the document, also for persisted queries."""
        sent = requests_of(case)
        token = self._deployment.tokens[case.caller]
        if as_text:
            sent = [_without_hash(sent[-1])]
        for each in sent:
            response = await self._send(each, token)
            if NOT_FOUND not in response.content:
                break
        type = response.headers["content-type"]
        return Response(response.status_code, type, _normalized(response.content))

    async def _send(self, sent: Sent, token: str | None) -> httpx.Response:
        headers = {"Connection": "close"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await self._deployment.http.request(
            sent.method,
            self._url + sent.path,
            params=sent.params,
            json=sent.body,
            headers=headers,
        )


def _without_hash(sent: Sent) -> Sent:
    if not sent.body:
        return sent
    return replace(sent, body={n: v for n, v in sent.body.items() if n != "extensions"})


def _normalized(body: bytes) -> Any:
    """Remove values that vary: ids of internal errors, the order of errors, and last-seen times."""
    content = json.loads(BUG.sub(b"", body) if b"Internal error" in body else SEEN.sub(b"", body))
    if isinstance(content.get("errors"), list):
        content["errors"].sort(key=lambda error: json.dumps(error, sort_keys=True))
    return content


@asynccontextmanager
async def listening(app: Any, settings: Settings) -> AsyncIterator[str]:
    """Serve the HTTP protocol on a port without the rest of uvicorn, which stops slowly."""
    config = server_for(app, settings).config
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: HTTPProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()


def share_schema_and_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share the schema and the validation of trusted documents: they take most of a start."""
    schema = server_app.build_schema()
    validate = documents.validate

    @cache
    def errors_of(text: str, *, hide_suggestions: bool) -> Any:
        ast = documents.parse(text)
        return validate(schema._schema, ast, documents.RULES, hide_suggestions=hide_suggestions)

    def validated(*arguments: Any, **options: Any) -> Any:
        text = arguments[1].loc.source.body
        if not text.startswith("# "):
            return validate(*arguments, **options)
        return errors_of(text, hide_suggestions=options["hide_suggestions"])

    monkeypatch.setattr(server_app, "build_schema", lambda: schema)
    monkeypatch.setattr(documents, "validate", validated)


async def populate(settings: Settings) -> dict[str, str | None]:
    """Create devices and tokens. Return the tokens by caller."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await opened(app)
        api = Api(app, ADMIN)
        tokens: dict[str, str | None] = {"admin": ADMIN, "anonymous": None, "unknown": "rca_x"}
        devices = []
        for number in range(12):
            mac = f"{MAC[:-2]}{number + 1:02x}"
            device = await api.register(
                ADMIN,
                mac=mac,
                owner=OWNERS[number % 2],
                location={"place": PLACES[number % 3]},
                measurementType=TYPES[number % 2],
                sensorModel="bme280" if number % 2 else "BME280",
            )
            await api.ask("{ me { id } }", device["token"])
            devices.append(device)
        id = devices[0]["device"]["id"]
        await api.change("updateConfig", deviceId=id, intervalSeconds=7)
        await api.change("linkDevice", listenerId=id, place="Rome")
        for name in ("admin of Acme", "admin of Borg", "viewer of Acme", "viewer"):
            kind, _, owner = name.partition(" of ")
            tokens[name] = await api.key(kind=kind.upper(), **({"owner": owner} if owner else {}))
        tokens |= {"device": devices[0]["token"], "other device": devices[1]["token"]}
        tokens["key"] = await api.key()
        await api.close()
    connection = await asyncpg.connect(settings.database_url)
    await connection.execute(VARY_DEVICES)
    await connection.close()
    return tokens
