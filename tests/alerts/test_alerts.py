"""Events on their way to people, through a stand-in for Telegram that misbehaves as told."""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from notifier import sender
from server.settings import Settings
from tests.alerts.alerted import (
    CHAT,
    GROUP,
    alerted,
    registered,
    rows,
    rows_changed,
    started,
    until_rows,
)
from tests.alerts.bot_api import BotApi
from tests.conftest import changed, served
from tests.support.telegram import faults
from tests.support.telegram.faults import Fault
from tests.support.timing import delay
from tests.support.waiting import WAIT_SECONDS, until


@pytest_asyncio.fixture
async def telegram() -> AsyncIterator[BotApi]:
    async with BotApi() as api:
        api.knows(CHAT)
        api.knows(GROUP)
        yield api


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(sender, "POLL_SECONDS", 0.05)


async def test_a_registration_reaches_the_chat(settings: Settings, telegram: BotApi) -> None:
    async with alerted(settings, telegram) as api:
        id = await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
    message = telegram.messages(CHAT)[0].text
    for told in (id, "48.85, 2.35", "Acme", "temperature", "BME280", "Paris"):
        assert told in message
    assert message.splitlines()[-1].startswith("#")


async def test_changes_say_from_what_to_what(settings: Settings, telegram: BotApi) -> None:
    async with alerted(settings, telegram) as api:
        id = await registered(api, 1)
        await api.change("updateConfig", deviceId=id, intervalSeconds=5)
        await api.change("deleteDevice", id=id)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 3)
    texts = [message.text for message in telegram.messages(CHAT)]
    assert "intervalSeconds: 60 → 5" in texts[1]
    assert texts[2].startswith("Deleted: temperature in Paris, Acme")


async def test_in_russian(settings: Settings, telegram: BotApi) -> None:
    async with alerted(settings, telegram, language="ru") as api:
        await registered(api, 1)
        await telegram.until(lambda: bool(telegram.messages(CHAT)))
    assert telegram.messages(CHAT)[0].text.startswith("Новое устройство: temperature, Paris")


async def test_without_telegram_it_is_in_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rollcall.alerts")
    async with served(settings) as api:
        await started(api)
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
async def test_what_fails_is_told_later_and_in_order(
    settings: Settings, telegram: BotApi, fault: Fault
) -> None:
    telegram.misbehave(fault, fault)
    async with alerted(settings, telegram) as api:
        for number in range(3):
            await registered(api, number)
        await telegram.until(lambda: len(distinct(telegram)) == 3)
        numbers = [number_of(message.text) for message in telegram.messages(CHAT)]
        assert numbers == sorted(numbers)
        failed = await rows(
            api.app.state.database_supervisor.services.database,
            "SELECT attempts, last_error FROM deliveries WHERE attempts > 1",
        )
    assert failed


def number_of(message: str) -> int:
    return int(message.splitlines()[-1].removeprefix("#"))


def distinct(telegram: BotApi, chat: int = CHAT) -> set[int]:
    return {number_of(message.text) for message in telegram.messages(chat)}


@pytest.mark.alone
async def test_it_waits_as_long_as_it_is_told_to(settings: Settings, telegram: BotApi) -> None:
    telegram.misbehave(Fault("too_many", 2))
    async with alerted(settings, telegram) as api:
        began = asyncio.get_running_loop().time()
        await registered(api, 1)
        await telegram.until(lambda: bool(telegram.messages(CHAT)))
        assert 2 <= asyncio.get_running_loop().time() - began < 6 * delay()


async def test_who_blocks_the_bot_is_told_no_more_and_others_are(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(faults.BLOCKED, chat_id=CHAT)
    async with alerted(settings, telegram, CHAT, GROUP) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 1)
        database = api.app.state.database_supervisor.services.database
        off = "SELECT off_reason FROM recipients WHERE off_reason IS NOT NULL"
        assert "blocked" in (await until_rows(database, off))[0].off_reason
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 2)
    assert telegram.messages(CHAT) == []


async def test_what_is_refused_is_put_aside_and_the_next_is_told(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(faults.BAD_REQUEST)
    async with alerted(settings, telegram) as api:
        await registered(api, 1)
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
        dead = "SELECT last_error FROM deliveries WHERE state = 'dead'"
        [row] = await rows(api.app.state.database_supervisor.services.database, dead)
        assert "can't be sent" in row.last_error


async def test_a_storm_is_a_digest_that_counts_everything(
    settings: Settings, telegram: BotApi
) -> None:
    async with alerted(settings, telegram) as api:
        telegram.misbehave(faults.HANG, chat_id=CHAT)  # the first takes its time
        await asyncio.gather(*(registered(api, number) for number in range(60)))
        database = api.app.state.database_supervisor.services.database
        await until_rows(database, "SELECT 1 FROM deliveries", 60)
        await rows_changed(database, "UPDATE recipients SET leased_until = NULL")
        await telegram.until(lambda: bool(telegram.messages(CHAT)))
        [message] = telegram.messages(CHAT)
        assert "60 events" in message.text
        assert "60 registered" in message.text
        assert message.text.count("•") == 5
        await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'sent'", 60)


async def test_limits_of_telegram_are_kept(settings: Settings) -> None:
    async with BotApi(limits=True) as telegram:
        telegram.knows(CHAT)
        telegram.knows(GROUP)
        async with alerted(settings, telegram, CHAT, GROUP) as api:
            for number in range(5):
                await registered(api, number)
            await telegram.until(lambda: len(telegram.messages(CHAT)) == 5, 30)
        assert telegram.violations == []


async def test_two_servers_tell_it_once(settings: Settings, telegram: BotApi) -> None:
    async with alerted(settings, telegram) as one, alerted(settings, telegram) as other:
        for number in range(4):
            await registered((one, other)[number % 2], number)
        await telegram.until(lambda: len(telegram.messages(CHAT)) >= 4)
    numbers = [number_of(message.text) for message in telegram.messages(CHAT)]
    assert numbers == sorted(set(numbers))


@pytest.mark.alone
async def test_a_telegram_that_hangs_holds_no_request_up(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(*[faults.HANG] * 20)
    async with alerted(settings, telegram) as api:
        began = asyncio.get_running_loop().time()
        for number in range(20):
            await registered(api, number)
        assert asyncio.get_running_loop().time() - began < 5 * delay()
    assert telegram.messages(CHAT) == []


async def test_a_chat_that_the_settings_name_no_more(settings: Settings, telegram: BotApi) -> None:
    async with alerted(settings, telegram, CHAT, GROUP) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages()) == 2)
    async with alerted(settings, telegram, GROUP) as api:
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 2)
    assert len(telegram.messages(CHAT)) == 1


async def test_what_goes_wrong_with_one_recipient_is_no_others_business(
    settings: Settings, telegram: BotApi
) -> None:
    async with alerted(settings, telegram, CHAT, GROUP) as api:
        database = api.app.state.database_supervisor.services.database
        await rows_changed(
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


async def test_a_device_that_went_to_another_owner_is_not_told_of(
    settings: Settings, telegram: BotApi
) -> None:
    async with alerted(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await rows_changed(database, "UPDATE recipients SET muted_until = now() + interval '1 h'")
        id = await registered(api, 1)
        await api.change("updateConfig", deviceId=id, qos=2)
        change = {"location": {"place": "Secret"}, "measurementType": "plutonium"}
        await api.change("updateDevice", id=id, owner="Globex", **change)
        acme = "owner_id = (SELECT id FROM owners WHERE name = 'Acme'), muted_until = NULL"
        await until_rows(database, "SELECT 1 FROM deliveries", 3)
        await rows_changed(database, f"UPDATE recipients SET {acme}")
        await telegram.until(lambda: any("New config" in m.text for m in telegram.messages(CHAT)))
        told = next(m.text for m in telegram.messages(CHAT) if "New config" in m.text)
    assert "plutonium" not in told
    assert "Secret" not in told


async def test_a_recipient_that_is_removed_while_it_is_told(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(Fault("slow", 0.5), chat_id=CHAT)
    async with alerted(settings, telegram, CHAT, GROUP) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
        database = api.app.state.database_supervisor.services.database
        await rows_changed(database, f"DELETE FROM recipients WHERE address = '{CHAT}'")
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 2)


async def test_many_recipients(settings: Settings, telegram: BotApi) -> None:
    """Handed out in bounded steps, all in the database."""
    async with alerted(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await rows_changed(
            database,
            "INSERT INTO recipients (channel, address, language, source) "
            "SELECT 'elsewhere', n::text, 'en', 'x' FROM generate_series(1, 3000) n",
        )
        await asyncio.gather(*(registered(api, number) for number in range(20)))
        await until_rows(database, "SELECT 1 FROM deliveries", 20 * 3001)
        told = "SELECT event_id FROM deliveries WHERE recipient_id = 5 ORDER BY id"
        ids = [row.event_id for row in await rows(database, told)]
        log = "SELECT id FROM events WHERE kind = 'device_registered' ORDER BY tx, id"
        assert ids == [row.id for row in await rows(database, log)]


async def test_a_signed_webhook(settings: Settings) -> None:
    arrived: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
    elsewhere = b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"
    answers = [elsewhere, b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head if line)}
        await arrived.put((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(answers.pop() if answers else b"HTTP/1.1 204 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    secret = "a-secret-of-sixteen"
    own = changed(settings, webhook_url=f"http://127.0.0.1:{port}/x", webhook_secret=secret)
    async with server, served(own) as api:
        await started(api)
        id = await registered(api, 1)
        async with asyncio.timeout(WAIT_SECONDS):
            (first, _), (headers, body) = await arrived.get(), await arrived.get()
        await registered(api, 2)
        moved = "SELECT 1 FROM deliveries WHERE state = 'dead' AND last_error = 'it answered 302'"
        await until_rows(api.app.state.database_supervisor.services.database, moved)
    assert first["x-rollcall-signature"].startswith("sha256=")
    signed = f"{headers['x-rollcall-timestamp']}.".encode() + body
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["x-rollcall-signature"] == f"sha256={expected}"
    [event] = json.loads(body)["events"]
    assert (event["kind"], event["deviceId"], event["owner"]) == ("device_registered", id, "Acme")
