"""One message or press of a button in a chat, and how to answer it."""

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
from notifier.channels.channel import Buttons, Doubtful, Failed, Later, Refused, Unwelcome
from notifier.messages.texts import texts
from notifier.telegram.api import TelegramApi
from notifier.telegram.formatting import formatted, keyboard
from notifier.telegram.threads import Thread
from resolvers.services import Services

AGAIN_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 10.0
# What Telegram says of a press that nobody waits for any more.
TOO_OLD = "query is too old"


@dataclass(frozen=True, slots=True)
class CallbackPress:
    """Of a button under a message of ours; `text` None: the message is too old to be seen."""

    id: str
    message_id: int
    text: str | None


@dataclass
class ChatContext:
    """`thread`: where it was said, and is answered. `user`: an id; `name`: how people call the
    chat. `recipient`: what is known of the chat; None where nobody has let it in. `zone`: a time
    zone's name.
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
    noted: bool = field(default=False, init=False)

    @property
    def chat(self) -> str:
        """Its id."""
        return self.thread.chat

    @property
    def address(self) -> str:
        """Of the recipient, if the chat is one."""
        return self.recipient.address if self.recipient else self.thread.address

    @property
    def words(self) -> Mapping[str, Any]:
        return texts(self.language)

    @property
    def caller(self) -> Caller:
        """Whoever writes, with the rights of the chat. There must be a recipient."""
        assert self.recipient is not None  # noqa: S101
        owner = self.recipient.owner_id
        return telegram_caller(Role(self.recipient.role), owner, self.chat, self.user)

    @property
    def decides(self) -> bool:
        """Whether things may be changed from here."""
        return self.recipient is not None and self.recipient.role == Role.ADMIN

    def word(self, name: str, **values: object) -> str:
        """One of the bot's own texts."""
        return str(self.words["bot"][name]).format(**values)

    def moment(self, at: datetime) -> str:
        return f"{at.astimezone(ZoneInfo(self.zone)):%Y-%m-%d %H:%M %Z}"

    async def say(self, text: str, buttons: Buttons = ()) -> None:
        """Raises Failed, Refused or Gone, as the others do."""
        await self._post(
            lambda bot: bot.send_message(
                self.chat,
                formatted(text),
                parse_mode="HTML",
                reply_markup=keyboard(buttons),
                disable_web_page_preview=True,
                **self.thread.options,
            )
        )

    async def show(self, text: str, buttons: Buttons = ()) -> None:
        """In place of the message under which a button was pressed, as far as that can be done."""
        press = self.press
        if press is None or press.text is None:
            await self.say(text, buttons)
            return
        try:
            await self._post(
                lambda bot: bot.edit_message_text(
                    formatted(text),
                    self.chat,
                    press.message_id,
                    parse_mode="HTML",
                    reply_markup=keyboard(buttons),
                    disable_web_page_preview=True,
                )
            )
        except (Refused, Doubtful) as refused:
            if "not modified" not in str(refused):
                await self.say(text, buttons)

    async def pin(self, latitude: float, longitude: float) -> None:
        """A place on the map."""
        options = self.thread.options
        await self._post(lambda bot: bot.send_location(self.chat, latitude, longitude, **options))

    async def is_late(self) -> bool:
        """Whether Telegram has given the press up by now: it is answered before anything is done,
        since a press has no date.
        """
        try:
            await self.note()
        except (Failed, Refused) as error:
            return TOO_OLD in str(error)
        return False

    async def note(self, text: str | None = None) -> None:
        """A short word to whoever pressed; without one, just that it was heard."""
        press = self.press
        if press is None or self.noted:
            return
        self.noted = True
        await self._post(lambda bot: bot.answer_callback_query(press.id, text))

    async def _post(self, call: Callable[[AsyncTeleBot], Awaitable[object]]) -> None:
        """Once more where that may help: who asked is still there, and can ask again."""
        try:
            await self.api.post(self.chat, call)
        except (Unwelcome, Doubtful):
            raise
        except Failed as failed:
            seconds = failed.seconds if isinstance(failed, Later) else AGAIN_SECONDS
            if seconds > LONGEST_WAIT_SECONDS or self.recipient is None:
                raise
            await asyncio.sleep(seconds)
            await self.api.post(self.chat, call)
