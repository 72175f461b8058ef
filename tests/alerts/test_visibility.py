"""Alerts contain what their recipient may see: by its role, and by its owner after a move."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from db.postgres.database import Database
from domain.alerts.recipients import DeliveryState
from server.settings import Settings
from tests.alerts.alert_server import CHAT, alert_server, execute, registered, rows, until_rows
from tests.alerts.bot_api import BotApi
from tests.conftest import changed
from tests.support.client import Api

pytestmark = pytest.mark.usefixtures("quick")

ACME, GLOBEX, VIEWER = 51, 52, 53
NOTE = "key of Ann Smith"
EVERY = "ARRAY(SELECT DISTINCT unnest('{token_created,token_revoked,device_registered,"
EVERY += "device_updated,device_left,device_replaced,config_changed,device_unlinked}'::text[]))"


@asynccontextmanager
async def webhook() -> AsyncIterator[tuple[str, list[Any]]]:
    """A server that accepts all requests: its base URL, and (path, event) of what it received."""
    received: list[Any] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r")[0])
        body = json.loads(await reader.readexactly(length))
        received.extend((head.split()[1], event, body["text"]) for event in body["events"])
        writer.write(b"HTTP/1.1 204 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", received


async def add(database: Database, channel: str, address: str, role: str, owner: str = "") -> None:
    """Add a recipient that wants events of many kinds, and is no chat of the settings."""
    await execute(
        database,
        "INSERT INTO recipients (channel, address, role, owner_id, language, source, kinds) VALUES "
        f"('{channel}', '{address}', '{role}', (SELECT id FROM owners WHERE name = '{owner}'), "
        f"'en', 'admin:1', {EVERY})",
    )


async def settled(database: Database, kind: str) -> None:
    """Wait until the last event of this kind is fanned out and all deliveries are settled."""
    await until_rows(
        database,
        "SELECT 1 FROM fan_out_position WHERE event_id >= "
        f"(SELECT max(id) FROM events WHERE kind = '{kind}') AND NOT EXISTS "
        f"(SELECT FROM deliveries WHERE state = '{DeliveryState.WAITING}')",
    )


async def test_events_of_administration_are_sent_to_administrators_only(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.knows(VIEWER)
    async with webhook() as (url, received):
        values = {"webhook_url": f"{url}/operator", "webhook_secret": "a-secret-of-sixteen"}
        async with alert_server(settings, telegram, **values) as api:
            database = api.app.state.database_supervisor.services.database
            await add(database, "telegram", str(VIEWER), "viewer")
            await add(database, "webhook", f"{url}/viewer", "viewer")
            await api.key(note=NOTE)
            await registered(api, 1)
            await settled(database, "device_registered")
    by_path = {path: [e for p, e, _ in received if p == path] for path, _, _ in received}
    assert [event["kind"] for event in by_path["/viewer"]] == ["device_registered"]
    assert [event["kind"] for event in by_path["/operator"]] == [
        "token_created",
        "device_registered",
    ]
    assert by_path["/viewer"][0]["actor"] == by_path["/viewer"][0]["after"]["updatedBy"] == "admin"
    assert by_path["/operator"][1]["actor"] == "admin:1"
    assert [text.splitlines()[0] for text in texts(telegram, VIEWER)] == [
        "New device: temperature in Paris"
    ]
    assert any(NOTE in text for text in texts(telegram, CHAT))


def texts(telegram: BotApi, chat: int) -> list[str]:
    return [sent.text for sent in telegram.messages(chat)]


async def test_alert_to_viewer_has_no_chat_ids(settings: Settings, telegram: BotApi) -> None:
    telegram.knows(VIEWER)
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        id = await registered(api, 1)
        await settled(database, "device_registered")
        await add(database, "telegram", str(VIEWER), "viewer")
        await execute(database, "UPDATE recipients SET since_event = 1")
        await execute(
            database,
            "INSERT INTO events (kind, actor, device_id, owner_id, before, after) SELECT "
            "'config_changed', 'telegram:777888/9', id, owner_id, '{\"qos\": 1}', '{\"qos\": 2}' "
            f"FROM devices WHERE id = '{id}'",
        )
        await telegram.until(lambda: bool(texts(telegram, VIEWER)))
        await telegram.until(lambda: any("qos" in text for text in texts(telegram, CHAT)))
    assert "By telegram. Id:" in texts(telegram, VIEWER)[0]
    assert any("By telegram:777888/9. Id:" in text for text in texts(telegram, CHAT))


async def test_digest_of_missed_alerts_of_viewer_has_no_administration(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.knows(VIEWER)
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await add(database, "telegram", str(VIEWER), "viewer")
        pause = "off_reason = 'x', away = true, next_send_at = now() + interval '1 h'"
        await execute(database, f"UPDATE recipients SET {pause} WHERE address = '{VIEWER}'")
        await api.key(note=NOTE)
        await registered(api, 1)
        await settled(database, "device_registered")
        counted = await rows(database, "SELECT kind, count FROM missed_alerts")
        assert [tuple(row) for row in counted] == [("device_registered", 1)]
        # Counted while the chat was an administrator's.
        await execute(
            database,
            "INSERT INTO missed_alerts SELECT recipient_id, 'recipient_added', 1, first_event, "
            "last_event FROM missed_alerts",
        )
        await execute(database, "UPDATE recipients SET next_send_at = now()")
        await telegram.until(lambda: bool(texts(telegram, VIEWER)))
    [digest] = texts(telegram, VIEWER)
    assert "Registered: 1" in digest
    assert "Recipients added" not in digest
    assert "Tokens created" not in digest


async def test_pending_alerts_of_former_administrator_are_not_sent(
    settings: Settings, telegram: BotApi
) -> None:
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await execute(database, "UPDATE recipients SET muted_until = now() + interval '1 h'")
        await api.key(note=NOTE)
        await registered(api, 1)
        await until_rows(database, "SELECT 1 FROM deliveries", 2)
        await execute(database, "UPDATE recipients SET role = 'viewer', muted_until = NULL")
        await telegram.until(lambda: bool(texts(telegram, CHAT)))
        await settled(database, "device_registered")
    assert len(texts(telegram, CHAT)) == 1
    assert NOTE not in texts(telegram, CHAT)[0]


async def test_existing_webhook_of_the_settings_is_an_administrator(
    settings: Settings, telegram: BotApi
) -> None:
    values = {"webhook_url": "http://127.0.0.1:9/x", "webhook_secret": "a-secret-of-sixteen"}
    query = "SELECT 1 FROM recipients WHERE channel = 'webhook' AND role = 'admin'"
    async with alert_server(settings, telegram, **values) as api:
        database = api.app.state.database_supervisor.services.database
        await until_rows(database, query)
        await execute(database, "UPDATE recipients SET role = 'viewer'")
    async with alert_server(changed(settings), telegram, **values) as api:
        await until_rows(api.app.state.database_supervisor.services.database, query)


async def two_owners(api: Api, database: Database) -> None:
    """Register a device of Acme, with a link, and one of Globex."""
    id, other = await registered(api, 1), await registered(api, 2, owner="Globex")
    await api.change("updateDevice", id=other, location={"place": "Oslo"}, measurementType="co2")
    await api.change("linkDevice", listenerId=id, place="Paris")
    await settled(database, "device_linked")


@pytest.mark.parametrize("role", ["admin", "viewer"])
async def test_alerts_about_a_move_do_not_reveal_the_other_owner(
    settings: Settings, telegram: BotApi, role: str
) -> None:
    for chat in (ACME, GLOBEX):
        telegram.knows(chat)
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await two_owners(api, database)
        await execute(database, "DELETE FROM deliveries")
        start = await rows(database, "SELECT max(id) FROM events")
        for owner, chat in (("Acme", ACME), ("Globex", GLOBEX)):
            await add(database, "telegram", str(chat), role, owner)
        await execute(database, f"UPDATE recipients SET since_event = {start[0][0]}")
        id = await registered(api, 1)
        change = {"location": {"place": "Lund"}, "measurementType": "co2"}
        await api.change("updateDevice", id=id, owner="Globex", **change)
        await telegram.until(lambda: any("Left:" in t for t in texts(telegram, ACME)))
        await telegram.until(lambda: any("Changed:" in t for t in texts(telegram, GLOBEX)))
    left, arrived = "\n".join(texts(telegram, ACME)), "\n".join(texts(telegram, GLOBEX))
    assert "Left: temperature in Paris, Acme\nIt has another owner now." in left
    assert "owner: Globex\nplace: Lund" in arrived
    for name in ("Globex", "globex", "Lund", "lund", "co2"):
        assert name not in left
    for name in ("Acme", "acme", "Paris", "paris", "temperature"):
        assert name not in arrived


async def test_webhook_about_a_move_does_not_reveal_the_other_owner(
    settings: Settings, telegram: BotApi
) -> None:
    async with webhook() as (url, received):
        values = {"webhook_url": f"{url}/all", "webhook_secret": "a-secret-of-sixteen"}
        async with alert_server(settings, telegram, **values) as api:
            database = api.app.state.database_supervisor.services.database
            await two_owners(api, database)
            start = await rows(database, "SELECT max(id) FROM events")
            for owner in ("Acme", "Globex"):
                await add(database, "webhook", f"{url}/{owner}", "admin", owner)
            await execute(
                database,
                f"UPDATE recipients SET since_event = {start[0][0]}, kinds = {EVERY} "
                "WHERE channel = 'webhook'",
            )
            id = (await rows(database, "SELECT id FROM devices ORDER BY number"))[0][0]
            change = {"location": {"place": "Lund"}, "measurementType": "humidity"}
            await api.change("updateDevice", id=id, owner="Globex", **change)
            await settled(database, "device_updated")
    found = {
        path: [(e["kind"], e["before"], e["after"]) for p, e, _ in received if p == path]
        for path in ("/acme", "/globex", "/all")
    }
    assert [kind for kind, _, _ in found["/acme"]] == ["device_unlinked", "device_left"]
    assert [kind for kind, _, _ in found["/globex"]] == ["config_changed", "device_updated"]
    assert [kind for kind, _, _ in found["/all"][-4:]] == [
        "device_unlinked",
        "device_left",
        "config_changed",
        "device_updated",
    ]
    for path, names in (
        ("/acme", ("globex", "lund", "humidity")),
        ("/globex", ("acme", "paris", "temperature")),
    ):
        seen = json.dumps([(e, text) for p, e, text in received if p == path]).lower()
        assert not [name for name in names if name in seen]
    assert "acme/paris" in json.dumps(found["/all"][-1])
