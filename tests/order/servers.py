"""Servers on one database that nothing changes: each begins knowing nothing of it."""

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
from tests.order.questions import MAC, Question, Sent, requests_of
from tests.support.client import Api

NOT_FOUND = b"PERSISTED_QUERY_NOT_FOUND"
BUG = re.compile(rb"[0-9a-f]{12}(?=[:\"])")
SEEN = re.compile(rb'"lastSeenAt":(null|"[^"]*"),?|,"lastSeenAt":(null|"[^"]*")(?=})')
# Of all kinds: by their numbers.
DIFFERENT = """
UPDATE devices SET
    online = number % 2 = 0,
    awaits_approval = number % 3 = 0,
    state = CASE WHEN number % 5 = 0 THEN 'pending' WHEN number % 7 = 0 THEN 'rejected'
        ELSE state END,
    applied_version = CASE WHEN number % 4 = 0 THEN NULL ELSE config_version END,
    confirmed_at = now()
"""
OWNERS, PLACES, TYPES = ("Acme", "Borg"), ("Paris", "Rome", "Acme"), ("temperature", "humidity")


class Answer(NamedTuple):
    status: int
    type: str
    body: Any


class World:
    """A database with devices of all kinds, and somebody of each kind who asks about them."""

    def __init__(self, settings: Settings, tokens: Mapping[str, str | None]) -> None:
        self.settings = settings
        self.tokens = tokens
        self.http = httpx.AsyncClient(timeout=30)
        self._fresh: dict[Question, Answer] = {}

    async def fresh(self, question: Question) -> Answer:
        """What a server that was asked nothing else answers."""
        if question not in self._fresh:
            async with self.server() as server:
                self._fresh[question] = await server.ask(question, plainly=True)
        return self._fresh[question]

    @asynccontextmanager
    async def server(self) -> AsyncIterator["Server"]:
        for known in (names.name_key, search_words.words_in):
            known.cache_clear()
        app = create_app(self.settings)
        # Nothing happens by itself.
        app.state.database_supervisor.workers = []
        async with app.router.lifespan_context(app), listening(app, self.settings) as url:
            await opened(app)
            yield Server(self, url)


class Server:
    def __init__(self, world: World, url: str) -> None:
        self._world = world
        self._url = url

    async def ask(self, question: Question, *, plainly: bool = False) -> Answer:
        """`plainly`: with the text of the document, whatever the way."""
        sent = requests_of(question)
        token = self._world.tokens[question.caller]
        if plainly:
            sent = [_without_hash(sent[-1])]
        for each in sent:
            response = await self._send(each, token)
            if NOT_FOUND not in response.content:
                break
        type = response.headers["content-type"]
        return Answer(response.status_code, type, _settled(response.content))

    async def _send(self, sent: Sent, token: str | None) -> httpx.Response:
        headers = {"Connection": "close"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await self._world.http.request(
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


def _settled(body: bytes) -> Any:
    """Without what is another one each time: ids of bugs, the order in which fields fail, and when
    a device was seen.
    """
    told = json.loads(BUG.sub(b"", body) if b"Internal error" in body else SEEN.sub(b"", body))
    if isinstance(told.get("errors"), list):
        told["errors"].sort(key=lambda error: json.dumps(error, sort_keys=True))
    return told


@asynccontextmanager
async def listening(app: Any, settings: Settings) -> AsyncIterator[str]:
    """Its protocol on a port, without the rest of uvicorn, which stops slowly."""
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


def share_what_never_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema, and which trusted documents are valid: making them takes most of a start."""
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
    """Tokens by the names of their callers."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await opened(app)
        api = Api(app, ADMIN)
        tokens: dict[str, str | None] = {"admin": ADMIN, "nobody": None, "unknown": "rca_x"}
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
    await connection.execute(DIFFERENT)
    await connection.close()
    return tokens
