from collections.abc import AsyncIterator

import pytest_asyncio

from server.settings import Settings
from tests.events.live.serving import Instance, instance


@pytest_asyncio.fixture
async def one(settings: Settings) -> AsyncIterator[Instance]:
    async with instance(settings) as one:
        yield one


@pytest_asyncio.fixture
async def other(one: Instance, settings: Settings) -> AsyncIterator[Instance]:
    """A second server on the database of the first."""
    assert one
    async with instance(settings) as other:
        yield other


@pytest_asyncio.fixture
async def device(one: Instance) -> str:
    """The id of a device that belongs to Acme."""
    registered = await one.api.register(one.api.admin)
    return str(registered["device"]["id"])
