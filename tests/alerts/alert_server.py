"""An application that sends its alerts to the Telegram stand-in, and queries of its database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text

from db.postgres.database import Database
from server.settings import Settings
from tests.alerts.bot_api import TOKEN, BotApi
from tests.conftest import ADMIN, changed, served
from tests.support.client import Api
from tests.support.waiting import WAIT_SECONDS

CHAT, GROUP = 4242, -100777


@asynccontextmanager
async def alert_server(
    settings: Settings, telegram: BotApi, *chats: int | str, **values: Any
) -> AsyncIterator[Api]:
    alert_settings = changed(
        settings,
        telegram_bot_token=TOKEN,
        telegram_chat_id=[str(chat) for chat in chats or (CHAT,)],
        telegram_api_url=telegram.url,
        **values,
    )
    async with served(alert_settings) as api:
        await fan_out_started(api)
        yield api


async def fan_out_started(api: Api) -> None:
    """Wait until the fan-out has a position: it handles all later events, and no earlier ones."""
    await until_rows(
        api.app.state.database_supervisor.services.database, "SELECT 1 FROM fan_out_position"
    )


async def rows(database: Database, query: str) -> list[Any]:
    async with database.transaction() as session:
        return list(await session.execute(text(query)))


async def execute(database: Database, query: str) -> None:
    async with database.transaction() as session:
        await session.execute(text(query))


async def until_rows(database: Database, query: str, count: int = 1) -> list[Any]:
    """Wait until the query returns at least `count` rows."""
    async with asyncio.timeout(WAIT_SECONDS):
        while len(found := await rows(database, query)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


async def until_no_rows(database: Database, query: str) -> None:
    """Wait until the query returns no rows."""
    async with asyncio.timeout(WAIT_SECONDS):
        while await rows(database, query):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def registered(api: Api, number: int, **values: Any) -> str:
    found = await api.register(ADMIN, mac=f"24:6f:28:00:50:{number:02x}", **values)
    return str(found["device"]["id"])
