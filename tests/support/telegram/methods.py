"""The methods of the Bot API that Rollcall uses."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.support.telegram.chats import BOT, SENDER
from tests.support.telegram.faults import WELL, Fault, Struck
from tests.support.telegram.markup import inline_keyboard, visible
from tests.support.telegram.refusal import bad_request

if TYPE_CHECKING:
    from tests.alerts.bot_api import BotApi

TEXT_CHARACTERS = 4096
COMMAND = re.compile(r"[a-z0-9_]{1,32}")


class Call:
    """One request. A method checks first, then asks to be admitted, then acts: without an await in
    between, so that a fault falls either before the deed or after it.
    """

    def __init__(self, api: "BotApi", method: str, parameters: dict[str, str]) -> None:
        self.api = api
        self.method = method
        self.parameters = parameters
        self.fault: Fault = WELL

    def get(self, name: str) -> str | None:
        return self.parameters.get(name)

    @property
    def chat(self) -> dict[str, Any]:
        return self.api.chats.find(self.get("chat_id"))

    @property
    def takes(self) -> dict[str, Any]:
        """The chat, if a message can be sent there, in the topic that is asked for."""
        return self.api.chats.to_send(self.get("chat_id"), self.get("message_thread_id"))

    @property
    def topic(self) -> int | None:
        return int(self.get("message_thread_id") or 0) or None

    @property
    def keyboard(self) -> dict[str, Any] | None:
        return inline_keyboard(self.get("reply_markup"))

    @property
    def text(self) -> str:
        """What the user reads, 1 to 4096 characters."""
        text, mode = self.get("text") or "", self.get("parse_mode") or ""
        if not text:
            raise bad_request("message text is empty")
        if mode.lower() not in ("", "html"):
            raise bad_request("unsupported parse_mode")
        text = (visible(text) if mode else text).strip()
        if not text:
            raise bad_request("text must be non-empty")
        if len(text) > TEXT_CHARACTERS:
            raise bad_request("message is too long")
        return text

    def number(self, name: str, bound: float) -> float:
        try:
            value = float(self.get(name) or "")
        except ValueError:
            value = bound + 1
        if not -bound <= value <= bound:
            raise bad_request(f"{name} is invalid")
        return value

    def admit(self, chat_id: int | None = None) -> None:
        self.fault = self.api.admit(self.method, chat_id)
        if not self.fault.accepts:
            raise Struck(self.fault)


def send_message(call: Call) -> dict[str, Any]:
    chat, text, keyboard = call.takes, call.text, call.keyboard
    call.admit(chat["id"])
    message = call.api.chats.write(chat, SENDER, topic=call.topic, text=text, reply_markup=keyboard)
    call.api.record(call, message, text)
    return message


def send_location(call: Call) -> dict[str, Any]:
    chat, keyboard = call.takes, call.keyboard
    location = {"latitude": call.number("latitude", 90), "longitude": call.number("longitude", 180)}
    call.admit(chat["id"])
    message = call.api.chats.write(
        chat, SENDER, topic=call.topic, location=location, reply_markup=keyboard
    )
    call.api.record(call, message, "")
    return message


def edit_message_text(call: Call) -> dict[str, Any]:
    chat, text, keyboard = call.chat, call.text, call.keyboard
    message = call.api.chats.own(chat, call.get("message_id"))
    if "text" not in message:
        raise bad_request("there is no text in the message to edit")
    call.admit(chat["id"])
    message = call.api.chats.edit(message, text=text, reply_markup=keyboard)
    call.api.record(call, message, text)
    return message


def edit_message_reply_markup(call: Call) -> dict[str, Any]:
    chat, keyboard = call.chat, call.keyboard
    message = call.api.chats.own(chat, call.get("message_id"))
    call.admit(chat["id"])
    message = call.api.chats.edit(message, reply_markup=keyboard)
    call.api.record(call, message, "")
    return message


def answer_callback_query(call: Call) -> bool:
    chat_id = call.api.callbacks.get(call.get("callback_query_id") or "")
    if chat_id is None:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    call.admit(chat_id)
    del call.api.callbacks[call.parameters["callback_query_id"]]
    call.api.record(call, {"chat": {"id": chat_id}}, call.get("text") or "")
    return True


def set_my_commands(call: Call) -> bool:
    commands, language = json.loads(call.get("commands") or "[]"), call.get("language_code") or ""
    if language and not re.fullmatch("[a-z]{2}", language):
        raise bad_request("invalid language code specified")
    for command in commands:
        if not COMMAND.fullmatch(command["command"].removeprefix("/")):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(command["description"]) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    call.admit()
    call.api.commands[language] = commands
    return True


def plain(deed: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """For a method that has nothing to check first."""

    def method(call: Call) -> Any:
        call.admit()
        return deed(call)

    return method


def delete_webhook(call: Call) -> Any:
    return call.api.updates.set_webhook({**call.parameters, "url": "", "secret_token": ""})


METHODS: dict[str, Callable[[Call], Any]] = {
    "getMe": plain(lambda _: BOT),
    "getChat": plain(lambda call: {**call.chat, "accent_color_id": 0, "max_reaction_count": 11}),
    "getUpdates": plain(lambda call: call.api.updates.poll(call.parameters)),
    "setWebhook": plain(lambda call: call.api.updates.set_webhook(call.parameters)),
    "deleteWebhook": plain(delete_webhook),
    "getWebhookInfo": plain(lambda call: call.api.updates.webhook_info),
    "setMyCommands": set_my_commands,
    "sendMessage": send_message,
    "sendLocation": send_location,
    "editMessageText": edit_message_text,
    "editMessageReplyMarkup": edit_message_reply_markup,
    "answerCallbackQuery": answer_callback_query,
}
# Telegram doesn't look at the case of a method's name.
NAMES = {name.lower(): name for name in METHODS}
