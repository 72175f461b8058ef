"""A server, the stand-in for Telegram, and people with phones."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from notifier import sender
from server.settings import Settings
from tests.alerts.alerted import CHAT, alerted
from tests.alerts.bot.chat import Phone
from tests.alerts.bot_api import BotApi
from tests.support.client import Api


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.05)


@pytest_asyncio.fixture
async def telegram() -> AsyncIterator[BotApi]:
    async with BotApi() as api:
        api.knows(CHAT)
        yield api


@pytest_asyncio.fixture
async def api(settings: Settings, telegram: BotApi) -> AsyncIterator[Api]:
    """The bot hears what is said."""
    async with alerted(settings, telegram) as api:
        await telegram.until(lambda: telegram.calls["getUpdates"] > 0)
        yield api


@pytest.fixture
def boss(telegram: BotApi) -> Phone:
    """The chat that the settings name."""
    return Phone(telegram, CHAT)


@pytest.fixture
def stranger(telegram: BotApi) -> Phone:
    return Phone(telegram, 999)
