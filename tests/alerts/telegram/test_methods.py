"""Methods of the stand-in validate parameters as strictly as Telegram."""

from typing import Any

import pytest

from tests.alerts.bot_api import BotApi
from tests.alerts.telegram.client import CHAT, Bot


async def test_parameters_are_accepted_in_every_encoding(api: BotApi, bot: Bot) -> None:
    message = {"chat_id": str(CHAT), "text": "Grüße 🌍 <&> \r\n x"}
    url = f"{bot.base}/sendMessage"
    files: Any = {name: (None, value) for name, value in message.items()}
    await bot.http.get(url, params=message)
    await bot.http.post(url, data=message)
    await bot.http.post(url, files=files)
    await bot.http.post(url.lower().replace(api.token.lower(), api.token), json=message)
    assert [sent.text for sent in api.sent] == [message["text"]] * 4
    assert [sent.message_id for sent in api.sent] == [1, 2, 3, 4]


async def test_wrong_token_and_unknown_method_are_refused(api: BotApi, bot: Bot) -> None:
    assert (await bot.call("sendCash"))["error_code"] == 404
    answer = await bot.http.get(f"{api.url}/bot1:no/getMe")
    assert answer.status_code == 401
    assert answer.json() == {"ok": False, "error_code": 401, "description": "Unauthorized"}


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"text": "", "chat_id": CHAT}, "message text is empty"),
        ({"text": "x" * 4097, "chat_id": CHAT}, "message is too long"),
        ({"text": "x", "chat_id": 6}, "chat not found"),
        ({"text": "x", "chat_id": CHAT, "reply_markup": "{"}, "can't parse reply keyboard"),
        (
            {
                "text": "x",
                "chat_id": CHAT,
                "reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "ä" * 33}]]},
            },
            "BUTTON_DATA_INVALID",
        ),
    ],
)
async def test_invalid_message_parameters_are_refused(
    api: BotApi, bot: Bot, parameters: dict[str, Any], why: str
) -> None:
    answer = await bot.call("sendMessage", **parameters)
    assert answer["error_code"] == 400
    assert answer["description"].startswith(f"Bad Request: {why}")
    assert api.sent == []


async def test_location_edit_and_answer_to_press(api: BotApi, bot: Bot) -> None:
    location = {"chat_id": CHAT, "latitude": 50.1, "longitude": 8.6}
    assert (await bot.call("sendLocation", **location))["result"]["location"]["latitude"] == 50.1
    assert (await bot.call("sendLocation", **location | {"latitude": 91}))["error_code"] == 400
    keyboard = {"inline_keyboard": [[{"text": "Mute", "callback_data": "mute"}]]}
    id = (await bot.send("a", reply_markup=keyboard))["result"]["message_id"]
    edit = {"chat_id": CHAT, "message_id": id, "text": "b"}
    assert (await bot.call("editMessageText", **edit))["result"]["text"] == "b"
    assert "is not modified" in (await bot.call("editMessageText", **edit))["description"]
    query = api.presses(CHAT, id, "mute", "de")
    (update,) = (await bot.call("getUpdates"))["result"]
    assert update["callback_query"]["message"]["text"] == "b"
    assert update["callback_query"]["from"]["language_code"] == "de"
    assert (await bot.call("answerCallbackQuery", callback_query_id=query))["ok"]
    assert (await bot.call("answerCallbackQuery", callback_query_id=query))["error_code"] == 400


async def test_commands_are_set_by_language(api: BotApi, bot: Bot) -> None:
    commands = [{"command": "help", "description": "Hilfe"}]
    assert (await bot.call("setMyCommands", commands=commands, language_code="de"))["ok"]
    assert (await bot.call("setMyCommands", commands=commands, language_code="deu"))["ok"] is False
    assert api.commands == {"de": commands}
