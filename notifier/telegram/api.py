"""Telegram's Bot API by pyTelegramBotAPI: within its limits, and with errors that mean something.

core.telegram.org/bots/api
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import aiohttp
from telebot import asyncio_helper
from telebot.async_telebot import AsyncTeleBot
from telebot.asyncio_helper import (
    ApiHTTPException,
    ApiInvalidJSONException,
    ApiTelegramException,
    RequestTimeout,
)

from notifier.channel import Failed, Gone, Later, Moved, Refused

SECONDS = 20
# About 30 messages a second in all (core.telegram.org/bots/faq).
A_SECOND = 25
TOO_MANY, SERVER = 429, 500
# Blocked, or removed from the group; a bot with another token, or none.
GONE, NO_BOT = (403,), (401, 404)

ERRORS = (
    ApiTelegramException,
    ApiHTTPException,
    ApiInvalidJSONException,
    RequestTimeout,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
)

Answer = TypeVar("Answer")

# Each failure is ours to tell, and its lines hold the URL with the token.
logging.getLogger("TeleBot").setLevel(logging.CRITICAL)


class TelegramApi:
    """`url`: of a Bot API server of one's own."""

    def __init__(self, token: str, url: str | None = None) -> None:
        if url:
            asyncio_helper.API_URL = f"{url.rstrip('/')}/bot{{0}}/{{1}}"
        self.token = token
        self._bot = AsyncTeleBot(token)
        self._turn = asyncio.Lock()

    async def post(self, call: Callable[[AsyncTeleBot], Awaitable[Answer]]) -> Answer:
        """A message, or a change of one: in its turn. Raises Failed, Refused or Gone."""
        async with self._turn:
            await asyncio.sleep(1 / A_SECOND)
        return await self.ask(call)

    async def ask(
        self, call: Callable[[AsyncTeleBot], Awaitable[Answer]], seconds: float = SECONDS
    ) -> Answer:
        """Raises Failed, Refused or Gone."""
        try:
            async with asyncio.timeout(seconds):
                return await call(self._bot)
        except ERRORS as error:
            task = asyncio.current_task()
            if task and task.cancelling():
                # The library takes a cancellation for a failure.
                raise asyncio.CancelledError from None
            raise _meant(error) from None

    async def news(self, offset: int | None, seconds: int, wanted: list[str]) -> list[Any]:
        """Updates as they came, of these kinds; all before `offset` were dealt with. Telegram waits
        for the first one so many seconds.
        """
        found = await self.ask(
            lambda _: asyncio_helper.get_updates(  # type: ignore[no-untyped-call]
                self.token, offset, None, seconds, wanted, seconds + SECONDS
            ),
            seconds + SECONDS,
        )
        return found or []

    async def close(self) -> None:
        # The library has one session for all bots, made by the first call.
        if asyncio_helper.session_manager.session:
            await self._bot.close_session()  # type: ignore[no-untyped-call]


def _meant(error: Exception) -> Exception:
    if isinstance(error, ApiTelegramException):
        return _told(error)
    if isinstance(error, (ApiHTTPException, ApiInvalidJSONException)):
        return Failed("Telegram's answer was none of the Bot API's")
    return Failed(f"Telegram can't be reached ({type(error).__name__})")


def _told(error: ApiTelegramException) -> Exception:
    told = str(error.description).replace("\n", " ")
    parameters = error.result_json.get("parameters") or {}
    if error.error_code == TOO_MANY:
        return Later(float(parameters.get("retry_after", 1)))
    if "migrate_to_chat_id" in parameters:
        return Moved(str(parameters["migrate_to_chat_id"]))
    if error.error_code in GONE:
        return Gone(told)
    if error.error_code >= SERVER:
        return Failed(told)
    if error.error_code in NO_BOT:
        return Failed(f"the bot's token is not valid ({told})")
    return Refused(told)
