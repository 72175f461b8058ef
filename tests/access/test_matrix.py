"""Every caller has the rights of the matrix, and the matrix has everything that Rollcall offers."""

import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from domain.mqtt.topics import Topics
from notifier.telegram.updates.dispatch import BUTTONS, COMMANDS
from schema.engine.trusted_documents import BUILT_IN
from schema.routes.routes import MANIFEST
from server.settings import Settings
from tests.access.attempts import Attempts
from tests.access.matrix import CALLERS, CELLS, column, rows
from tests.access.requests import SCHEMA, Target
from tests.alerts.alert_server import execute
from tests.alerts.alert_server import rows as read
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, instance
from tests.support.client import BENCH

OF_BROKER = ("publish ", "subscribe ")
OF_API = ("query", "mutation", "subscription", "route", "document", "publish", "subscribe")
# These end what the attempts of other rows need, so they run after them, in this order.
LAST = ("approve", "reject", "rotate", "delete")
# Not a root field of its own, but another right.
PARTS = {"query events of administration"}
# Topics that are no device's.
SERVER = "server"


@dataclass(frozen=True)
class Fleet:
    """Two owners with objects of every kind, and the tokens of the callers with broker names."""

    one: Instance
    acme: Target
    globex: Target
    callers: dict[str, tuple[str | None, str]]


@pytest_asyncio.fixture
async def fleet(settings: Settings) -> AsyncIterator[Fleet]:
    async with instance(changed(settings)) as one:
        api = one.api
        database = api.app.state.database_supervisor.services.database
        await execute(database, "INSERT INTO telegram_bot (id, username) VALUES (1, 'a_bot')")
        key = await api.key(owner="Acme")
        own = await api.register(key)
        await api.register(own["token"])
        other = await api.register(
            ADMIN, mac="24:6f:28:00:00:01", owner="Globex", location={"place": "Oslo"}
        )
        acme = await objects(one, own["device"]["id"], "Acme", "Paris", BENCH["mac"])
        await api.register(await api.key(), mac="24:6f:28:00:00:01", owner="Globex")
        id = other["device"]["id"]
        globex = await objects(one, id, "Globex", "Oslo", "24:6f:28:00:00:01")
        pending = (await api.register(key))["token"]
        callers: dict[str, tuple[str | None, str]] = {
            "anonymous": (None, ""),
            "enrolment key": (key, "admin"),
            "pending device": (pending, acme.device),
            "device": (own["token"], acme.device),
            "viewer of Acme": (await api.key(kind="VIEWER", owner="Acme"), "admin"),
            "viewer": (await api.key(kind="VIEWER"), "admin"),
            "admin": (ADMIN, "admin"),
        }
        made = await api.change(
            "createToken", fields="secret token { id }", kind="ADMIN", owner="Acme"
        )
        callers["admin of Acme"] = made["secret"], f"admin-{made['token']['id']}"
        yield Fleet(one, acme, globex, callers)


async def objects(one: Instance, device: str, owner: str, place: str, mac: str) -> Target:
    """Create objects of an owner."""
    api = one.api
    database = api.app.state.database_supervisor.services.database
    await api.change("updateConfig", deviceId=device, intervalSeconds=30)
    link = await api.change("linkDevice", fields="link { id }", listenerId=device, place=place)
    token = await api.change("createToken", fields="token { id }", kind="VIEWER", owner=owner)
    invite = await api.change("createTelegramInvite", fields="invite { id }", owner=owner)
    [recipient] = await read(
        database,
        "INSERT INTO recipients (channel, address, owner_id, language, source) SELECT "
        f"'webhook', name, id, 'en', 'admin:1' FROM owners WHERE name = '{owner}' RETURNING id",
    )
    await execute(
        database,
        "INSERT INTO deliveries (recipient_id, event_id, state) SELECT "
        f"{recipient.id}, max(id), 'sent' FROM events WHERE device_id = '{device}' "
        "ON CONFLICT DO NOTHING",
    )
    ids = (token["token"]["id"], link["link"]["id"], invite["invite"]["id"], str(recipient.id))
    return Target(device, *ids, owner, place, mac)


def offered() -> set[str]:
    """Return the rows that the matrix must have."""
    found = set(PARTS)
    for kind, root in (
        ("query", SCHEMA.query_type),
        ("mutation", SCHEMA.mutation_type),
        ("subscription", SCHEMA.subscription_type),
    ):
        assert root
        found |= {f"{kind} {name}" for name in root.fields}
    lines: dict[str, Any] = tomllib.loads((BUILT_IN / MANIFEST).read_text())
    found |= {f"route {line}" for line in lines}
    found |= {f"document {path.stem}" for path in BUILT_IN.glob("*.graphql")}
    found |= {f"command {name}" for name in COMMANDS} | {f"button {name}" for name in BUTTONS}
    for action in ("publish", "subscribe"):
        found |= {f"{action} {name}" for name in (*Topics._fields, SERVER)}
    return found


def test_matrix_has_everything_that_is_offered() -> None:
    assert rows().keys() == offered()


@pytest.mark.parametrize("caller", CALLERS)
async def test_caller_has_the_rights_of_the_matrix(fleet: Fleet, caller: str) -> None:
    expected = column(caller, *OF_API)
    attempt = Attempts(fleet.one, *fleet.callers[caller])
    found = {}
    for row in sorted(expected, key=_order):
        outcomes = (await attempt(row, fleet.acme), await attempt(row, fleet.globex))
        found[row] = _cell(row, outcomes)
    wrong = {row: (found[row], expected[row]) for row in expected if found[row] != expected[row]}
    assert not wrong, f"(found, expected) of {caller}: {wrong}"


def _cell(row: str, outcomes: tuple[str, str]) -> str:
    cell = CELLS.get(outcomes, str(outcomes))
    return "no" if cell == "none" and row.startswith(OF_BROKER) else cell


def _order(row: str) -> int:
    late = [place for place, word in enumerate(LAST, 1) if word in row.lower()]
    return -1 if row.startswith(OF_BROKER) else late[0] if late else 0
