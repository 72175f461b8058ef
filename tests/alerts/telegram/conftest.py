"""Fixtures: the Telegram stand-in with two chats, and a client."""

from collections.abc import AsyncIterator

import pytest

from tests.alerts.bot_api import BotApi
from tests.alerts.telegram.client import CHAT, GROUP, Bot


@pytest.fixture
async def api() -> AsyncIterator[BotApi]:
    async with BotApi() as api:
        api.knows(CHAT)
        api.knows(GROUP, "supergroup")
        yield api


@pytest.fixture
async def bot(api: BotApi) -> AsyncIterator[Bot]:
    bot = Bot(api)
    async with bot.http:
        yield bot
