"""The context of a message or button press in a chat, and the ways to respond."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from telebot.async_telebot import AsyncTeleBot

from db.tables.alerts import RecipientRow
from domain.access.caller import Caller
from domain.alerts.recipients import Role, telegram_caller
from notifier.channels.channel import (
    Buttons,
    Refused,
    RetryLater,
    TemporaryFailure,
    UnclearRefusal,
    WriteForbidden,
)
from notifier.messages.texts import texts
from notifier.telegram.api import TelegramApi
from notifier.telegram.formatting import format_text, keyboard
from notifier.telegram.threads import Thread
from resolvers.services import Services

RETRY_SECONDS = 1.0
MAX_WAIT_SECONDS = 10.0
# Part of Telegram's error for a button press that has expired.
EXPIRED = "query is too old"


@dataclass(frozen=True, slots=True)
class CallbackPress:
    """A press of a button under the bot's message. `text` None: the message is inaccessible."""

    id: str
    message_id: int
    text: str | None


@dataclass
class ChatContext:
    """`thread`: of the message and of the response. `name`: the chat's. `user`: the id of a person.

    `recipient`: None if the chat was not invited. `zone`: the name of a time zone.
    """

    api: TelegramApi
    services: Services
    thread: Thread
    name: str | None
    user: str | None
    user_name: str
    language: str
    zone: str
    recipient: RecipientRow | None
    press: CallbackPress | None = None
    press_answered: bool = field(default=False, init=False)

    @property
    def chat(self) -> str:
        """The id of the chat."""
        return self.thread.chat

    @property
    def address(self) -> str:
        """The recipient's address; the thread's if the chat is no recipient."""
        return self.recipient.address if self.recipient else self.thread.address

    @property
    def texts(self) -> Mapping[str, Any]:
        return texts(self.language)

    @property
    def caller(self) -> Caller:
        """The person who writes, with the rights of the chat. The chat must be a recipient."""
        assert self.recipient is not None  # noqa: S101
        owner = self.recipient.owner_id
        return telegram_caller(Role(self.recipient.role), owner, self.chat, self.user)

    @property
    def may_change(self) -> bool:
        """Whether this chat may change devices."""
        return self.recipient is not None and self.recipient.role == Role.ADMIN

    def text(self, name: str, **values: object) -> str:
        """Return one of the bot's texts."""
        return str(self.texts["bot"][name]).format(**values)

    def format_time(self, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M %Z}"

    async def send(self, text: str, buttons: Buttons = ()) -> None:
        """Send a message. Raises Failed, Refused or Gone, as the following methods do."""
        await self._call(
            lambda bot: bot.send_message(
                self.chat,
                format_text(text),
                parse_mode="HTML",
                reply_markup=keyboard(buttons),
                disable_web_page_preview=True,
                **self.thread.options,
            )
        )

    async def edit_or_send(self, text: str, buttons: Buttons = ()) -> None:
        """Edit the message whose button was pressed. Send a new one if that is not possible."""
        press = self.press
        if press is None or press.text is None:
            await self.send(text, buttons)
            return
        try:
            await self._call(
                lambda bot: bot.edit_message_text(
                    format_text(text),
                    self.chat,
                    press.message_id,
                    parse_mode="HTML",
                    reply_markup=keyboard(buttons),
                    disable_web_page_preview=True,
                )
            )
        except (Refused, UnclearRefusal) as refused:
            if "not modified" not in str(refused):
                await self.send(text, buttons)

    async def send_location(self, latitude: float, longitude: float) -> None:
        """Send a place on the map."""
        options = self.thread.options
        await self._call(lambda bot: bot.send_location(self.chat, latitude, longitude, **options))

    async def press_expired(self) -> bool:
        """Answer the press to find out whether it is too old: a press has no date."""
        try:
            await self.answer_press()
        except (TemporaryFailure, Refused) as error:
            return EXPIRED in str(error)
        return False

    async def answer_press(self, text: str | None = None) -> None:
        """Confirm the press, with a short text for the person if there is one."""
        press = self.press
        if press is None or self.press_answered:
            return
        self.press_answered = True
        await self._call(lambda bot: bot.answer_callback_query(press.id, text))

    async def _call(self, method: Callable[[AsyncTeleBot], Awaitable[object]]) -> None:
        """Call, and retry once: after that the person can repeat the command."""
        try:
            await self.api.send_throttled(self.chat, method)
        except (WriteForbidden, UnclearRefusal):
            raise
        except TemporaryFailure as failed:
            seconds = failed.seconds if isinstance(failed, RetryLater) else RETRY_SECONDS
            if seconds > MAX_WAIT_SECONDS or self.recipient is None:
                raise
            await asyncio.sleep(seconds)
            await self.api.send_throttled(self.chat, method)
