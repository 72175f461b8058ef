"""Undocumented behaviour of pyTelegramBotAPI that `notifier/telegram/` relies on."""

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


def test_default_api_url() -> None:
    """`TelegramApi` restores it if no other server is given."""
    command = [sys.executable, "-c", "import telebot.asyncio_helper as a; print(a.API_URL)"]
    fresh = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert TelegramApi(TOKEN).url == asyncio_helper.API_URL == fresh


async def test_api_url_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TelegramApi` sets it, which also affects bots that were created before."""
    async with BotApi() as first, BotApi() as second:
        bot = AsyncTeleBot(TOKEN)
        for each in (first, second):
            monkeypatch.setattr(asyncio_helper, "API_URL", each.template)
            await bot.get_me()
        assert (first.calls["getMe"], second.calls["getMe"]) == (1, 1)
        await bot.close_session()  # type: ignore[no-untyped-call]


async def test_second_api_with_other_url_raises() -> None:
    """`TelegramApi` raises: otherwise a token is sent to the server of the other bot."""
    async with BotApi() as first, BotApi() as second:
        one = TelegramApi(TOKEN, first.url)
        same = TelegramApi("1:other", f"{first.url}/")
        for url in (second.url, None):
            with pytest.raises(ValueError, match="another Bot API server"):
                TelegramApi(TOKEN, url)
        assert (await one.call("getMe", AsyncTeleBot.get_me)).username
        await one.close()
        with pytest.raises(ValueError, match="another Bot API server"):
            TelegramApi(TOKEN, second.url)
        await same.close()
        other = TelegramApi(TOKEN, second.url)
        assert (await other.call("getMe", AsyncTeleBot.get_me)).username
        await other.close()
        assert (first.calls["getMe"], second.calls["getMe"]) == (1, 1)


async def test_session_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TelegramApi` replaces the session. The library uses and closes the replacement."""
    manager = asyncio_helper.session_manager
    assert manager.ssl_context is not None
    async with BotApi() as telegram:
        monkeypatch.setattr(asyncio_helper, "API_URL", telegram.template)
        bot = AsyncTeleBot(TOKEN)
        await bot.get_me()
        assert isinstance(manager.session, aiohttp.ClientSession)
        await bot.close_session()  # type: ignore[no-untyped-call]
        assert manager.session.closed
        dates: list[str] = []
        trace = aiohttp.TraceConfig()

        async def ended(_: Any, __: Any, end: aiohttp.TraceRequestEndParams) -> None:
            dates.append(end.response.headers["Date"])

        trace.on_request_end.append(ended)
        manager.session = session = aiohttp.ClientSession(trace_configs=[trace])
        await bot.get_me()
        assert manager.session is session
        assert len(dates) == 1
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


async def test_updates_are_plain_objects(telegram: BotApi, api: TelegramApi) -> None:
    """`TelegramApi` polls by the function of the helper, which returns plain objects."""
    telegram.says(9, "hello")
    (update,) = await api.get_updates(None, 0, ["message"])
    assert update["message"]["text"] == "hello"
    assert await api.get_updates(update["update_id"] + 1, 0, ["message"]) == []


async def test_api_errors_have_code_description_and_parameters(
    telegram: BotApi, api: TelegramApi
) -> None:
    """`api` reads code, description and parameters. No failure has another class."""
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


async def test_cancellation_of_call_is_raised(telegram: BotApi, api: TelegramApi) -> None:
    """`TelegramApi` raises CancelledError, whatever the library raises."""
    telegram.misbehave(faults.HANG)
    call = asyncio.create_task(api.call("x", lambda bot: bot.send_message(CHAT, "x")))
    await telegram.until(lambda: telegram.calls["sendMessage"] == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


def test_logger_of_library_is_silenced() -> None:
    """`api` silences it, because its lines contain the URL with the token."""
    assert asyncio_helper.logger is logging.getLogger("TeleBot")
    assert not asyncio_helper.logger.isEnabledFor(logging.ERROR)


def test_extract_command_and_arguments() -> None:
    """For `updates/dispatch`."""
    for text, command, rest in [
        ("/device@bot_name a b", "device", "a b"),
        ("/stop", "stop", ""),
        ("hello", None, None),
    ]:
        assert util.extract_command(text) == command
        assert util.extract_arguments(text) == rest
