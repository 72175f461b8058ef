"""Alerts from event to recipient, with faults of the Telegram stand-in."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.alerts.alert_server import (
    CHAT,
    GROUP,
    alert_server,
    execute,
    fan_out_started,
    registered,
    rows,
    until_rows,
)
from tests.alerts.bot_api import BotApi
from tests.conftest import served
from tests.support.telegram import faults
from tests.support.telegram.faults import Fault
from tests.support.timing import delay
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("quick")


@pytest_asyncio.fixture
async def telegram() -> AsyncIterator[BotApi]:
    async with BotApi() as api:
        api.knows(CHAT)
        api.knows(GROUP)
        yield api


async def test_registration_is_sent_to_chat(settings: Settings, telegram: BotApi) -> None:
    async with alert_server(settings, telegram) as api:
        id = await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
    message = telegram.messages(CHAT)[0].text
    for part in (id, "48.85, 2.35", "Acme", "temperature", "BME280", "Paris"):
        assert part in message
    assert message.splitlines()[-1].startswith("#")


async def test_config_change_alert_has_old_and_new_values(
    settings: Settings, telegram: BotApi
) -> None:
    async with alert_server(settings, telegram) as api:
        id = await registered(api, 1)
        await api.change("updateConfig", deviceId=id, intervalSeconds=5)
        await api.change("deleteDevice", id=id)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 3)
    texts = [message.text for message in telegram.messages(CHAT)]
    assert "intervalSeconds: 60 → 5" in texts[1]
    assert texts[2].startswith("Deleted: temperature in Paris, Acme")


async def test_alert_is_in_language_of_settings(settings: Settings, telegram: BotApi) -> None:
    async with alert_server(settings, telegram, language="ru") as api:
        await registered(api, 1)
        await telegram.until(lambda: bool(telegram.messages(CHAT)))
    assert telegram.messages(CHAT)[0].text.startswith("Новое устройство: temperature, Paris")


async def test_alerts_without_telegram_are_logged(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rollcall.alerts")
    async with served(settings) as api:
        await fan_out_started(api)
        await registered(api, 1)
        await until(lambda: "New device: temperature in Paris" in caplog.text)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("too_many", 1),
        Fault("bad_gateway"),
        Fault("drop_before"),
        Fault("drop_after"),
        Fault("truncated"),
    ],
    ids=lambda fault: fault.kind,
)
async def test_failed_alert_is_retried_in_order(
    settings: Settings, telegram: BotApi, fault: Fault
) -> None:
    telegram.misbehave(fault, fault)
    async with alert_server(settings, telegram) as api:
        for number in range(3):
            await registered(api, number)
        await telegram.until(lambda: len(distinct_numbers(telegram)) == 3)
        numbers = [number_of(message.text) for message in telegram.messages(CHAT)]
        assert numbers == sorted(numbers)
        failed = await rows(
            api.app.state.database_supervisor.services.database,
            "SELECT attempts, last_error FROM deliveries WHERE attempts > 1",
        )
    assert failed


def number_of(message: str) -> int:
    return int(message.splitlines()[-1].removeprefix("#"))


def distinct_numbers(telegram: BotApi, chat: int = CHAT) -> set[int]:
    return {number_of(message.text) for message in telegram.messages(chat)}


@pytest.mark.alone
async def test_retry_after_is_respected(settings: Settings, telegram: BotApi) -> None:
    telegram.misbehave(Fault("too_many", 2))
    async with alert_server(settings, telegram) as api:
        began = asyncio.get_running_loop().time()
        await registered(api, 1)
        await telegram.until(lambda: bool(telegram.messages(CHAT)))
        assert 2 <= asyncio.get_running_loop().time() - began < 6 * delay()


async def test_recipient_that_blocked_bot_is_disabled_and_others_get_alerts(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(faults.BLOCKED, chat_id=CHAT)
    async with alert_server(settings, telegram, CHAT, GROUP) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 1)
        database = api.app.state.database_supervisor.services.database
        off = "SELECT off_reason FROM recipients WHERE off_reason IS NOT NULL"
        assert "blocked" in (await until_rows(database, off))[0].off_reason
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 2)
    assert telegram.messages(CHAT) == []


async def test_refused_alert_is_dead_and_next_alert_is_sent(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(faults.BAD_REQUEST)
    async with alert_server(settings, telegram) as api:
        await registered(api, 1)
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
        dead = "SELECT last_error FROM deliveries WHERE state = 'dead'"
        [row] = await rows(api.app.state.database_supervisor.services.database, dead)
        assert "can't be sent" in row.last_error


async def test_many_events_are_sent_as_one_digest(settings: Settings, telegram: BotApi) -> None:
    async with alert_server(settings, telegram) as api:
        telegram.misbehave(faults.HANG, chat_id=CHAT)  # delays the first message
        await asyncio.gather(*(registered(api, number) for number in range(60)))
        database = api.app.state.database_supervisor.services.database
        await until_rows(database, "SELECT 1 FROM deliveries", 60)
        await execute(database, "UPDATE recipients SET leased_until = NULL")
        await telegram.until(lambda: bool(telegram.messages(CHAT)))
        [message] = telegram.messages(CHAT)
        assert "Events: 60" in message.text
        assert "Registered: 60" in message.text
        assert message.text.count("•") == 5
        await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'sent'", 60)


async def test_rate_limits_of_telegram_are_respected(settings: Settings) -> None:
    async with BotApi(limits=True) as telegram:
        telegram.knows(CHAT)
        telegram.knows(GROUP)
        async with alert_server(settings, telegram, CHAT, GROUP) as api:
            for number in range(5):
                await registered(api, number)
            await telegram.until(lambda: len(telegram.messages(CHAT)) == 5, 30)
        assert telegram.violations == []


async def test_two_servers_send_each_alert_once(settings: Settings, telegram: BotApi) -> None:
    async with alert_server(settings, telegram) as one, alert_server(settings, telegram) as other:
        for number in range(4):
            await registered((one, other)[number % 2], number)
        await telegram.until(lambda: len(telegram.messages(CHAT)) >= 4)
    numbers = [number_of(message.text) for message in telegram.messages(CHAT)]
    assert numbers == sorted(set(numbers))


@pytest.mark.alone
async def test_hanging_telegram_does_not_delay_requests(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(*[faults.HANG] * 20)
    async with alert_server(settings, telegram) as api:
        began = asyncio.get_running_loop().time()
        for number in range(20):
            await registered(api, number)
        assert asyncio.get_running_loop().time() - began < 5 * delay()
    assert telegram.messages(CHAT) == []


async def test_chat_removed_from_settings_gets_no_alerts(
    settings: Settings, telegram: BotApi
) -> None:
    async with alert_server(settings, telegram, CHAT, GROUP) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages()) == 2)
    async with alert_server(settings, telegram, GROUP) as api:
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 2)
    assert len(telegram.messages(CHAT)) == 1


async def test_failure_for_one_recipient_does_not_affect_others(
    settings: Settings, telegram: BotApi
) -> None:
    async with alert_server(settings, telegram, CHAT, GROUP) as api:
        database = api.app.state.database_supervisor.services.database
        await execute(
            database,
            "UPDATE recipients SET quiet_from = '00:00', quiet_until = '23:59', "
            f"quiet_zone = 'Nowhere/Land' WHERE address = '{GROUP}'",
        )
        for number in range(3):
            await registered(api, number)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 3)
        bad = "SELECT 1 FROM recipients WHERE last_error LIKE '%Nowhere%'"
        await until_rows(database, bad)
    assert telegram.messages(GROUP) == []


async def test_alert_does_not_reveal_device_of_another_owner(
    settings: Settings, telegram: BotApi
) -> None:
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await execute(database, "UPDATE recipients SET muted_until = now() + interval '1 h'")
        id = await registered(api, 1)
        await api.change("updateConfig", deviceId=id, qos=2)
        change = {"location": {"place": "Secret"}, "measurementType": "plutonium"}
        await api.change("updateDevice", id=id, owner="Globex", **change)
        acme = "owner_id = (SELECT id FROM owners WHERE name = 'Acme'), muted_until = NULL"
        await until_rows(database, "SELECT 1 FROM deliveries", 3)
        await execute(database, f"UPDATE recipients SET {acme}")
        await telegram.until(lambda: any("New config" in m.text for m in telegram.messages(CHAT)))
        alert = next(m.text for m in telegram.messages(CHAT) if "New config" in m.text)
    assert "plutonium" not in alert
    assert "Secret" not in alert


async def test_recipient_removed_during_send_does_not_stop_alerts(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(Fault("slow", 0.5), chat_id=CHAT)
    async with alert_server(settings, telegram, CHAT, GROUP) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
        database = api.app.state.database_supervisor.services.database
        await execute(database, f"DELETE FROM recipients WHERE address = '{CHAT}'")
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 2)


async def test_fan_out_to_thousands_of_recipients_is_in_event_order(
    settings: Settings, telegram: BotApi
) -> None:
    """The fan-out writes bounded batches, all in SQL."""
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await execute(
            database,
            "INSERT INTO recipients (channel, address, language, source) "
            "SELECT 'elsewhere', n::text, 'en', 'x' FROM generate_series(1, 3000) n",
        )
        await asyncio.gather(*(registered(api, number) for number in range(20)))
        await until_rows(database, "SELECT 1 FROM deliveries", 20 * 3001)
        delivered = "SELECT event_id FROM deliveries WHERE recipient_id = 5 ORDER BY id"
        ids = [row.event_id for row in await rows(database, delivered)]
        log = "SELECT id FROM events WHERE kind = 'device_registered' ORDER BY tx, id"
        assert ids == [row.id for row in await rows(database, log)]
