"""Clocks that are wrong for a while: of the database, which sets all due times, and of a server."""

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
from tests.alerts.alerted import CHAT, GROUP, alerted, registered, rows, rows_changed, until_rows
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
    """In a folder that PostgreSQL's own user can read."""
    with tempfile.TemporaryDirectory(prefix="rollcall-clock-") as folder:
        Path(folder).chmod(0o755)
        yield FakeClock(Path(folder))


@pytest_asyncio.fixture
async def jumping(
    clock: FakeClock, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Settings]:
    """A database of its own with this clock, from its very first start."""
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
    await telegram.until(lambda: any(id in sent.text for sent in phone.told))


async def is_ahead(database: Database, seconds: int) -> None:
    """The clock is one that the database reads."""
    [row] = await rows(database, "SELECT now() AS now")
    assert abs((row.now - datetime.now(UTC)).total_seconds() - seconds) < DAY / 2


@pytest.mark.parametrize("ahead", [40 * DAY, 2 * DAY, -DAY])
async def test_the_databases_clock_jumps_and_comes_back(
    jumping: Settings,
    clock: FakeClock,
    telegram: BotApi,
    ahead: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "LONGEST_PAUSE_SECONDS", 2.0)
    boss = Phone(telegram, CHAT)
    async with alerted(jumping, telegram) as api:
        await arrives(telegram, boss, await registered(api, 1))
        clock.set(ahead)
        await is_ahead(api.app.state.database_supervisor.services.database, ahead)
        friend = await invited(api, telegram, 31)
        await arrives(telegram, boss, await registered(api, 2))
        telegram.misbehave(*[BAD_GATEWAY] * 3)
        third = await registered(api, 3)
        failed = "SELECT 1 FROM recipients WHERE attempts > 0"
        await until_rows(api.app.state.database_supervisor.services.database, failed)
        clock.set(0)
        await arrives(telegram, boss, third)
        for number in (4, 5):
            id = await registered(api, number)
            for phone in (boss, friend):
                await arrives(telegram, phone, id)


@pytest.mark.parametrize("jumping", [-20 * 365 * DAY, 12 * 365 * DAY], indirect=True)
async def test_the_very_first_start_has_a_wrong_clock(
    jumping: Settings, clock: FakeClock, telegram: BotApi
) -> None:
    boss = Phone(telegram, CHAT)
    async with alerted(jumping, telegram) as api:
        clock.set(0)
        for number in range(3):
            await arrives(telegram, boss, await registered(api, number))


async def test_a_mute_that_was_set_while_the_clock_was_ahead(
    jumping: Settings, clock: FakeClock, telegram: BotApi
) -> None:
    boss = Phone(telegram, CHAT)
    async with alerted(jumping, telegram) as api:
        clock.set(20 * DAY)
        await is_ahead(api.app.state.database_supervisor.services.database, 20 * DAY)
        await boss.says("/mute 2h")
        clock.set(0)
        database = api.app.state.database_supervisor.services.database
        soon = "SELECT muted_until - now() AS left FROM recipients WHERE muted_until < now() + "
        [row] = await until_rows(database, f"{soon} interval '3 hours'")
        assert timedelta(hours=1, minutes=59) < row.left <= timedelta(hours=2)
        await registered(api, 1)
        await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'waiting'")
    assert boss.told == []


async def test_a_pause_that_is_asked_for_survives_the_jump(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    """Set by a clock that was a day ahead: the same pause begins again, and no longer one."""
    async with alerted(settings, telegram):
        wrong = "now() + interval '1 day'"
        await rows_changed(
            database,
            f"UPDATE recipients SET attempts = 1, paused_at = {wrong}, "
            f"next_send_at = {wrong} + interval '480 s'",
        )
        query = "SELECT next_send_at - now() AS left FROM recipients WHERE paused_at <= now()"
        [row] = await until_rows(database, query)
        assert timedelta(seconds=470) < row.left <= timedelta(seconds=480)


async def test_a_lease_of_a_clock_that_was_ahead_ends(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    async with alerted(settings, telegram) as api:
        lease = "UPDATE recipients SET leased_until = now() + interval '1 day'"
        await rows_changed(database, lease)
        await registered(api, 1)
        await telegram.until(lambda: bool(telegram.messages(CHAT)))


async def test_who_was_added_while_the_clock_was_ahead_is_told(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    async with alerted(settings, telegram, CHAT, GROUP) as api:
        await rows_changed(database, "UPDATE recipients SET created_at = now() + interval '1 year'")
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages()) == 2)


async def test_a_new_recipient_is_told_of_what_happens_after_it_came(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    async with alerted(settings, telegram) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
    async with alerted(settings, telegram, CHAT, GROUP) as api:
        [row] = await until_rows(
            database, f"SELECT since_event FROM recipients WHERE address = '{GROUP}'"
        )
        [last] = await rows(database, "SELECT max(id) AS id FROM events")
        assert 0 < row.since_event <= last.id
        id = await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 1)
    assert id in telegram.messages(GROUP)[0].text


async def test_a_servers_own_clock_is_wrong(
    database_url: str, clock: FakeClock, telegram: BotApi
) -> None:
    """It is two years ahead at the start, and then right."""
    environment = {
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_CHAT_ID": str(CHAT),
        "TELEGRAM_API_URL": telegram.url,
        **clock.environment,
    }
    boss = Phone(telegram, CHAT)
    clock.set(730 * DAY)
    with serving(database_url, outside=environment) as server:
        await ready(server.output)
        await telegram.until(lambda: telegram.calls["getUpdates"] > 0, 60)
        assert await boss.says("/devices") == "Devices: 0"
        clock.set(0)
        assert await boss.says("/mute 1h") != ""
        [row] = await rows(Database(database_url), "SELECT muted_until FROM recipients")
        assert row.muted_until < datetime.now(UTC) + timedelta(hours=1, minutes=1)


async def test_a_log_restored_to_another_server_is_told_on(
    settings: Settings, telegram: BotApi, database: Database
) -> None:
    """Its transaction numbers, by which the log is read, are from a server that counted further."""
    boss = Phone(telegram, CHAT)
    async with alerted(settings, telegram) as api:
        await arrives(telegram, boss, await registered(api, 1))
    for moved in ("events", "fan_out_position"):
        await rows_changed(database, f"UPDATE {moved} SET tx = tx + 1000000000")
    async with alerted(settings, telegram) as api:
        await arrives(telegram, boss, await registered(api, 2))
    assert len(boss.told) == 2
