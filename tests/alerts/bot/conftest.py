"""Fixtures: an application, the Telegram stand-in, and users of the bot."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from notifier import sender
from server.settings import Settings
from tests.alerts.alert_server import CHAT, alert_server
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
    """An application whose bot receives updates."""
    async with alert_server(settings, telegram) as api:
        await telegram.until(lambda: telegram.calls["getUpdates"] > 0)
        yield api


@pytest.fixture
def admin_chat(telegram: BotApi) -> Phone:
    """The chat that is named in the settings."""
    return Phone(telegram, CHAT)


@pytest.fixture
def unknown_chat(telegram: BotApi) -> Phone:
    return Phone(telegram, 999)
