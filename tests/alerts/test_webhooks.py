"""Webhook requests for alerts: signature, retries and redirects."""

import asyncio
import hashlib
import hmac
import json

import pytest

from server.settings import Settings
from tests.alerts.alert_server import fan_out_started, registered, until_rows
from tests.conftest import changed, served
from tests.support.waiting import WAIT_SECONDS

pytestmark = pytest.mark.usefixtures("quick")


async def test_webhook_requests_are_signed_and_retried(settings: Settings) -> None:
    arrived: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
    redirect = b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"
    answers = [redirect, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head if line)}
        await arrived.put((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(answers.pop() if answers else b"HTTP/1.1 204 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    secret = "a-secret-of-sixteen"
    webhook_settings = changed(
        settings, webhook_url=f"http://127.0.0.1:{port}/x", webhook_secret=secret
    )
    async with server, served(webhook_settings) as api:
        await fan_out_started(api)
        id = await registered(api, 1)
        async with asyncio.timeout(WAIT_SECONDS):
            (first, _), (headers, body) = await arrived.get(), await arrived.get()
        await registered(api, 2)
        moved = "SELECT 1 FROM deliveries WHERE state = 'dead' AND last_error = 'it answered 302'"
        await until_rows(api.app.state.database_supervisor.services.database, moved)
    assert first["x-rollcall-signature"].startswith("sha256=")
    signed = f"{headers['x-rollcall-timestamp']}.".encode() + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["x-rollcall-signature"] == f"sha256={expected}"
    [event] = json.loads(body)["events"]
    assert (event["kind"], event["deviceId"], event["owner"]) == ("device_registered", id, "Acme")
