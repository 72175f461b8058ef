"""From an update to the command or button that it means."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from telebot import util
from telebot.types import CallbackQuery, InaccessibleMessage, Message, Update, User

from db.tables.alerts import RecipientRow
from domain.access.token_bucket import TokenBucket
from domain.errors import RateLimited, RollcallError, Unavailable
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
from notifier.telegram.updates.chat import CallbackPress, ChatContext
from notifier.telegram.updates.membership import may_write, reopens
from notifier.telegram.updates.update import ReceivedUpdate
from resolvers.alerts.chats import chat_is_back, chat_moved, known_chat
from resolvers.services import Services

log = logging.getLogger("rollcall.bot")

A_MINUTE = 60
# What was sent earlier is not done any more.
LATE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Handler:
    """`open`: to anybody, known or not. `decides`: only for chats that may change things."""

    run: Callable[..., Awaitable[None]]
    open: bool = False
    decides: bool = False


COMMANDS = {
    "start": Handler(start.start, open=True),
    "help": Handler(start.help, open=True),
    "chatid": Handler(start.chatid, open=True),
    "devices": Handler(devices.devices),
    "device": Handler(device.device),
    "config": Handler(config.config, decides=True),
    "mute": Handler(quiet.mute),
    "quiet": Handler(quiet.quiet),
    "alerts": Handler(alerts.alerts),
    "stop": Handler(stop.stop),
}
BUTTONS = {
    devices.LIST: Handler(devices.leaf),
    DEVICE: Handler(device.device),
    APPROVE: Handler(approval.approve, decides=True),
    REJECT: Handler(approval.reject, decides=True),
    config.CONFIRM: Handler(config.confirm, decides=True),
    config.CANCEL: Handler(config.cancel),
    quiet.MUTE: Handler(quiet.muted),
    alerts.ALERTS: Handler(alerts.alerts),
    alerts.KIND: Handler(alerts.toggle),
    alerts.KINDS: Handler(alerts.choose),
    alerts.OWNERS: Handler(alerts.owners),
    alerts.OWNER: Handler(alerts.toggle_owner),
}


class Dispatch:
    """`username`: the bot's own; None while nobody knows it, so nothing is meant for it by name.
    `zone`: the time zone of what it says.
    """

    def __init__(self, api: TelegramApi, zone: str) -> None:
        self._api = api
        self._zone = zone
        self._rate = TokenBucket(A_MINUTE, "messages")
        self._excuses = TokenBucket(1, "excuses")
        self.username: str | None = None

    async def __call__(self, services: Services, heard: ReceivedUpdate) -> None:
        """Raises Unavailable: then it has to be done again."""
        if changed := heard.raw.get("my_chat_member"):
            if may_write(changed):
                chat = changed["chat"]
                await chat_is_back(services, str(chat["id"]), chat.get("username"))
            return
        update = Update.de_json(heard.raw)  # type: ignore[no-untyped-call]
        query, message = update.callback_query, update.message or update.channel_post
        if query and query.message:
            await self._pressed(services, query, query.message, heard)
        elif message and message.migrate_to_chat_id:
            await chat_moved(services, str(message.chat.id), str(message.migrate_to_chat_id))
        elif message and reopens(message):
            await chat_is_back(services, str(message.chat.id), message.chat.username)
        elif message and not message.is_automatic_forward and (message.text or "").strip():
            await self._said(services, message, (message.text or "").strip())

    async def _said(self, services: Services, message: Message, text: str) -> None:
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
        context = await self._talk(services, message, _author(message))
        if context is None:
            return
        if self._api.clock.now - message.date > LATE_SECONDS:
            await self._excuse(context, deed)
        elif deed:
            await self._do(context, deed, (util.extract_arguments(text) or "").strip())
        else:
            await self._do(context, COMMANDS["help"], "")

    async def _excuse(self, context: ChatContext, deed: Handler | None) -> None:
        """For what was sent long ago: it is said once for all. Whoever writes can be written to."""
        if deed is COMMANDS["start"]:
            await chat_is_back(context.services, context.chat)
        until = datetime.fromtimestamp(self._api.clock.now - LATE_SECONDS, UTC)
        await self._say_once(context, context.word("late", until=context.moment(until)))

    async def _say_once(self, context: ChatContext, text: str) -> None:
        try:
            self._excuses.take(context.thread.address)
        except RateLimited:
            return
        await self._answer(context, lambda: context.say(text))

    async def _pressed(
        self,
        services: Services,
        query: CallbackQuery,
        message: Message | InaccessibleMessage,
        heard: ReceivedUpdate,
    ) -> None:
        press = CallbackPress(query.id, message.message_id, getattr(message, "text", None))
        context = await self._talk(services, message, _person(query.from_user), press)
        if context is None:
            return
        context.noted = heard.answered
        if not heard.fresh:
            if await context.is_late():
                await self._say_once(context, context.word("late_press"))
                return
            heard.answered = True
        what, *about = (query.data or "").split(SEPARATOR)
        if deed := BUTTONS.get(what):
            await self._do(context, deed, *about)
        await self._answer(context, context.note)

    async def _talk(
        self,
        services: Services,
        message: Message | InaccessibleMessage,
        author: "Author",
        press: CallbackPress | None = None,
    ) -> ChatContext | None:
        """None for one that talks more than a person does."""
        chat, thread = message.chat, Thread.of(message)
        try:
            self._rate.take(chat.id)
        except RateLimited:
            return None
        recipient: RecipientRow | None = await known_chat(services, thread.chat, thread.topic)
        return ChatContext(
            self._api,
            services,
            thread,
            chat.title or chat.first_name,
            author.id,
            author.name,
            _language(author.language, recipient),
            self._zone,
            recipient,
            press,
        )

    async def _do(self, context: ChatContext, deed: Handler, *about: str) -> None:
        if context.recipient is None and not deed.open:
            await self._answer(context, lambda: _refuse(context, "uninvited"))
        elif deed.decides and not context.decides:
            await self._answer(context, lambda: _refuse(context, "admins_only"))
        else:
            await self._answer(context, lambda: deed.run(context, *about))

    async def _answer(self, context: ChatContext, deed: Callable[[], Awaitable[None]]) -> None:
        """One update that can't be dealt with must not stand in the way of all the others."""
        try:
            await deed()
        except Unavailable:
            raise
        except (Failed, Refused, Gone) as error:
            log.warning("No answer in chat %s: %s", context.chat, error)
        except RollcallError as error:
            text = str(error)
            await self._answer(context, lambda: context.say(text))
        except Exception:
            log.exception("A command or button has failed.")


async def _refuse(context: ChatContext, name: str) -> None:
    text = context.word(name, chat=context.thread.address)
    if context.press and not context.noted:
        await context.note(text)
    else:
        await context.say(text)


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


def _language(spoken: str | None, recipient: RecipientRow | None) -> str:
    """The user's, as far as there are texts in it; else the chat's."""
    spoken = spoken or ""
    if spoken.partition("-")[0].lower() in LANGUAGES or recipient is None:
        return spoken or FALLBACK
    return recipient.language
