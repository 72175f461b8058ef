"""Alerts by a Telegram bot."""

import asyncio
import logging

import aiohttp
from telebot import asyncio_helper
from telebot.async_telebot import AsyncTeleBot
from telebot.asyncio_helper import (
    ApiHTTPException,
    ApiInvalidJSONException,
    ApiTelegramException,
    RequestTimeout,
)

from notifier.channel import Failed, Gone, Later, Message, Refused

SECONDS = 20
LONGEST = 4_096
# Telegram: about 30 messages a second in all, one a second in a chat, 20 a minute in a group.
A_SECOND = 25
CHAT_SECONDS = 1.1
GROUP_SECONDS = 3.2
GONE = (403,)
TOO_MANY, SERVER = 429, 500

# Each failure is ours to tell, and its lines hold the URL with the token.
logging.getLogger("TeleBot").setLevel(logging.CRITICAL)


class TelegramChannel:
    """`api_url`: of a Bot API server of one's own."""

    name = "telegram"

    def __init__(self, token: str, api_url: str | None = None) -> None:
        if api_url:
            asyncio_helper.API_URL = f"{api_url.rstrip('/')}/bot{{0}}/{{1}}"
        self._token = token
        self._bot = AsyncTeleBot(token)
        self._turn = asyncio.Lock()

    def pause(self, address: str) -> float:
        return GROUP_SECONDS if address.startswith("-") else CHAT_SECONDS

    async def send(self, address: str, message: Message) -> None:
        async with self._turn:
            await asyncio.sleep(1 / A_SECOND)
        try:
            async with asyncio.timeout(SECONDS):
                await self._bot.send_message(
                    address, message.text[:LONGEST], disable_web_page_preview=True
                )
        except ApiTelegramException as error:
            raise _meant(error) from None
        except (ApiHTTPException, ApiInvalidJSONException):
            raise Failed("Telegram's answer was none of the Bot API's") from None
        except (RequestTimeout, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Failed(f"Telegram can't be reached ({type(error).__name__})") from None

    async def close(self) -> None:
        # The library has one for all bots, made by the first message.
        if asyncio_helper.session_manager.session:
            await self._bot.close_session()  # type: ignore[no-untyped-call]


def _meant(error: ApiTelegramException) -> Exception:
    told = str(error.description).replace("\n", " ")
    if error.error_code == TOO_MANY:
        parameters = error.result_json.get("parameters") or {}
        return Later(float(parameters.get("retry_after", 1)))
    if error.error_code in GONE:
        return Gone(told)
    if error.error_code >= SERVER:
        return Failed(told)
    if error.error_code in (401, 404):
        return Failed(f"the bot's token is not valid ({told})")
    return Refused(told)
