"""What `notifier/telegram/` relies on in pyTelegramBotAPI, beside its documented names."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from telebot import asyncio_helper, util
from telebot.async_telebot import AsyncTeleBot

from notifier.telegram import api as telegram_api
from notifier.telegram.api import TelegramApi
from tests.alerts.bot_api import TOKEN, BotApi
from tests.alerts.telegram.client import CHAT
from tests.support.telegram import faults


def test_its_global_url() -> None:
    """`TelegramApi` puts it back where no other server's is given."""
    asking = [sys.executable, "-c", "import telebot.asyncio_helper as a; print(a.API_URL)"]
    fresh = subprocess.run(asking, check=True, capture_output=True, text=True).stdout.strip()
    assert TelegramApi(TOKEN).url == asyncio_helper.API_URL == fresh


async def test_the_url_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TelegramApi` sets it: it counts for bots that were made before, too."""
    async with BotApi() as first, BotApi() as second:
        bot = AsyncTeleBot(TOKEN)
        for each in (first, second):
            monkeypatch.setattr(asyncio_helper, "API_URL", each.template)
            await bot.get_me()
        assert (first.calls["getMe"], second.calls["getMe"]) == (1, 1)
        await bot.close_session()  # type: ignore[no-untyped-call]


async def test_two_apis_at_once_are_refused() -> None:
    """`TelegramApi`: each would send its token to the other's server."""
    async with BotApi() as first, BotApi() as second:
        one = TelegramApi(TOKEN, first.url)
        same = TelegramApi("1:other", f"{first.url}/")
        for url in (second.url, None):
            with pytest.raises(ValueError, match="another Bot API server"):
                TelegramApi(TOKEN, url)
        assert (await one.ask("getMe", AsyncTeleBot.get_me)).username
        await one.close()
        with pytest.raises(ValueError, match="another Bot API server"):
            TelegramApi(TOKEN, second.url)
        await same.close()
        other = TelegramApi(TOKEN, second.url)
        assert (await other.ask("getMe", AsyncTeleBot.get_me)).username
        await other.close()
        assert (first.calls["getMe"], second.calls["getMe"]) == (1, 1)


async def test_its_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """`_open_session` puts one of its own in its place, which the library uses and closes."""
    manager = asyncio_helper.session_manager
    assert manager.ssl_context is not None
    async with BotApi() as telegram:
        monkeypatch.setattr(asyncio_helper, "API_URL", telegram.template)
        bot = AsyncTeleBot(TOKEN)
        await bot.get_me()
        assert isinstance(manager.session, aiohttp.ClientSession)
        await bot.close_session()  # type: ignore[no-untyped-call]
        assert manager.session.closed
        asked: list[str] = []
        trace = aiohttp.TraceConfig()

        async def ended(_: Any, __: Any, end: aiohttp.TraceRequestEndParams) -> None:
            asked.append(end.response.headers["Date"])

        trace.on_request_end.append(ended)
        manager.session = own = aiohttp.ClientSession(trace_configs=[trace])
        await bot.get_me()
        assert manager.session is own
        assert len(asked) == 1
        await bot.close_session()  # type: ignore[no-untyped-call]


@pytest_asyncio.fixture
async def telegram() -> AsyncIterator[BotApi]:
    async with BotApi() as telegram:
        telegram.knows(CHAT)
        yield telegram


@pytest_asyncio.fixture
async def api(telegram: BotApi) -> AsyncIterator[TelegramApi]:
    api = TelegramApi(TOKEN, telegram.url)
    yield api
    await api.close()


async def test_updates_as_they_came(telegram: BotApi, api: TelegramApi) -> None:
    """`TelegramApi.news` asks by the helper's function, whose answers are plain objects."""
    telegram.says(9, "hello")
    (update,) = await api.news(None, 0, ["message"])
    assert update["message"]["text"] == "hello"
    assert await api.news(update["update_id"] + 1, 0, ["message"]) == []


async def test_what_its_errors_say(telegram: BotApi, api: TelegramApi) -> None:
    """`_meant` reads code, description and parameters; no failure is of another class."""
    telegram.misbehave(faults.too_many(3))
    with pytest.raises(asyncio_helper.ApiTelegramException) as refused:
        await api._bot.send_message(CHAT, "x")
    error = refused.value
    assert (error.error_code, error.result_json["parameters"]) == (429, {"retry_after": 3})
    assert isinstance(error.description, str)
    for fault in (faults.BAD_GATEWAY, faults.TRUNCATED, faults.DROP_BEFORE):
        telegram.misbehave(fault)
        with pytest.raises(telegram_api.ERRORS):
            await api._bot.send_message(CHAT, "x")


async def test_a_cancellation_comes_out_as_one(telegram: BotApi, api: TelegramApi) -> None:
    """`TelegramApi.ask`, whatever the library makes of it."""
    telegram.misbehave(faults.HANG)
    asking = asyncio.create_task(api.ask("x", lambda bot: bot.send_message(CHAT, "x")))
    await telegram.until(lambda: telegram.calls["sendMessage"] == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


def test_it_logs_under_one_name() -> None:
    """`api` silences it: its lines hold the URL with the token."""
    assert asyncio_helper.logger is logging.getLogger("TeleBot")
    assert not asyncio_helper.logger.isEnabledFor(logging.ERROR)


def test_commands_and_what_stands_behind() -> None:
    """`updates/dispatch`."""
    for text, command, rest in [
        ("/device@bot_name a b", "device", "a b"),
        ("/stop", "stop", ""),
        ("hello", None, None),
    ]:
        assert util.extract_command(text) == command
        assert util.extract_arguments(text) == rest
