"""The bot: it talks for one server at a time, whichever has the lock."""

import asyncio
import hashlib
import hmac
import logging
import random
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from telebot.async_telebot import AsyncTeleBot
from telebot.types import BotCommand, Update

from concurrency.tasks import run_together
from db.database import Locks, LocksLost
from domain.errors import Unavailable
from notifier.channel import Failed, Gone, Refused
from notifier.telegram.api import TelegramApi
from notifier.telegram.dispatch import COMMANDS, Dispatch
from notifier.telegram.turns import Turns
from notifier.texts import FALLBACK, LANGUAGES, texts
from resolvers.chats import meet_bot
from resolvers.desk import Desk

log = logging.getLogger("rollcall.bot")

LOCK = 7_265_543
WANTED = ["message", "callback_query"]
# Telegram holds a question open for so long, if there is nothing to tell.
POLL_SECONDS = 25
# How long the next question waits for answers to what was said before.
LISTEN_SECONDS = 3.0
# After a database that is away or busy.
AGAIN_SECONDS = (1.0, 2.0, 4.0, 8.0)
# How often a server asks whether the one that has the bot is gone, and how often that one makes
# sure that it still has it.
TAKE_OVER_SECONDS = 2.0
KEEP_SECONDS = 3.0
HANDLE_SECONDS = 60
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
MOST_AT_ONCE = 4


class TelegramBot:
    """`webhook`: an address at which Telegram reaches the servers; None: they ask Telegram.

    `zone`: the time zone of what it says.
    """

    name = "Telegram bot"
    needed = False

    def __init__(self, api: TelegramApi, zone: str, webhook: str | None = None) -> None:
        self._api = api
        self._zone = zone
        self._webhook = webhook
        self._dispatch: Dispatch | None = None
        self._chats = Turns()

    @property
    def secret(self) -> str:
        """What Telegram sends along to the webhook; the same at every server with this bot."""
        return hmac.new(self._api.token.encode(), b"webhook", hashlib.sha256).hexdigest()

    def wake(self) -> None:
        """What happens to devices is the notifier's to tell."""

    async def run(self, desk: Desk) -> None:
        """Until it is cancelled. Raises Unavailable."""
        try:
            await self._run(desk)
        finally:
            self._chats.cancel()

    async def _run(self, desk: Desk) -> NoReturn:
        self._dispatch = await self._introduced(desk)
        while True:
            try:
                async with desk.database.locks() as locks:
                    await self._stand_by(desk, locks)
            except LocksLost as lost:
                log.warning("Another server may talk for the bot now: %s", lost)
            await asyncio.sleep(TAKE_OVER_SECONDS)

    async def receive(self, desk: Desk, update: dict[str, Any]) -> None:
        """What came to the webhook."""
        if self._dispatch is None:
            self._dispatch = await self._introduced(desk)
        await self._hear(desk, [update])

    async def _introduced(self, desk: Desk) -> Dispatch:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                me = await self._api.ask(AsyncTeleBot.get_me)
            except (Failed, Refused, Gone) as error:
                log.warning("The bot can't begin, trying again: %s", error)
                pause = await _rest(pause)
                continue
            username = me.username or ""
            await meet_bot(desk, username)
            return Dispatch(self._api, username, self._zone)

    async def _stand_by(self, desk: Desk, locks: Locks) -> NoReturn:
        while True:
            async with locks.attempt(LOCK, 0) as ours:
                if ours:
                    await self._talk_alone(desk, locks)
            await asyncio.sleep(TAKE_OVER_SECONDS)

    async def _talk_alone(self, desk: Desk, locks: Locks) -> None:
        log.info("This server talks for the bot.")
        await run_together(_keep(locks), self._talk(desk))

    async def _talk(self, desk: Desk) -> None:
        pause, offset = FIRST_PAUSE_SECONDS, None
        ready = False
        while True:
            try:
                if not ready:
                    await self._set_up()
                    ready = True
                if self._webhook:
                    await asyncio.Event().wait()
                updates = await self._api.news(offset, POLL_SECONDS, WANTED)
            except (Failed, Refused, Gone) as error:
                log.warning("The bot hears nothing, trying again: %s", error)
                pause = await _rest(pause)
                continue
            pause = FIRST_PAUSE_SECONDS
            if updates:
                await self._hear(desk, updates)
                offset = updates[-1]["update_id"] + 1

    async def _set_up(self) -> None:
        for language in LANGUAGES:
            await self._register_commands(language)
        if self._webhook:
            await self._api.ask(
                lambda bot: bot.set_webhook(
                    self._webhook,
                    allowed_updates=WANTED,
                    max_connections=MOST_AT_ONCE,
                    secret_token=self.secret,
                )
            )
            log.info("Telegram tells the bot's news to %s.", self._webhook)
        else:
            await self._api.ask(AsyncTeleBot.delete_webhook)

    async def _register_commands(self, language: str) -> None:
        about = texts(language)["commands"]
        commands = [BotCommand(name, about[name]) for name in COMMANDS]
        code = None if language == FALLBACK else language
        await self._api.ask(lambda bot: bot.set_my_commands(commands, language_code=code))

    async def _hear(self, desk: Desk, updates: Sequence[dict[str, Any]]) -> None:
        """Chats at the same time, and in each chat one thing after the other. What takes its time
        goes on while others are heard.
        """
        heard = [self._chats.add(_chat(raw), partial(self._deal, desk, raw)) for raw in updates]
        await asyncio.wait(heard, timeout=LISTEN_SECONDS)

    async def _deal(self, desk: Desk, raw: dict[str, Any]) -> None:
        """With one update, which must not stand in the way of others, whatever is wrong with it."""
        assert self._dispatch is not None  # noqa: S101
        for pause in (*AGAIN_SECONDS, None):
            try:
                async with asyncio.timeout(HANDLE_SECONDS):
                    await self._dispatch(desk, Update.de_json(raw))  # type: ignore[no-untyped-call]
            except Unavailable as error:
                log.warning("The bot could not do what it was told: %s", error)
                if pause is not None:
                    await asyncio.sleep(pause)
                    continue
            except TimeoutError:
                log.warning("An answer in a chat took too long, and was given up.")
            except Exception:
                log.exception("An update could not be dealt with.")
            return


async def _keep(locks: Locks) -> NoReturn:
    while True:
        await asyncio.sleep(KEEP_SECONDS)
        await locks.keep()


async def _rest(pause: float) -> float:
    """Returns the next pause, in seconds."""
    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
    return min(pause * 2, LONGEST_PAUSE_SECONDS)


def _chat(raw: dict[str, Any]) -> object:
    """Whose turn it is."""
    about = raw.get("message") or raw.get("callback_query", {}).get("message") or {}
    return about.get("chat", {}).get("id")
