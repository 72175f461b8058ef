"""Telegram's Bot API by pyTelegramBotAPI, with rate limits and this project's errors.

core.telegram.org/bots/api
"""

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, ClassVar, TypeVar

import aiohttp
from telebot import asyncio_helper  # noqa: TID251
from telebot.async_telebot import AsyncTeleBot
from telebot.asyncio_helper import (  # noqa: TID251
    ApiHTTPException,
    ApiInvalidJSONException,
    ApiTelegramException,
    RequestTimeout,
)

from notifier.channels.channel import RetryLater, TemporaryFailure
from notifier.telegram.clock import TelegramClock, Tracing
from notifier.telegram.refusals import exception_for
from notifier.telegram.retry_after import RetryAfter

TIMEOUT_SECONDS = 20
# Telegram allows about 30 for all chats (core.telegram.org/bots/faq).
MESSAGES_PER_SECOND = 25
CONNECTIONS = 50
CLOCK = TelegramClock()
TELEGRAM = "https://api.telegram.org"

ERRORS = (
    ApiTelegramException,
    ApiHTTPException,
    ApiInvalidJSONException,
    RequestTimeout,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
)

Result = TypeVar("Result")

# Callers report each failure, and its lines contain the URL with the token.
logging.getLogger("TeleBot").setLevel(logging.CRITICAL)


class TelegramApi:
    """`url`: of a self-hosted Bot API server. `clock`: Telegram's.

    The library has one URL for all bots of a process. Raises ValueError if an API with another URL
    is open: the token of one bot would go to the server of the other.
    """

    _open: ClassVar["weakref.WeakSet[TelegramApi]"] = weakref.WeakSet()

    def __init__(self, token: str, url: str | None = None) -> None:
        self.url = f"{(url or TELEGRAM).rstrip('/')}/bot{{0}}/{{1}}"
        if any(other.url != self.url for other in self._open):
            raise ValueError("This process already uses another Bot API server.")
        self._open.add(self)
        asyncio_helper.API_URL = self.url
        self.token = token
        self.clock = CLOCK
        self._bot = AsyncTeleBot(token)
        self._throttle = asyncio.Lock()
        self._retry_after = RetryAfter()

    async def send_throttled(
        self, chat: str, method: Callable[[AsyncTeleBot], Awaitable[Result]]
    ) -> Result:
        """Send or edit a message, with the rate limit. Raises Failed, Refused or Gone."""
        self._retry_after.check(chat)
        async with self._throttle:
            await asyncio.sleep(1 / MESSAGES_PER_SECOND)
        result = await self.call(chat, method)
        self.clock.read_message(result)
        return result

    async def call(
        self,
        key: Hashable,
        method: Callable[[AsyncTeleBot], Awaitable[Result]],
        seconds: float = TIMEOUT_SECONDS,
    ) -> Result:
        """Call a method. `key`: the method or chat for which Telegram may ask to wait.

        Raises Failed, Refused or Gone. Raises Later without a request if Telegram asked to wait.
        """
        self._retry_after.check(key)
        _open_session(self.clock)
        try:
            async with asyncio.timeout(seconds):
                return await method(self._bot)
        except ERRORS as error:
            task = asyncio.current_task()
            if task and task.cancelling():
                # The library treats a cancellation as a failure.
                raise asyncio.CancelledError from None
            converted = _convert(error)
            if isinstance(converted, RetryLater):
                self._retry_after.set(key, converted.seconds)
            raise converted from None

    async def get_updates(self, offset: int | None, seconds: int, kinds: list[str]) -> list[Any]:
        """Return raw updates of these kinds, and confirm all before `offset`.

        If there is none, Telegram waits up to `seconds` for one.
        """
        found = await self.call(
            "getUpdates",
            lambda _: asyncio_helper.get_updates(  # type: ignore[no-untyped-call]
                self.token, offset, None, seconds, kinds, seconds + TIMEOUT_SECONDS
            ),
            seconds + TIMEOUT_SECONDS,
        )
        return found or []

    async def close(self) -> None:
        self._open.discard(self)
        # The library has one session for all bots, made by the first call.
        if asyncio_helper.session_manager.session:
            await self._bot.close_session()  # type: ignore[no-untyped-call]


def _open_session(clock: TelegramClock) -> None:
    """Open the library's session so that responses set the clock."""
    manager = asyncio_helper.session_manager
    if manager.session is None or manager.session.closed:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=manager.ssl_context)
        manager.session = aiohttp.ClientSession(connector=connector, trace_configs=[Tracing(clock)])


def _convert(error: Exception) -> Exception:
    if isinstance(error, ApiTelegramException):
        parameters = error.result_json.get("parameters") or {}
        return exception_for(error.error_code, str(error.description), parameters)
    if isinstance(error, (ApiHTTPException, ApiInvalidJSONException)):
        return TemporaryFailure("the answer is not from a Bot API server")
    return TemporaryFailure(f"Telegram can't be reached ({type(error).__name__})")
