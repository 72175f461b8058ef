"""How the bot receives updates: by polling from one server at a time, or by a webhook."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bench.serving import ready, serving
from notifier.telegram import bot as telegram_bot
from server.settings import Settings
from tests.alerts.alert_server import CHAT, alert_server
from tests.alerts.bot.chat import Phone
from tests.alerts.bot_api import TOKEN, BotApi
from tests.conftest import changed, served
from tests.support.client import Api
from tests.support.telegram.faults import HANG, Fault
from tests.support.timing import delay
from tests.support.waiting import until

TAKE_OVER_SECONDS = 10


@pytest.mark.alone
async def test_another_server_takes_over_polling_of_killed_server(
    database_url: str, telegram: BotApi, admin_chat: Phone
) -> None:
    environment = {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_API_URL": telegram.url,
    }
    with ExitStack() as running:
        servers = [
            running.enter_context(serving(database_url, environment=environment)) for _ in range(2)
        ]
        for server in servers:
            await ready(server.output)
        pollers = lambda: [s for s in servers if "runs the Telegram bot" in s.output.read_text()]  # noqa: E731
        await until(lambda: len(pollers()) == 1)
        assert "Rollcall" in await admin_chat.says("/start")
        [first] = pollers()
        first.kill()
        killed = time.monotonic()
        telegram.says(CHAT, "/chatid")
        await telegram.until(lambda: len(admin_chat.replies) == 2)
        assert time.monotonic() - killed < TAKE_OVER_SECONDS * delay()
        assert len(pollers()) == 2
        assert telegram.calls["getUpdates"] > 1


async def test_two_servers_reply_once(
    settings: Settings, telegram: BotApi, admin_chat: Phone
) -> None:
    async with alert_server(settings, telegram), alert_server(settings, telegram):
        for _ in range(5):
            await admin_chat.says("/chatid")
        await telegram.until(lambda: not telegram.updates.pending)
    assert len(admin_chat.replies) == 5


@pytest.mark.parametrize(
    "fault", [Fault("bad_gateway"), Fault("drop_before"), Fault("truncated"), Fault("too_many", 1)]
)
async def test_bot_recovers_from_api_faults(
    settings: Settings, telegram: BotApi, admin_chat: Phone, fault: Fault
) -> None:
    methods = ("getMe", "setMyCommands", "deleteWebhook", "getUpdates", "sendMessage")
    for method in methods:
        telegram.misbehave(fault, methods=[method])
    async with alert_server(settings, telegram):
        assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"


async def test_permanently_failed_reply_does_not_stop_bot(
    settings: Settings, telegram: BotApi, admin_chat: Phone
) -> None:
    async with alert_server(settings, telegram):
        telegram.misbehave(Fault("bad_request"))
        telegram.says(CHAT, "/chatid")
        await telegram.until(lambda: telegram.calls["sendMessage"] == 1)
        assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"


@pytest.mark.alone
async def test_hanging_chat_does_not_delay_other_chats(
    settings: Settings, telegram: BotApi, monkeypatch: pytest.MonkeyPatch, admin_chat: Phone
) -> None:
    monkeypatch.setattr(telegram_bot, "HANDLE_WAIT_SECONDS", 0.2)
    telegram.misbehave(*[HANG] * 8, chat_id=999)
    async with alert_server(settings, telegram):
        for _ in range(8):
            telegram.says(999, "/chatid")
        began = time.monotonic()
        for _ in range(3):
            assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"
        assert time.monotonic() - began < 5 * delay()


@pytest.mark.parametrize(
    "malformed",
    [
        {"message": {"message_id": "x"}},
        {"message": {"chat": {"id": CHAT}, "text": "/chatid"}},
        {"callback_query": {"id": "1"}},
        {"something_new": {}},
    ],
)
async def test_malformed_update_is_skipped(
    settings: Settings, telegram: BotApi, admin_chat: Phone, malformed: dict[str, Any]
) -> None:
    telegram.updates.pending.append({"update_id": 700_000_000, **malformed})
    async with alert_server(settings, telegram):
        telegram.says(CHAT, "\u3000")
        assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"


async def test_full_connection_pool_stops_neither_bot_nor_server(
    settings: Settings,
    telegram: BotApi,
    admin_chat: Phone,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("db.postgres.database.POOL_WAIT_SECONDS", 0.2)
    async with alert_server(settings, telegram) as api, AsyncExitStack() as held:
        database = api.app.state.database_supervisor.services.database
        for _ in range(16):
            session = await held.enter_async_context(database.transaction())
            await session.connection()
        telegram.says(CHAT, "/devices")
        await until(lambda: "The bot could not handle an update" in caplog.text)
        assert api.app.state.database_supervisor.services is not None
        await held.aclose()
        assert await admin_chat.says("/chatid", answers=2) == f"The id of this chat is {CHAT}"
    assert admin_chat.replies[0].text == "Devices: 0"


async def test_update_is_answered_after_database_outage(
    settings: Settings, telegram: BotApi, admin_chat: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update is confirmed after it was handled."""
    from domain.errors import Unavailable  # noqa: PLC0415
    from notifier.telegram.updates import dispatch  # noqa: PLC0415

    original, failures = dispatch.find_authorized_chat, [Unavailable("unavailable")]

    async def find_authorized_chat(*about: Any) -> Any:
        if failures:
            raise failures.pop()
        return await original(*about)

    monkeypatch.setattr(dispatch, "find_authorized_chat", find_authorized_chat)
    async with alert_server(settings, telegram):
        assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"
    assert failures == []


@pytest_asyncio.fixture
async def hooked(settings: Settings, telegram: BotApi) -> AsyncIterator[Api]:
    """A server with its own port, which Telegram calls."""
    import uvicorn  # noqa: PLC0415

    from server.app import create_app  # noqa: PLC0415
    from tests.support.ports import free_port  # noqa: PLC0415

    port = free_port()
    webhook_settings = changed(
        settings,
        telegram_bot_token=TOKEN,
        telegram_chat_id=[str(CHAT)],
        telegram_api_url=telegram.url,
        telegram_webhook_url=f"http://127.0.0.1:{port}/telegram",
    )
    app = create_app(webhook_settings)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None))
    task = asyncio.create_task(server.serve())
    await until(lambda: bool(telegram.updates.url))
    api = Api(
        app, webhook_settings.admin_token.get_secret_value() if webhook_settings.admin_token else ""
    )
    yield api
    await api.close()
    server.should_exit = True
    await task


async def test_webhook_receives_updates_without_polling(
    hooked: Api, telegram: BotApi, admin_chat: Phone
) -> None:
    assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"
    await telegram.until(lambda: not telegram.updates.pending)
    assert telegram.calls["getUpdates"] == 0
    assert len(telegram.updates.secret) == 64
    assert hooked


async def test_webhook_rejects_requests_without_secret_or_valid_body(
    hooked: Api, telegram: BotApi
) -> None:
    forged = {"update_id": 1, "message": {"message_id": 1}}
    secret = {"X-Telegram-Bot-Api-Secret-Token": telegram.updates.secret}
    url = telegram.updates.url
    async with httpx.AsyncClient() as http:
        assert (await http.post(url, json=forged)).status_code == 401
        wrong = {"X-Telegram-Bot-Api-Secret-Token": "wrong"}
        assert (await http.post(url, json=forged, headers=wrong)).status_code == 401
        for body in (b"", b"[]", b"{}", b"\xff", b'{"update_id": "x"}'):
            assert (await http.post(url, content=body, headers=secret)).status_code == 400
        big = b" " * 2_000_000
        assert (await http.post(url, content=big, headers=secret)).status_code == 413
        assert (await http.get(url)).status_code == 405
    assert hooked


async def test_webhook_path_without_webhook_is_not_found(settings: Settings) -> None:
    async with served(settings) as api:
        assert (await api.http.post("/telegram")).status_code == 404


async def test_polling_removes_webhook(
    settings: Settings, telegram: BotApi, admin_chat: Phone
) -> None:
    await telegram.updates.set_webhook({"url": "http://127.0.0.1:9/", "secret_token": "x"})
    async with alert_server(settings, telegram):
        assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"
