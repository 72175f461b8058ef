"""Fixtures: the Telegram stand-in with a chat and a group, and short pauses of the sender."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from notifier import sender
from tests.alerts.alert_server import CHAT, GROUP
from tests.alerts.bot_api import BotApi


@pytest_asyncio.fixture
async def telegram() -> AsyncIterator[BotApi]:
    async with BotApi() as api:
        api.knows(CHAT)
        api.knows(GROUP, "supergroup")
        yield api


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.05)
