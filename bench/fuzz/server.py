"""The server that is fuzzed: with its broker, a bot, some devices, and a token of each kind."""

import hashlib
import hmac
import re
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.fuzz.message import Target
from bench.fuzz.metered_server import Meter
from bench.serving import ADMIN, Serving, ready, serving
from tests.alerts.bot_api import TOKEN, BotApi
from tests.support.waiting import until

CREATE = """mutation ($kind: TokenKind!) { createToken(input: {kind: $kind}) { secret } }"""
REGISTER = """mutation ($mac: String!, $owner: String!) {
  registerDevice(input: {
    mac: $mac, owner: $owner, location: {place: "Paris"}, measurementType: "temperature",
    sensorModel: "bme280", firmware: "1.0"
  }) { token device { id topics { data } } errors { message } }
}"""
DEVICES = 300
CHAT = "4242"


@asynccontextmanager
async def fuzzed_server(
    database_url: str, *, metered: bool = True, **settings: str
) -> AsyncIterator[tuple[Serving, Meter, Target]]:
    """`metered` False: as it is run, on uvloop. `settings`: as for `serving`."""
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder, BotApi() as telegram:
        file = Path(folder) / "meter"
        meter = Meter.create(file)
        telegram.knows(int(CHAT))
        values = {"mqtt": "on", "mqtt_port": "0", "log_level": "warning", **settings}
        environment = {
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_CHAT_ID": CHAT,
            "TELEGRAM_API_URL": telegram.url,
            "TELEGRAM_WEBHOOK_URL": "http://127.0.0.1:9/telegram",
        }
        module = ("bench.fuzz.metered_server", str(file)) if metered else ("server",)
        command = (sys.executable, "-m", *module, "serve")
        with serving(database_url, environment=environment, command=command, **values) as server:
            yield server, meter, await _target(server)


async def _target(server: Serving) -> Target:
    url = await ready(server.output)
    found: Any = await until(lambda: re.search(r"MQTT at \S+:(\d+)", server.output.read_text()))
    async with httpx.AsyncClient() as client:

        async def ask(query: str, token: str, **variables: str) -> Any:
            body = {"query": query, "variables": variables}
            headers = {"Authorization": f"Bearer {token}"}
            response = await client.post(url, json=body, headers=headers)
            return next(iter(response.json()["data"].values()))

        tokens = {"admin": ADMIN}
        for kind in ("viewer", "enrol"):
            tokens[kind] = (await ask(CREATE, ADMIN, kind=kind.upper()))["secret"]
        registered: Any = None
        for number in range(DEVICES):
            digits = secrets.token_hex(4)
            mac = ":".join(["24", "6f", *(digits[at : at + 2] for at in range(0, 8, 2))])
            owner = f"Owner {number % 5}"
            registered = await ask(REGISTER, tokens["enrol"], mac=mac, owner=owner)
        tokens["device"] = registered["token"]
        device = registered["device"]["id"], registered["device"]["topics"]["data"]
    parts = httpx.URL(url)
    secret = hmac.new(TOKEN.encode(), b"webhook", hashlib.sha256).hexdigest()
    return Target(parts.host, parts.port or 80, int(found[1]), tokens, device, secret)
