"""Telegram's Bot API by pyTelegramBotAPI: within its limits, and with errors that mean something.

core.telegram.org/bots/api
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
from telebot import apihelper, asyncio_helper
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

Answer = TypeVar("Answer")

# Each failure is ours to tell, and its lines hold the URL with the token.
logging.getLogger("TeleBot").setLevel(logging.CRITICAL)


class TelegramApi:
    """`url`: of a Bot API server of one's own."""

    def __init__(self, token: str, url: str | None = None) -> None:
        if url:
            template = f"{url.rstrip('/')}/bot{{0}}/{{1}}"
            asyncio_helper.API_URL = template
            apihelper.API_URL = template  # type: ignore[assignment]
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
        except ApiTelegramException as error:
            raise _meant(error) from None
        except (ApiHTTPException, ApiInvalidJSONException):
            raise Failed("Telegram's answer was none of the Bot API's") from None
        except (RequestTimeout, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Failed(f"Telegram can't be reached ({type(error).__name__})") from None

    async def close(self) -> None:
        # The library has one session for all bots, made by the first call.
        if asyncio_helper.session_manager.session:
            await self._bot.close_session()  # type: ignore[no-untyped-call]


def _meant(error: ApiTelegramException) -> Exception:
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
