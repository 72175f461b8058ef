"""How the bot hears what is said: one server at a time, or by a webhook, whatever goes wrong."""

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
from tests.alerts.alerted import CHAT, alerted
from tests.alerts.bot.chat import Phone
from tests.alerts.bot_api import TOKEN, BotApi
from tests.conftest import changed, served
from tests.support.client import Api
from tests.support.telegram.faults import HANG, Fault
from tests.support.timing import delay
from tests.support.waiting import until

TAKE_OVER_SECONDS = 10


@pytest.mark.alone
async def test_a_killed_servers_bot_is_taken_over(
    database_url: str, telegram: BotApi, boss: Phone
) -> None:
    environment = {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_API_URL": telegram.url,
    }
    with ExitStack() as running:
        servers = [
            running.enter_context(serving(database_url, outside=environment)) for _ in range(2)
        ]
        for server in servers:
            await ready(server.output)
        talkers = lambda: [s for s in servers if "talks for the bot" in s.output.read_text()]  # noqa: E731
        await until(lambda: len(talkers()) == 1)
        assert "Rollcall" in await boss.says("/start")
        [first] = talkers()
        first.kill()
        killed = time.monotonic()
        telegram.says(CHAT, "/chatid")
        await telegram.until(lambda: len(boss.heard) == 2)
        assert time.monotonic() - killed < TAKE_OVER_SECONDS * delay()
        assert len(talkers()) == 2
        assert telegram.calls["getUpdates"] > 1


async def test_two_servers_answer_once(settings: Settings, telegram: BotApi, boss: Phone) -> None:
    async with alerted(settings, telegram), alerted(settings, telegram):
        for _ in range(5):
            await boss.says("/chatid")
        await telegram.until(lambda: not telegram.updates.pending)
    assert len(boss.heard) == 5


@pytest.mark.parametrize(
    "fault", [Fault("bad_gateway"), Fault("drop_before"), Fault("truncated"), Fault("too_many", 1)]
)
async def test_it_goes_on_after_whatever_goes_wrong(
    settings: Settings, telegram: BotApi, boss: Phone, fault: Fault
) -> None:
    methods = ("getMe", "setMyCommands", "deleteWebhook", "getUpdates", "sendMessage")
    for method in methods:
        telegram.misbehave(fault, methods=[method])
    async with alerted(settings, telegram):
        assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"


async def test_an_answer_that_fails_for_good_stops_nothing(
    settings: Settings, telegram: BotApi, boss: Phone
) -> None:
    async with alerted(settings, telegram):
        telegram.misbehave(Fault("bad_request"))
        telegram.says(CHAT, "/chatid")
        await telegram.until(lambda: telegram.calls["sendMessage"] == 1)
        assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"


@pytest.mark.alone
async def test_one_chat_that_hangs_holds_no_other_up(
    settings: Settings, telegram: BotApi, monkeypatch: pytest.MonkeyPatch, boss: Phone
) -> None:
    monkeypatch.setattr(telegram_bot, "LISTEN_SECONDS", 0.2)
    telegram.misbehave(*[HANG] * 8, chat_id=999)
    async with alerted(settings, telegram):
        for _ in range(8):
            telegram.says(999, "/chatid")
        began = time.monotonic()
        for _ in range(3):
            assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"
        assert time.monotonic() - began < 5 * delay()


@pytest.mark.parametrize(
    "odd",
    [
        {"message": {"message_id": "x"}},
        {"message": {"chat": {"id": CHAT}, "text": "/chatid"}},
        {"callback_query": {"id": "1"}},
        {"something_new": {}},
    ],
)
async def test_an_update_that_nobody_understands_is_passed_over(
    settings: Settings, telegram: BotApi, boss: Phone, odd: dict[str, Any]
) -> None:
    telegram.updates.pending.append({"update_id": 700_000_000, **odd})
    async with alerted(settings, telegram):
        telegram.says(CHAT, "\u3000")
        assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"


async def test_a_busy_database_ends_neither_the_bot_nor_the_server(
    settings: Settings,
    telegram: BotApi,
    boss: Phone,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("db.postgres.database.POOL_WAIT_SECONDS", 0.2)
    async with alerted(settings, telegram) as api, AsyncExitStack() as held:
        database = api.app.state.database_supervisor.services.database
        for _ in range(16):
            session = await held.enter_async_context(database.transaction())
            await session.connection()
        telegram.says(CHAT, "/devices")
        await until(lambda: "The bot could not do what it was told" in caplog.text)
        assert api.app.state.database_supervisor.services is not None
        await held.aclose()
        assert await boss.says("/chatid", answers=2) == f"The id of this chat is {CHAT}"
    assert boss.heard[0].text == "Devices: 0"


async def test_what_was_said_while_the_database_was_away_is_answered(
    settings: Settings, telegram: BotApi, boss: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update is not confirmed before it was dealt with."""
    from domain.errors import Unavailable  # noqa: PLC0415
    from notifier.telegram.updates import dispatch  # noqa: PLC0415

    real, failures = dispatch.known_chat, [Unavailable("gone")]

    async def known_chat(*about: Any) -> Any:
        if failures:
            raise failures.pop()
        return await real(*about)

    monkeypatch.setattr(dispatch, "known_chat", known_chat)
    async with alerted(settings, telegram):
        assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"
    assert failures == []


@pytest_asyncio.fixture
async def hooked(settings: Settings, telegram: BotApi) -> AsyncIterator[Api]:
    """A server that Telegram reaches: over a socket of its own."""
    import uvicorn  # noqa: PLC0415

    from server.app import create_app  # noqa: PLC0415
    from tests.support.ports import free_port  # noqa: PLC0415

    port = free_port()
    own = changed(
        settings,
        telegram_bot_token=TOKEN,
        telegram_chat_id=[str(CHAT)],
        telegram_api_url=telegram.url,
        telegram_webhook_url=f"http://127.0.0.1:{port}/telegram",
    )
    app = create_app(own)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None))
    task = asyncio.create_task(server.serve())
    await until(lambda: bool(telegram.updates.url))
    api = Api(app, own.admin_token.get_secret_value() if own.admin_token else "")
    yield api
    await api.close()
    server.should_exit = True
    await task


async def test_a_webhook(hooked: Api, telegram: BotApi, boss: Phone) -> None:
    assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"
    await telegram.until(lambda: not telegram.updates.pending)
    assert telegram.calls["getUpdates"] == 0
    assert len(telegram.updates.secret) == 64
    assert hooked


async def test_only_telegram_uses_the_webhook(hooked: Api, telegram: BotApi) -> None:
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


async def test_without_a_webhook_there_is_no_such_address(settings: Settings) -> None:
    async with served(settings) as api:
        assert (await api.http.post("/telegram")).status_code == 404


async def test_polling_ends_a_webhook(settings: Settings, telegram: BotApi, boss: Phone) -> None:
    await telegram.updates.set_webhook({"url": "http://127.0.0.1:9/", "secret_token": "x"})
    async with alerted(settings, telegram):
        assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"
