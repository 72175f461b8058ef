"""The Telegram bot. Only the server that holds its lock runs it."""

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
from notifier.channels.channel import RecipientGone, Refused, TemporaryFailure
from notifier.telegram.api import TelegramApi
from notifier.telegram.menu import set_menu
from notifier.telegram.retrying import FIRST_PAUSE_SECONDS, retry_until_done, wait_before_retry
from notifier.telegram.updates.dispatch import Dispatch
from notifier.telegram.updates.update import ReceivedUpdate
from resolvers.alerts.chats import load_bot_name, store_bot_name
from resolvers.services import Services

log = logging.getLogger("rollcall.bot")

UPDATE_KINDS = ["message", "channel_post", "callback_query", "my_chat_member"]
# Maximum of one getUpdates response; with so many there may be more.
MAX_UPDATES = 100
# Maximum seconds between two polls. After a longer time, updates may be old.
PROMPT_SECONDS = 10.0
# Telegram keeps a poll open for so many seconds if there is no update.
POLL_SECONDS = 25
# Maximum seconds that the next poll waits until updates are handled.
HANDLE_WAIT_SECONDS = 3.0
# Pauses if the database is unavailable or busy.
RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0)
# Seconds between two attempts of other servers to get the lock.
TAKE_OVER_SECONDS = 2.0
# Seconds between two checks that this server still has the lock.
LOCK_CHECK_SECONDS = 3.0
HANDLE_SECONDS = 60
# Maximum seconds to wait for the bot's name before it starts without it.
NAME_SECONDS = 5.0
MAX_WEBHOOK_CONNECTIONS = 4
WEBHOOK_ACTIVE = "webhook is active"


class TelegramBot:
    """`webhook`: the URL to which Telegram sends updates. None: the server polls.

    `zone`: the time zone of times in messages.
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
        """The secret by which the webhook recognizes Telegram; equal on all servers of this bot."""
        return hmac.new(self._api.token.encode(), b"webhook", hashlib.sha256).hexdigest()

    def wake(self) -> None:
        """No-op: the bot does not react to new events."""

    async def run(self, services: Services) -> None:
        """Run until cancelled. Raises Unavailable if the database is unavailable."""
        try:
            await self._run(services)
        finally:
            await self._chats.end()

    async def _run(self, services: Services) -> NoReturn:
        naming = asyncio.create_task(self._find_name(services), name="bot's name")
        try:
            await asyncio.wait([naming], timeout=NAME_SECONDS)
            if self._dispatch.username is None:
                self._dispatch.username = await load_bot_name(services)
            await self._run_by_lock(services)
        finally:
            await end_all([naming])

    async def _run_by_lock(self, services: Services) -> NoReturn:
        while True:
            try:
                async with services.database.locks() as locks:
                    await self._wait_for_lock(services, locks)
            except LocksLost as lost:
                log.warning("Lost the bot's lock; another server may run the bot now: %s", lost)
            await asyncio.sleep(TAKE_OVER_SECONDS)

    async def receive(self, services: Services, update: dict[str, Any]) -> None:
        """Handle an update from the webhook. It may be old."""
        await self._process_updates(services, [ReceivedUpdate(update, prompt=False)])

    async def _find_name(self, services: Services) -> None:
        await retry_until_done("The bot's name is unknown", lambda: self._get_name(services))

    async def _get_name(self, services: Services) -> None:
        me = await self._api.call("getMe", AsyncTeleBot.get_me)
        self._dispatch.username = me.username or ""
        await store_bot_name(services, self._dispatch.username)

    async def _wait_for_lock(self, services: Services, locks: Locks) -> NoReturn:
        while True:
            async with locks.try_lock(Lock.TELEGRAM_BOT) as locked:
                if locked:
                    await self._run_locked(services, locks)
            await asyncio.sleep(TAKE_OVER_SECONDS)

    async def _run_locked(self, services: Services, locks: Locks) -> None:
        log.info("This server runs the Telegram bot.")
        await run_together(_check_locks(locks), self._serve(services))

    async def _serve(self, services: Services) -> None:
        source = self._keep_webhook() if self._webhook else self._poll(services)
        await run_all(source, set_menu(self._api))

    async def _keep_webhook(self) -> None:
        await retry_until_done("The bot's webhook could not be set", self._set_webhook)
        await asyncio.Event().wait()

    async def _poll(self, services: Services) -> NoReturn:
        """Poll for updates. After a gap, poll without waiting: those updates may be old."""
        pause, offset, received_all_at = FIRST_PAUSE_SECONDS, None, float("-inf")
        while True:
            prompt = time.monotonic() - received_all_at < PROMPT_SECONDS
            try:
                updates = await self._api.get_updates(
                    offset, POLL_SECONDS if prompt else 0, UPDATE_KINDS
                )
            except (TemporaryFailure, Refused, RecipientGone) as error:
                log.warning("The bot receives no updates; retrying: %s", error)
                if WEBHOOK_ACTIVE in str(error) and await self._delete_webhook():
                    continue
                pause = await wait_before_retry(pause, error)
                continue
            pause = FIRST_PAUSE_SECONDS
            if len(updates) < MAX_UPDATES:
                received_all_at = time.monotonic()
            if updates:
                received = [ReceivedUpdate(raw, prompt=prompt) for raw in updates]
                await self._process_updates(services, received)
                offset = updates[-1]["update_id"] + 1

    async def _set_webhook(self) -> None:
        await self._api.call(
            "setWebhook",
            lambda bot: bot.set_webhook(
                self._webhook,
                allowed_updates=UPDATE_KINDS,
                max_connections=MAX_WEBHOOK_CONNECTIONS,
                secret_token=self.secret,
            ),
        )
        log.info("Telegram sends the bot's updates to %s.", self._webhook)

    async def _delete_webhook(self) -> bool:
        """Return whether it was deleted."""
        try:
            await self._api.call("deleteWebhook", AsyncTeleBot.delete_webhook)
        except (TemporaryFailure, Refused, RecipientGone) as error:
            log.warning("The bot's webhook could not be deleted: %s", error)
            return False
        return True

    async def _process_updates(self, services: Services, updates: Sequence[ReceivedUpdate]) -> None:
        """Handle updates in order within a chat, and chats in parallel.

        Returns after HANDLE_WAIT_SECONDS; slow ones continue in the background.
        """
        tasks = [
            self._chats.add(each.chat, partial(self._handle_update, services, each))
            for each in updates
        ]
        await asyncio.wait(tasks, timeout=HANDLE_WAIT_SECONDS)

    async def _handle_update(self, services: Services, update: ReceivedUpdate) -> None:
        """Handle one update. Errors are logged, so that they do not block other updates."""
        for pause in (*RETRY_SECONDS, None):
            try:
                async with asyncio.timeout(HANDLE_SECONDS):
                    await self._dispatch(services, update)
            except Unavailable as error:
                log.warning("The bot could not handle an update: %s", error)
                if pause is not None:
                    await asyncio.sleep(pause)
                    continue
            except TimeoutError:
                log.warning(
                    "Handling an update took longer than %d s; it is dropped.", HANDLE_SECONDS
                )
            except Exception:
                log.exception("Handling an update failed; it is dropped.")
            return


async def _check_locks(locks: Locks) -> NoReturn:
    while True:
        await asyncio.sleep(LOCK_CHECK_SECONDS)
        await locks.keep_alive()
