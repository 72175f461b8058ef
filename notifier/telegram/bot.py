"""The bot: it talks for one server at a time, whichever has the lock."""

import asyncio
import hashlib
import hmac
import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn

from telebot.async_telebot import AsyncTeleBot

from concurrency.keyed_queue import KeyedQueue
from concurrency.tasks import end_all, run_all, run_together
from db.postgres.advisory_locks import Lock, Locks, LocksLost
from domain.errors import Unavailable
from notifier.channels.channel import Failed, Gone, Refused
from notifier.telegram.api import TelegramApi
from notifier.telegram.menu import offer_menu
from notifier.telegram.retrying import FIRST_PAUSE_SECONDS, rest, until_done
from notifier.telegram.updates.dispatch import Dispatch
from notifier.telegram.updates.update import ReceivedUpdate
from resolvers.alerts.chats import bot_met_before, store_bot_name
from resolvers.services import Services

log = logging.getLogger("rollcall.bot")

WANTED = ["message", "channel_post", "callback_query", "my_chat_member"]
# Of one answer to getUpdates; there may be more.
MOST_UPDATES = 100
# Between two questions. What comes after a longer time may have waited at Telegram.
PROMPT_SECONDS = 10.0
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
# How long the bot's name is waited for before it begins to hear without.
NAME_SECONDS = 5.0
MOST_AT_ONCE = 4
WEBHOOK_ACTIVE = "webhook is active"


class TelegramBot:
    """`webhook`: an address at which Telegram reaches the servers; None: they ask Telegram.

    `zone`: the time zone of what it says.
    """

    name = "Telegram bot"
    needed = False

    def __init__(self, api: TelegramApi, zone: str, webhook: str | None = None) -> None:
        self._api = api
        self._webhook = webhook
        self._dispatch = Dispatch(api, zone)
        self._chats = KeyedQueue()

    @property
    def secret(self) -> str:
        """What Telegram sends along to the webhook; the same at every server with this bot."""
        return hmac.new(self._api.token.encode(), b"webhook", hashlib.sha256).hexdigest()

    def wake(self) -> None:
        """What happens to devices is the notifier's to tell."""

    async def run(self, services: Services) -> None:
        """Until it is cancelled. Raises Unavailable."""
        try:
            await self._run(services)
        finally:
            await self._chats.end()

    async def _run(self, services: Services) -> NoReturn:
        naming = asyncio.create_task(self._find_name(services), name="bot's name")
        try:
            await asyncio.wait([naming], timeout=NAME_SECONDS)
            if self._dispatch.username is None:
                self._dispatch.username = await bot_met_before(services)
            await self._take_turns(services)
        finally:
            await end_all([naming])

    async def _take_turns(self, services: Services) -> NoReturn:
        while True:
            try:
                async with services.database.locks() as locks:
                    await self._stand_by(services, locks)
            except LocksLost as lost:
                log.warning("Another server may talk for the bot now: %s", lost)
            await asyncio.sleep(TAKE_OVER_SECONDS)

    async def receive(self, services: Services, update: dict[str, Any]) -> None:
        """What came to the webhook: perhaps long after it was said."""
        await self._hear(services, [ReceivedUpdate(update, prompt=False)])

    async def _find_name(self, services: Services) -> None:
        await until_done("The bot's name is not known", lambda: self._ask_name(services))

    async def _ask_name(self, services: Services) -> None:
        me = await self._api.ask("getMe", AsyncTeleBot.get_me)
        self._dispatch.username = me.username or ""
        await store_bot_name(services, self._dispatch.username)

    async def _stand_by(self, services: Services, locks: Locks) -> NoReturn:
        while True:
            async with locks.attempt(Lock.TELEGRAM_BOT) as ours:
                if ours:
                    await self._talk_alone(services, locks)
            await asyncio.sleep(TAKE_OVER_SECONDS)

    async def _talk_alone(self, services: Services, locks: Locks) -> None:
        log.info("This server talks for the bot.")
        await run_together(_keep(locks), self._talk(services))

    async def _talk(self, services: Services) -> None:
        hearing = self._be_told() if self._webhook else self._listen(services)
        await run_all(hearing, offer_menu(self._api))

    async def _be_told(self) -> None:
        await until_done("The bot's webhook is not set", self._set_webhook)
        await asyncio.Event().wait()

    async def _listen(self, services: Services) -> NoReturn:
        """What waited at Telegram comes in answers to questions that do not wait for more."""
        pause, offset, heard_until = FIRST_PAUSE_SECONDS, None, float("-inf")
        while True:
            prompt = time.monotonic() - heard_until < PROMPT_SECONDS
            try:
                updates = await self._api.news(offset, POLL_SECONDS if prompt else 0, WANTED)
            except (Failed, Refused, Gone) as error:
                log.warning("The bot hears nothing, trying again: %s", error)
                if WEBHOOK_ACTIVE in str(error) and await self._delete_webhook():
                    continue
                pause = await rest(pause, error)
                continue
            pause = FIRST_PAUSE_SECONDS
            if len(updates) < MOST_UPDATES:
                heard_until = time.monotonic()
            if updates:
                await self._hear(services, [ReceivedUpdate(raw, prompt=prompt) for raw in updates])
                offset = updates[-1]["update_id"] + 1

    async def _set_webhook(self) -> None:
        await self._api.ask(
            "setWebhook",
            lambda bot: bot.set_webhook(
                self._webhook,
                allowed_updates=WANTED,
                max_connections=MOST_AT_ONCE,
                secret_token=self.secret,
            ),
        )
        log.info("Telegram tells the bot's news to %s.", self._webhook)

    async def _delete_webhook(self) -> bool:
        """Whether there is none any more."""
        try:
            await self._api.ask("deleteWebhook", AsyncTeleBot.delete_webhook)
        except (Failed, Refused, Gone) as error:
            log.warning("The bot's webhook can't be deleted: %s", error)
            return False
        return True

    async def _hear(self, services: Services, updates: Sequence[ReceivedUpdate]) -> None:
        """Chats at the same time, and in each chat one thing after the other. What takes its time
        goes on while others are heard.
        """
        heard = [
            self._chats.add(each.chat, partial(self._deal, services, each)) for each in updates
        ]
        await asyncio.wait(heard, timeout=LISTEN_SECONDS)

    async def _deal(self, services: Services, heard: ReceivedUpdate) -> None:
        """With one update, which must not stand in the way of others, whatever is wrong with it."""
        for pause in (*AGAIN_SECONDS, None):
            try:
                async with asyncio.timeout(HANDLE_SECONDS):
                    await self._dispatch(services, heard)
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
