"""The time in which a body has to arrive, on all routes that read one."""

import asyncio
import hmac
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from server.http import body
from server.settings import Settings
from server.transport import http_protocol
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, instance
from tests.http.test_connections import connected, read_response

SECONDS = 1.5
BOT_TOKEN = "123456:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi"
SECRET = hmac.new(BOT_TOKEN.encode(), b"webhook", "sha256").hexdigest().encode()
JSON = b"Content-Type: application/json\r\n"
BEARER = b"Authorization: Bearer %b\r\n" % ADMIN.encode()


@pytest_asyncio.fixture
async def one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Instance]:
    monkeypatch.setattr(body, "BODY_SECONDS", SECONDS)
    monkeypatch.setattr(http_protocol, "BODY_SECONDS", SECONDS)
    with_webhook = changed(
        settings,
        telegram_bot_token=BOT_TOKEN,
        telegram_chat_id="1",
        telegram_api_url="http://127.0.0.1:9",
        telegram_webhook_url="http://127.0.0.1:9/telegram",
    )
    async with instance(with_webhook) as one:
        yield one


def head(route: str) -> bytes:
    """Return the head of a request, without its last empty line."""
    method_and_path, headers = {
        "fast path": (b"POST /graphql", JSON),
        "graphql": (b"POST /graphql", b'Content-Type: application/json; charset="utf-8"\r\n'),
        "rest": (b"POST /register", JSON + BEARER),
        "broker": (b"POST /mqtt/auth", JSON + BEARER),
        "telegram": (b"POST /telegram", b"X-Telegram-Bot-Api-Secret-Token: %b\r\n" % SECRET),
        "unknown": (b"POST /unknown", JSON),
    }[route]
    return method_and_path + b" HTTP/1.1\r\nHost: x\r\n" + headers


@pytest.mark.parametrize("framing", [b"Content-Length: 50", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("sent", [b"", b'11\r\n{"query": "{ fl\r\n'])
@pytest.mark.parametrize("route", ["fast path", "graphql", "rest", "broker", "telegram"])
async def test_late_body_is_answered_with_408(
    one: Instance, route: str, sent: bytes, framing: bytes
) -> None:
    async with connected(one) as (reader, writer):
        writer.write(head(route) + framing + b"\r\n\r\n" + sent)
        answer, _ = await read_response(reader)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close\r\n" in answer
        assert await reader.read() == b""


async def test_body_that_continues_after_its_response_ends_with_the_connection(
    one: Instance,
) -> None:
    """Each received part stops the idle timeout."""
    async with connected(one) as (reader, writer):
        writer.write(head("unknown") + b"Content-Length: 5000\r\n\r\n")
        assert (await read_response(reader))[0].startswith(b"HTTP/1.1 404 ")
        writer.write(b"x")
        assert await reader.read() == b""


async def test_empty_lines_between_requests_do_not_stop_the_idle_timeout(
    one: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", SECONDS)
    sent = head("fast path") + b"Content-Length: 26\r\n\r\n" + b'{"query":"{ __typename }"}'
    async with connected(one) as (reader, writer):
        for _ in range(2):
            writer.write(sent)
            assert (await read_response(reader))[0].startswith(b"HTTP/1.1 200 ")
            writer.write(b"\r\n")
            await asyncio.sleep(0.1)
        assert await reader.read() == b""


async def test_websocket_on_a_connection_that_was_used_before_stays_open(one: Instance) -> None:
    upgrade = (
        b"GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    async with connected(one) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        await read_response(reader)
        writer.write(upgrade)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(), 2 * SECONDS)
