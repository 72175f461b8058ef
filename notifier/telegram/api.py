"""Telegram's Bot API by pyTelegramBotAPI: within its limits, and with errors that mean something.

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

from notifier.channels.channel import Failed, Later
from notifier.telegram.clock import TelegramClock, Tracing
from notifier.telegram.refusals import meaning
from notifier.telegram.retry_after import RetryAfter

SECONDS = 20
# About 30 messages a second in all (core.telegram.org/bots/faq).
A_SECOND = 25
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

Answer = TypeVar("Answer")

# Each failure is ours to tell, and its lines hold the URL with the token.
logging.getLogger("TeleBot").setLevel(logging.CRITICAL)


class TelegramApi:
    """`url`: of a Bot API server of one's own. `clock`: Telegram's. All but `post` name what they
    ask, since Telegram says for each method how long it wants not to be asked again.

    The library has one URL for all bots of a process: raises ValueError if another server's API is
    open, to which this bot's token would go, or the other one's here.
    """

    _open: ClassVar["weakref.WeakSet[TelegramApi]"] = weakref.WeakSet()

    def __init__(self, token: str, url: str | None = None) -> None:
        self.url = f"{(url or TELEGRAM).rstrip('/')}/bot{{0}}/{{1}}"
        if any(other.url != self.url for other in self._open):
            raise ValueError("This process talks to another Bot API server already.")
        self._open.add(self)
        asyncio_helper.API_URL = self.url
        self.token = token
        self.clock = CLOCK
        self._bot = AsyncTeleBot(token)
        self._turn = asyncio.Lock()
        self._waits = RetryAfter()

    async def post(self, chat: str, call: Callable[[AsyncTeleBot], Awaitable[Answer]]) -> Answer:
        """A message, or a change of one: in its turn. Raises Failed, Refused or Gone."""
        self._waits.check(chat)
        async with self._turn:
            await asyncio.sleep(1 / A_SECOND)
        sent = await self.ask(chat, call)
        self.clock.read_message(sent)
        return sent

    async def ask(
        self,
        what: Hashable,
        call: Callable[[AsyncTeleBot], Awaitable[Answer]],
        seconds: float = SECONDS,
    ) -> Answer:
        """Raises Failed, Refused or Gone; Later without asking, if Telegram said so before."""
        self._waits.check(what)
        _open_session(self.clock)
        try:
            async with asyncio.timeout(seconds):
                return await call(self._bot)
        except ERRORS as error:
            task = asyncio.current_task()
            if task and task.cancelling():
                # The library takes a cancellation for a failure.
                raise asyncio.CancelledError from None
            meant = _meant(error)
            if isinstance(meant, Later):
                self._waits.note(what, meant.seconds)
            raise meant from None

    async def news(self, offset: int | None, seconds: int, wanted: list[str]) -> list[Any]:
        """Updates as they came, of these kinds; all before `offset` were dealt with. Telegram waits
        for the first one so many seconds.
        """
        found = await self.ask(
            "getUpdates",
            lambda _: asyncio_helper.get_updates(  # type: ignore[no-untyped-call]
                self.token, offset, None, seconds, wanted, seconds + SECONDS
            ),
            seconds + SECONDS,
        )
        return found or []

    async def close(self) -> None:
        self._open.discard(self)
        # The library has one session for all bots, made by the first call.
        if asyncio_helper.session_manager.session:
            await self._bot.close_session()  # type: ignore[no-untyped-call]


def _open_session(clock: TelegramClock) -> None:
    """As the library does, and so that answers set the clock."""
    manager = asyncio_helper.session_manager
    if manager.session is None or manager.session.closed:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=manager.ssl_context)
        manager.session = aiohttp.ClientSession(connector=connector, trace_configs=[Tracing(clock)])


def _meant(error: Exception) -> Exception:
    if isinstance(error, ApiTelegramException):
        parameters = error.result_json.get("parameters") or {}
        return meaning(error.error_code, str(error.description), parameters)
    if isinstance(error, (ApiHTTPException, ApiInvalidJSONException)):
        return Failed("Telegram's answer was none of the Bot API's")
    return Failed(f"Telegram can't be reached ({type(error).__name__})")
