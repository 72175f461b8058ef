"""From an update to the command or button that it means."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from telebot import util
from telebot.types import CallbackQuery, InaccessibleMessage, Message, Update, User

from db.tables.alerts import Recipient
from domain.access.token_bucket import Rate
from domain.errors import RollcallError, TooMany, Unavailable
from notifier.channels.channel import Failed, Gone, Refused
from notifier.messages.buttons import APPROVE, DEVICE, REJECT, SEPARATOR
from notifier.messages.texts import FALLBACK, LANGUAGES
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
from notifier.telegram.threads import Thread
from notifier.telegram.updates.chat import Press, Talk
from notifier.telegram.updates.membership import may_write, reopens
from notifier.telegram.updates.update import Heard
from resolvers.alerts.chats import chat_is_back, chat_moved, known_chat
from resolvers.services import Desk

log = logging.getLogger("rollcall.bot")

A_MINUTE = 60
# What was sent earlier is not done any more.
LATE_SECONDS = 600


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
    """`username`: the bot's own; None while nobody knows it, so nothing is meant for it by name.
    `zone`: the time zone of what it says.
    """

    def __init__(self, api: TelegramApi, zone: str) -> None:
        self._api = api
        self._zone = zone
        self._rate = Rate(A_MINUTE, "messages")
        self._excuses = Rate(1, "excuses")
        self.username: str | None = None

    async def __call__(self, desk: Desk, heard: Heard) -> None:
        """Raises Unavailable: then it has to be done again."""
        if changed := heard.raw.get("my_chat_member"):
            if may_write(changed):
                chat = changed["chat"]
                await chat_is_back(desk, str(chat["id"]), chat.get("username"))
            return
        update = Update.de_json(heard.raw)  # type: ignore[no-untyped-call]
        query, message = update.callback_query, update.message or update.channel_post
        if query and query.message:
            await self._pressed(desk, query, query.message, heard)
        elif message and message.migrate_to_chat_id:
            await chat_moved(desk, str(message.chat.id), str(message.migrate_to_chat_id))
        elif message and reopens(message):
            await chat_is_back(desk, str(message.chat.id), message.chat.username)
        elif message and not message.is_automatic_forward and (message.text or "").strip():
            await self._said(desk, message, (message.text or "").strip())

    async def _said(self, desk: Desk, message: Message, text: str) -> None:
        private = message.chat.type == "private"
        command = util.extract_command(text)
        if command is None and not private:
            return
        _, _, addressed = text.split(maxsplit=1)[0].partition("@")
        if command and addressed and addressed.lower() != (self.username or "").lower():
            return
        deed = COMMANDS.get((command or "").lower())
        if deed is None and not (private or addressed):
            return
        talk = await self._talk(desk, message, _author(message))
        if talk is None:
            return
        if self._api.clock.now - message.date > LATE_SECONDS:
            await self._excuse(talk, deed)
        elif deed:
            await self._do(talk, deed, (util.extract_arguments(text) or "").strip())
        else:
            await self._do(talk, COMMANDS["help"], "")

    async def _excuse(self, talk: Talk, deed: Deed | None) -> None:
        """For what was sent long ago: it is said once for all. Whoever writes can be written to."""
        if deed is COMMANDS["start"]:
            await chat_is_back(talk.desk, talk.chat)
        until = datetime.fromtimestamp(self._api.clock.now - LATE_SECONDS, UTC)
        await self._say_once(talk, talk.word("late", until=talk.moment(until)))

    async def _say_once(self, talk: Talk, text: str) -> None:
        try:
            self._excuses.admit(talk.thread.address)
        except TooMany:
            return
        await self._answer(talk, lambda: talk.say(text))

    async def _pressed(
        self,
        desk: Desk,
        query: CallbackQuery,
        message: Message | InaccessibleMessage,
        heard: Heard,
    ) -> None:
        press = Press(query.id, message.message_id, getattr(message, "text", None))
        talk = await self._talk(desk, message, _person(query.from_user), press)
        if talk is None:
            return
        talk.noted = heard.answered
        if not heard.fresh:
            if await talk.is_late():
                await self._say_once(talk, talk.word("late_press"))
                return
            heard.answered = True
        what, *about = (query.data or "").split(SEPARATOR)
        if deed := BUTTONS.get(what):
            await self._do(talk, deed, *about)
        await self._answer(talk, talk.note)

    async def _talk(
        self,
        desk: Desk,
        message: Message | InaccessibleMessage,
        author: "Author",
        press: Press | None = None,
    ) -> Talk | None:
        """None for one that talks more than a person does."""
        chat, thread = message.chat, Thread.of(message)
        try:
            self._rate.admit(chat.id)
        except TooMany:
            return None
        recipient: Recipient | None = await known_chat(desk, thread.chat, thread.topic)
        return Talk(
            self._api,
            desk,
            thread,
            chat.title or chat.first_name,
            author.id,
            author.name,
            _language(author.language, recipient),
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
    text = talk.word(name, chat=talk.thread.address)
    if talk.press and not talk.noted:
        await talk.note(text)
    else:
        await talk.say(text)


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes. `id` None: the chat itself, as a channel or an anonymous administrator does."""

    id: str | None
    name: str
    language: str | None = None


def _person(user: User | None) -> Author:
    return Author(str(user.id), user.full_name, user.language_code) if user else Author(None, "")


def _author(message: Message) -> Author:
    chat = message.sender_chat
    if chat is None:
        return _person(message.from_user)
    own = chat.id == message.chat.id
    return Author(None if own else str(chat.id), chat.title or "")


def _language(spoken: str | None, recipient: Recipient | None) -> str:
    """The user's, as far as there are texts in it; else the chat's."""
    spoken = spoken or ""
    if spoken.partition("-")[0].lower() in LANGUAGES or recipient is None:
        return spoken or FALLBACK
    return recipient.language
