"""Wrong clocks: of the database, which sets all due times, and of a server."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from bench.serving import ready, serving
from db.embedded import EmbeddedPostgres
from db.postgres.database import Database
from notifier import sender
from server.settings import Settings
from tests.alerts.alert_server import (
    CHAT,
    GROUP,
    alert_server,
    execute,
    registered,
    rows,
    until_rows,
)
from tests.alerts.bot.chat import Phone
from tests.alerts.bot.test_chats import invited
from tests.alerts.bot_api import TOKEN, BotApi
from tests.conftest import ADMIN
from tests.support.faketime import FakeClock
from tests.support.telegram.faults import BAD_GATEWAY

pytestmark = pytest.mark.usefixtures("quick")

DAY = 86_400


@pytest.fixture
def clock() -> Iterator[FakeClock]:
    """A fake clock, in a folder that the user of PostgreSQL can read."""
    with tempfile.TemporaryDirectory(prefix="rollcall-clock-") as folder:
        Path(folder).chmod(0o755)
        yield FakeClock(Path(folder))


@pytest_asyncio.fixture
async def jumping(
    clock: FakeClock, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Settings]:
    """Settings of a separate database that has this clock from its first start."""
    clock.set(getattr(request, "param", 0))
    server = EmbeddedPostgres(tmp_path / "jumping")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in clock.environment.items():
            patch.setenv(name, value)
        url = server.start()
    try:
        yield Settings(database_url=url, admin_token=ADMIN, mqtt="off")
    finally:
        server.stop()


async def arrives(telegram: BotApi, phone: Phone, id: str) -> None:
    await telegram.until(lambda: any(id in sent.text for sent in phone.alerts))


async def is_ahead(database: Database, seconds: int) -> None:
    """Assert that the database uses the fake clock."""
    [row] = await rows(database, "SELECT now() AS now")
    assert abs((row.now - datetime.now(UTC)).total_seconds() - seconds) < DAY / 2


@pytest.mark.parametrize("ahead", [40 * DAY, 2 * DAY, -DAY])
async def test_alerts_continue_when_database_clock_jumps_and_returns(
    jumping: Settings,
    clock: FakeClock,
    telegram: BotApi,
    ahead: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "LONGEST_PAUSE_SECONDS", 2.0)
    admin_chat = Phone(telegram, CHAT)
    async with alert_server(jumping, telegram) as api:
        await arrives(telegram, admin_chat, await registered(api, 1))
        clock.set(ahead)
        await is_ahead(api.app.state.database_supervisor.services.database, ahead)
        invited_chat = await invited(api, telegram, 31)
        await arrives(telegram, admin_chat, await registered(api, 2))
        telegram.misbehave(*[BAD_GATEWAY] * 3)
        third = await registered(api, 3)
        failed = "SELECT 1 FROM recipients WHERE attempts > 0"
        await until_rows(api.app.state.database_supervisor.services.database, failed)
        clock.set(0)
        await arrives(telegram, admin_chat, third)
        for number in (4, 5):
            id = await registered(api, number)
            for phone in (admin_chat, invited_chat):
                await arrives(telegram, phone, id)


@pytest.mark.parametrize("jumping", [-20 * 365 * DAY, 12 * 365 * DAY], indirect=True)
async def test_alerts_continue_after_first_start_with_wrong_clock(
    jumping: Settings, clock: FakeClock, telegram: BotApi
) -> None:
    admin_chat = Phone(telegram, CHAT)
    async with alert_server(jumping, telegram) as api:
        clock.set(0)
        for number in range(3):
            await arrives(telegram, admin_chat, await registered(api, number))


async def test_mute_set_while_clock_was_ahead_is_shortened(
    jumping: Settings, clock: FakeClock, telegram: BotApi
) -> None:
    admin_chat = Phone(telegram, CHAT)
    async with alert_server(jumping, telegram) as api:
        clock.set(20 * DAY)
        await is_ahead(api.app.state.database_supervisor.services.database, 20 * DAY)
        await admin_chat.says("/mute 2h")
        clock.set(0)
        database = api.app.state.database_supervisor.services.database
        soon = "SELECT muted_until - now() AS left FROM recipients WHERE muted_until < now() + "
        [row] = await until_rows(database, f"{soon} interval '3 hours'")
        assert timedelta(hours=1, minutes=59) < row.left <= timedelta(hours=2)
        await registered(api, 1)
        await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'waiting'")
    assert admin_chat.alerts == []


async def test_retry_pause_survives_clock_jump(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    """The pause was set by a clock one day ahead. It starts again with the same length."""
    async with alert_server(settings, telegram):
        wrong = "now() + interval '1 day'"
        await execute(
            database,
            f"UPDATE recipients SET attempts = 1, paused_at = {wrong}, "
            f"next_send_at = {wrong} + interval '480 s'",
        )
        query = "SELECT next_send_at - now() AS left FROM recipients WHERE paused_at <= now()"
        [row] = await until_rows(database, query)
        assert timedelta(seconds=470) < row.left <= timedelta(seconds=480)


async def test_lease_set_while_clock_was_ahead_ends(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    async with alert_server(settings, telegram) as api:
        lease = "UPDATE recipients SET leased_until = now() + interval '1 day'"
        await execute(database, lease)
        await registered(api, 1)
        await telegram.until(lambda: bool(telegram.messages(CHAT)))


async def test_recipient_added_while_clock_was_ahead_gets_alerts(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    async with alert_server(settings, telegram, CHAT, GROUP) as api:
        await execute(database, "UPDATE recipients SET created_at = now() + interval '1 year'")
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages()) == 2)


async def test_new_recipient_gets_only_later_events(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    async with alert_server(settings, telegram) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
    async with alert_server(settings, telegram, CHAT, GROUP) as api:
        [row] = await until_rows(
            database, f"SELECT since_event FROM recipients WHERE address = '{GROUP}'"
        )
        [last] = await rows(database, "SELECT max(id) AS id FROM events")
        assert 0 < row.since_event <= last.id
        id = await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 1)
    assert id in telegram.messages(GROUP)[0].text


async def test_bot_works_with_wrong_server_clock(
    database_url: str, clock: FakeClock, telegram: BotApi
) -> None:
    """The clock is two years ahead at the start, then correct."""
    environment = {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_API_URL": telegram.url,
        **clock.environment,
    }
    admin_chat = Phone(telegram, CHAT)
    clock.set(730 * DAY)
    with serving(database_url, environment=environment) as server:
        await ready(server.output)
        await telegram.until(lambda: telegram.calls["getUpdates"] > 0, 60)
        assert await admin_chat.says("/devices") == "Devices: 0"
        clock.set(0)
        assert await admin_chat.says("/mute 1h") != ""
        [row] = await rows(Database(database_url), "SELECT muted_until FROM recipients")
        assert row.muted_until < datetime.now(UTC) + timedelta(hours=1, minutes=1)


async def test_alerts_continue_after_restore_to_another_server(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    """The log is read by transaction number, and those of the former server are higher."""
    admin_chat = Phone(telegram, CHAT)
    async with alert_server(settings, telegram) as api:
        await arrives(telegram, admin_chat, await registered(api, 1))
    for moved in ("events", "fan_out_position"):
        await execute(database, f"UPDATE {moved} SET tx = tx + 1000000000")
    async with alert_server(settings, telegram) as api:
        await arrives(telegram, admin_chat, await registered(api, 2))
    assert len(admin_chat.alerts) == 2
