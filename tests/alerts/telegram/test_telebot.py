"""The telebot library works with the stand-in."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from tests.alerts.bot_api import BotApi
from tests.alerts.telegram.client import CHAT
from tests.support.telegram import faults

telebot = pytest.importorskip("telebot")
async_telebot = pytest.importorskip("telebot.async_telebot")
asyncio_helper = pytest.importorskip("telebot.asyncio_helper")
types = pytest.importorskip("telebot.types")


@pytest.fixture
async def bot(api: BotApi, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(asyncio_helper, "API_URL", api.template)
    bot = async_telebot.AsyncTeleBot(api.token, parse_mode="HTML")
    yield bot
    await bot.close_session()


async def test_telebot_sends_and_edits(api: BotApi, bot: Any) -> None:
    button = types.InlineKeyboardButton("Mute", callback_data="mute")
    keyboard = types.InlineKeyboardMarkup([[button]])
    message = await bot.send_message(CHAT, "<b>Grüße</b> &amp; 🌍", reply_markup=keyboard)
    assert (message.text, message.chat.id) == ("Grüße & 🌍", CHAT)
    assert message.reply_markup.keyboard[0][0].callback_data == "mute"
    await bot.edit_message_text("later", CHAT, message.message_id)
    place = await bot.send_location(CHAT, 50.1, 8.6)
    assert (place.location.latitude, place.message_id) == (50.1, message.message_id + 1)
    assert (await bot.get_chat(CHAT)).type == "private"
    assert (await bot.get_me()).username == "rollcall_test_bot"
    assert await bot.set_my_commands([types.BotCommand("help", "Hilfe")], language_code="de")
    assert api.commands["de"][0]["description"] == "Hilfe"
    assert await bot.set_webhook("http://127.0.0.1:9/", secret_token="s")
    assert (await bot.get_webhook_info()).url == "http://127.0.0.1:9/"
    assert await bot.delete_webhook(drop_pending_updates=True)


async def test_telebot_polls(api: BotApi, bot: Any) -> None:
    @bot.message_handler(commands=["start"])  # type: ignore[untyped-decorator]
    async def start(message: Any) -> None:
        await bot.reply_to(message, f"{message.from_user.language_code} {message.text}")

    @bot.callback_query_handler(func=lambda _: True)  # type: ignore[untyped-decorator]
    async def press(query: Any) -> None:
        await bot.answer_callback_query(query.id, f"{query.data} of {query.message.text}")

    polling = asyncio.create_task(bot.polling(non_stop=True, timeout=30))
    await api.until(lambda: api.calls["getUpdates"] > 0)
    api.says(9, "/start abc", "fa")
    await api.until(lambda: len(api.sent) == 1)
    assert (api.sent[0].chat_id, api.sent[0].text) == (9, "fa /start abc")
    api.presses(9, api.sent[0].message_id, "mute")
    await api.until(lambda: len(api.sent) == 2)
    assert api.sent[1].text == "mute of fa /start abc"
    polling.cancel()
    with suppress(asyncio.CancelledError):
        await polling


async def test_telebot_raises_its_exception_for_each_fault(api: BotApi, bot: Any) -> None:
    api.misbehave(faults.too_many(3), faults.BLOCKED, faults.BAD_REQUEST)
    seen = []
    for _ in range(3):
        with pytest.raises(asyncio_helper.ApiTelegramException) as refused:
            await bot.send_message(CHAT, "x")
        seen.append((refused.value.error_code, refused.value.result_json.get("parameters")))
    assert seen == [(429, {"retry_after": 3}), (403, None), (400, None)]
    api.misbehave(faults.BAD_GATEWAY, faults.TRUNCATED, faults.DROP_BEFORE, faults.HANG)
    for failure in ("ApiHTTPException", "ApiInvalidJSONException", *["RequestTimeout"] * 2):
        with pytest.raises(getattr(asyncio_helper, failure)):
            await bot.send_message(CHAT, "x", timeout=1)
    assert len(api.sent) == 1


def test_synchronous_telebot_polls_and_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    with BotApi() as api:
        monkeypatch.setattr(telebot.apihelper, "API_URL", api.template)
        monkeypatch.setattr(telebot.apihelper, "SESSION_TIME_TO_LIVE", 0)
        bot = telebot.TeleBot(api.token, threaded=False)
        api.says(CHAT, "hello")
        assert bot.get_updates(long_polling_timeout=5)[0].message.text == "hello"
        assert bot.send_message(CHAT, "🌍" * 4096).message_id == 2
        telebot.apihelper._get_req_session(reset=True).close()
