"""The methods of the Bot API that Rollcall uses."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.support.telegram.chats import BOT, SENDER
from tests.support.telegram.errors import bad_request
from tests.support.telegram.faults import WELL, Fault, FaultInjected
from tests.support.telegram.markup import inline_keyboard, visible

if TYPE_CHECKING:
    from tests.alerts.bot_api import BotApi

TEXT_CHARACTERS = 4096
COMMAND = re.compile(r"[a-z0-9_]{1,32}")


class Call:
    """One request. A method checks its parameters, then calls `admit`, then acts. There is no await
    in between, so a fault takes effect either before the action or after it.
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
    def target(self) -> dict[str, Any]:
        """The chat. Raises ApiError if the bot can't send to it or to the given topic."""
        return self.api.chats.to_send(self.get("chat_id"), self.get("message_thread_id"))

    @property
    def topic(self) -> int | None:
        return int(self.get("message_thread_id") or 0) or None

    @property
    def keyboard(self) -> dict[str, Any] | None:
        return inline_keyboard(self.get("reply_markup"))

    @property
    def text(self) -> str:
        """The text without tags. Raises ApiError unless it has 1 to 4096 characters."""
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
            raise FaultInjected(self.fault)


def send_message(call: Call) -> dict[str, Any]:
    chat, text, keyboard = call.target, call.text, call.keyboard
    call.admit(chat["id"])
    message = call.api.chats.write(chat, SENDER, topic=call.topic, text=text, reply_markup=keyboard)
    call.api.record(call, message, text)
    return message


def send_location(call: Call) -> dict[str, Any]:
    chat, keyboard = call.target, call.keyboard
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


def plain(action: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """Make a method that checks no parameters."""

    def method(call: Call) -> Any:
        call.admit()
        return action(call)

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
# Method names are case-insensitive.
NAMES = {name.lower(): name for name in METHODS}
