"""Fixtures: an embedded broker and its users."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from mqtt.embedded import EmbeddedBroker
from tests.mqtt.embedded.broker import Users, served


@pytest.fixture
def users() -> Users:
    return Users()


@pytest_asyncio.fixture
async def broker(users: Users) -> AsyncIterator[EmbeddedBroker]:
    async with served(users) as broker:
        yield broker
