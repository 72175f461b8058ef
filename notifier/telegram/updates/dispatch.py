"""Finds the command or button of an update, and runs it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from telebot import util
from telebot.types import CallbackQuery, InaccessibleMessage, Message, Update, User

from db.tables.alerts import RecipientRow
from domain.access.token_bucket import TokenBucket
from domain.errors import RateLimited, RollcallError, Unavailable
from notifier.channels.channel import RecipientGone, Refused, TemporaryFailure
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
from resolvers.alerts.chats import chat_moved, find_authorized_chat, resume_chat
from resolvers.services import Services

log = logging.getLogger("rollcall.bot")

MESSAGES_PER_MINUTE = 60
# Older messages are not executed.
MAX_AGE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Handler:
    """`public`: also for chats that are no recipients. `admin_only`: for chats that may change."""

    run: Callable[..., Awaitable[None]]
    public: bool = False
    admin_only: bool = False


COMMANDS = {
    "start": Handler(start.start, public=True),
    "help": Handler(start.help, public=True),
    "chatid": Handler(start.chatid, public=True),
    "devices": Handler(devices.devices),
    "device": Handler(device.device),
    "config": Handler(config.config, admin_only=True),
    "mute": Handler(quiet.mute),
    "quiet": Handler(quiet.quiet),
    "alerts": Handler(alerts.alerts),
    "stop": Handler(stop.stop),
}
BUTTONS = {
    devices.LIST: Handler(devices.page),
    DEVICE: Handler(device.device),
    APPROVE: Handler(approval.approve, admin_only=True),
    REJECT: Handler(approval.reject, admin_only=True),
    config.CONFIRM: Handler(config.confirm, admin_only=True),
    config.CANCEL: Handler(config.cancel),
    quiet.MUTE: Handler(quiet.muted),
    alerts.ALERTS: Handler(alerts.alerts),
    alerts.KIND: Handler(alerts.toggle),
    alerts.KINDS: Handler(alerts.choose),
    alerts.OWNERS: Handler(alerts.owners),
    alerts.OWNER: Handler(alerts.toggle_owner),
}


class Dispatch:
    """`username`: the bot's; None while unknown: commands with a bot name are ignored then.

    `zone`: the time zone of times in messages.
    """

    def __init__(self, api: TelegramApi, zone: str) -> None:
        self._api = api
        self._zone = zone
        self._rate = TokenBucket(MESSAGES_PER_MINUTE, "messages")
        self._late_notices = TokenBucket(1, "late notices")
        self.username: str | None = None

    async def __call__(self, services: Services, received: ReceivedUpdate) -> None:
        """Handle an update. Raises Unavailable if it has to be retried."""
        if changed := received.raw.get("my_chat_member"):
            if may_write(changed):
                chat = changed["chat"]
                await resume_chat(services, str(chat["id"]), chat.get("username"))
            return
        try:
            update = Update.de_json(received.raw)  # type: ignore[no-untyped-call]
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            log.warning("An update of unknown form is dropped: %s", type(error).__name__)
            return
        query, message = update.callback_query, update.message or update.channel_post
        if query and query.message:
            await self._handle_press(services, query, query.message, received)
        elif message and message.migrate_to_chat_id:
            await chat_moved(services, str(message.chat.id), str(message.migrate_to_chat_id))
        elif message and reopens(message):
            await resume_chat(services, str(message.chat.id), message.chat.username)
        elif message and not message.is_automatic_forward and (message.text or "").strip():
            await self._handle_message(services, message, (message.text or "").strip())

    async def _handle_message(self, services: Services, message: Message, text: str) -> None:
        private = message.chat.type == "private"
        command = util.extract_command(text)
        if command is None and not private:
            return
        _, _, addressed = text.split(maxsplit=1)[0].partition("@")
        if command and addressed and addressed.lower() != (self.username or "").lower():
            return
        handler = COMMANDS.get((command or "").lower())
        if handler is None and not (private or addressed):
            return
        context = await self._context(services, message, _author(message))
        if context is None:
            return
        if self._api.clock.now - message.date > MAX_AGE_SECONDS:
            await self._answer_late(context, handler)
        elif handler:
            await self._run(context, handler, (util.extract_arguments(text) or "").strip())
        else:
            await self._run(context, COMMANDS["help"], "")

    async def _answer_late(self, context: ChatContext, handler: Handler | None) -> None:
        """Say once per chat that old messages are not executed. An old /start enables the chat."""
        if handler is COMMANDS["start"]:
            await resume_chat(context.services, context.chat)
        until = datetime.fromtimestamp(self._api.clock.now - MAX_AGE_SECONDS, UTC)
        await self._send_once(context, context.text("late", until=context.format_time(until)))

    async def _send_once(self, context: ChatContext, text: str) -> None:
        try:
            self._late_notices.take(context.thread.address)
        except RateLimited:
            return
        await self._guard(context, lambda: context.send(text))

    async def _handle_press(
        self,
        services: Services,
        query: CallbackQuery,
        message: Message | InaccessibleMessage,
        received: ReceivedUpdate,
    ) -> None:
        press = CallbackPress(query.id, message.message_id, getattr(message, "text", None))
        context = await self._context(services, message, _person(query.from_user), press)
        if context is None:
            return
        context.press_answered = received.answered
        if not received.fresh:
            if await context.press_expired():
                await self._send_once(context, context.text("late_press"))
                return
            received.answered = True
        name, *arguments = (query.data or "").split(SEPARATOR)
        if handler := BUTTONS.get(name):
            await self._run(context, handler, *arguments)
        await self._guard(context, context.answer_press)

    async def _context(
        self,
        services: Services,
        message: Message | InaccessibleMessage,
        author: "Author",
        press: CallbackPress | None = None,
    ) -> ChatContext | None:
        """Return None if the chat sends more messages than a person does."""
        chat, thread = message.chat, Thread.of(message)
        try:
            self._rate.take(chat.id)
        except RateLimited:
            return None
        recipient: RecipientRow | None = await find_authorized_chat(
            services, thread.chat, thread.topic
        )
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

    async def _run(self, context: ChatContext, handler: Handler, *arguments: str) -> None:
        if context.recipient is None and not handler.public:
            await self._guard(context, lambda: _refuse(context, "uninvited"))
        elif handler.admin_only and not context.may_change:
            await self._guard(context, lambda: _refuse(context, "admins_only"))
        else:
            await self._guard(context, lambda: handler.run(context, *arguments))

    async def _guard(self, context: ChatContext, action: Callable[[], Awaitable[None]]) -> None:
        """Run the action. Errors are logged or sent to the chat; only Unavailable is raised."""
        try:
            await action()
        except Unavailable:
            raise
        except (TemporaryFailure, Refused, RecipientGone) as error:
            log.warning("The response to chat %s could not be sent: %s", context.chat, error)
        except RollcallError as error:
            text = str(error)
            await self._guard(context, lambda: context.send(text))
        except Exception:
            log.exception("A command or button failed.")


async def _refuse(context: ChatContext, name: str) -> None:
    text = context.text(name, chat=context.thread.address)
    if context.press and not context.press_answered:
        await context.answer_press(text)
    else:
        await context.send(text)


@dataclass(frozen=True, slots=True)
class Author:
    """The sender. `id` None: the chat itself, for channels and anonymous administrators."""

    id: str | None
    name: str
    language: str | None = None


def _person(user: User | None) -> Author:
    return Author(str(user.id), user.full_name, user.language_code) if user else Author(None, "")


def _author(message: Message) -> Author:
    chat = message.sender_chat
    if chat is None:
        return _person(message.from_user)
    same = chat.id == message.chat.id
    return Author(None if same else str(chat.id), chat.title or "")


def _language(code: str | None, recipient: RecipientRow | None) -> str:
    """The user's language if there are texts in it; else the chat's."""
    code = code or ""
    if code.partition("-")[0].lower() in LANGUAGES or recipient is None:
        return code or FALLBACK
    return recipient.language
