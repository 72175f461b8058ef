"""From an update to the command or button that it means."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from telebot import util
from telebot.types import CallbackQuery, InaccessibleMessage, Message, Update, User

from db.alert_tables import Recipient
from domain.errors import RollcallError, TooMany, Unavailable
from domain.rates import Rate
from notifier.channel import Failed, Gone, Refused
from notifier.offers import APPROVE, DEVICE, REJECT, SEPARATOR
from notifier.telegram.api import TelegramApi
from notifier.telegram.commands import (
    alerts,
    approval,
    config,
    device,
    devices,
    quiet,
    start,
    stop,
)
from notifier.telegram.talk import Press, Talk
from notifier.texts import FALLBACK, LANGUAGES
from resolvers.chats import chat_moved, known_chat
from resolvers.desk import Desk

log = logging.getLogger("rollcall.bot")

A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Deed:
    """`open`: to anybody, known or not. `decides`: only for chats that may change things."""

    run: Callable[..., Awaitable[None]]
    open: bool = False
    decides: bool = False


COMMANDS = {
    "start": Deed(start.start, open=True),
    "help": Deed(start.help, open=True),
    "chatid": Deed(start.chatid, open=True),
    "devices": Deed(devices.devices),
    "device": Deed(device.device),
    "config": Deed(config.config, decides=True),
    "mute": Deed(quiet.mute),
    "quiet": Deed(quiet.quiet),
    "alerts": Deed(alerts.alerts),
    "stop": Deed(stop.stop),
}
BUTTONS = {
    devices.LIST: Deed(devices.leaf),
    DEVICE: Deed(device.device),
    APPROVE: Deed(approval.approve, decides=True),
    REJECT: Deed(approval.reject, decides=True),
    config.CONFIRM: Deed(config.confirm, decides=True),
    config.CANCEL: Deed(config.cancel),
    quiet.MUTE: Deed(quiet.muted),
    alerts.ALERTS: Deed(alerts.alerts),
    alerts.KIND: Deed(alerts.toggle),
    alerts.KINDS: Deed(alerts.choose),
    alerts.OWNERS: Deed(alerts.owners),
    alerts.OWNER: Deed(alerts.toggle_owner),
}


class Dispatch:
    """`username`: the bot's own. `zone`: the time zone of what it says."""

    def __init__(self, api: TelegramApi, username: str, zone: str) -> None:
        self._api = api
        self._username = username.lower()
        self._zone = zone
        self._rate = Rate(A_MINUTE, "messages")

    async def __call__(self, desk: Desk, update: Update) -> None:
        """Raises Unavailable: then it has to be done again."""
        query, message = update.callback_query, update.message
        if query and query.message:
            await self._pressed(desk, query, query.message)
        elif message and message.migrate_to_chat_id:
            await chat_moved(desk, str(message.chat.id), str(message.migrate_to_chat_id))
        elif message and message.text and message.text.strip():
            await self._said(desk, message, message.text.strip())

    async def _said(self, desk: Desk, message: Message, text: str) -> None:
        private = message.chat.type == "private"
        command = util.extract_command(text)
        if command is None and not private:
            return
        _, _, addressed = text.split(maxsplit=1)[0].partition("@")
        if command and addressed and addressed.lower() != self._username:
            return
        deed = COMMANDS.get((command or "").lower())
        talk = await self._talk(desk, message.chat, message.from_user)
        if talk is None:
            return
        if deed:
            await self._do(talk, deed, (util.extract_arguments(text) or "").strip())
        elif private or addressed:
            await self._do(talk, COMMANDS["help"], "")

    async def _pressed(
        self, desk: Desk, query: CallbackQuery, message: Message | InaccessibleMessage
    ) -> None:
        press = Press(query.id, message.message_id, getattr(message, "text", None))
        talk = await self._talk(desk, message.chat, query.from_user, press)
        if talk is None:
            return
        what, *about = (query.data or "").split(SEPARATOR)
        if deed := BUTTONS.get(what):
            await self._do(talk, deed, *about)
        await self._answer(talk, talk.note)

    async def _talk(
        self, desk: Desk, chat: Any, user: User | None, press: Press | None = None
    ) -> Talk | None:
        """None for one that talks more than a person does."""
        try:
            self._rate.admit(chat.id)
        except TooMany:
            return None
        recipient: Recipient | None = await known_chat(desk, str(chat.id))
        return Talk(
            self._api,
            desk,
            str(chat.id),
            chat.title or chat.first_name,
            str(user.id) if user else None,
            user.full_name if user else "",
            _language(user, recipient),
            self._zone,
            recipient,
            press,
        )

    async def _do(self, talk: Talk, deed: Deed, *about: str) -> None:
        if talk.recipient is None and not deed.open:
            await self._answer(talk, lambda: _refuse(talk, "uninvited"))
        elif deed.decides and not talk.decides:
            await self._answer(talk, lambda: _refuse(talk, "admins_only"))
        else:
            await self._answer(talk, lambda: deed.run(talk, *about))

    async def _answer(self, talk: Talk, deed: Callable[[], Awaitable[None]]) -> None:
        """One update that can't be dealt with must not stand in the way of all the others."""
        try:
            await deed()
        except Unavailable:
            raise
        except (Failed, Refused, Gone) as error:
            log.warning("No answer in chat %s: %s", talk.chat, error)
        except RollcallError as error:
            text = str(error)
            await self._answer(talk, lambda: talk.say(text))
        except Exception:
            log.exception("A command or button has failed.")


async def _refuse(talk: Talk, name: str) -> None:
    text = talk.word(name, chat=talk.chat)
    if talk.press:
        await talk.note(text)
    else:
        await talk.say(text)


def _language(user: User | None, recipient: Recipient | None) -> str:
    """The user's, as far as there are texts in it; else the chat's."""
    spoken = (user.language_code or "") if user else ""
    if spoken.partition("-")[0].lower() in LANGUAGES or recipient is None:
        return spoken or FALLBACK
    return recipient.language
