"""Isolation between owners, and rotation of tokens. `matrix.py` has the rights of every caller."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.access.requests import Target, documents
from tests.conftest import ADMIN, served
from tests.support.client import Api

# Mutations that create an object or act on the caller.
WITHOUT_TARGET = ("registerDevice", "createToken", "createTelegramInvite", "acknowledgeConfig")


@dataclass(frozen=True)
class Fleet:
    """Two owners with one device each, and a token of every role for the first owner."""

    api: Api
    tokens: dict[str, str | None]
    own_id: str
    foreign_id: str
    foreign_token: str


@pytest_asyncio.fixture
async def fleet(settings: Settings) -> AsyncIterator[Fleet]:
    async with served(settings) as api:
        key = await api.key(owner="Acme")
        own = await api.register(key)
        device = own["token"]
        await api.register(device)
        pending = (await api.register(key))["token"]
        foreign = await api.register(ADMIN, mac="24:6f:28:00:00:01", owner="Globex")
        created = await api.change(
            "createToken", fields="token { id }", kind="VIEWER", owner="Globex"
        )
        tokens = {
            "anonymous": None,
            "enrol": key,
            "device": device,
            "pending device": pending,
            "admin": ADMIN,
            "owner admin": await api.key(kind="ADMIN", owner="Acme"),
            "viewer": await api.key(kind="VIEWER"),
            "owner viewer": await api.key(kind="VIEWER", owner="Acme"),
        }
        yield Fleet(
            api, tokens, own["device"]["id"], foreign["device"]["id"], created["token"]["id"]
        )


@pytest.mark.parametrize("role", ["device", "owner viewer", "owner admin"])
@pytest.mark.parametrize("field", ["device", "topics", "config"])
async def test_device_of_another_owner_is_not_visible(fleet: Fleet, role: str, field: str) -> None:
    token = fleet.tokens[role]
    for id, visible in ((fleet.own_id, True), (fleet.foreign_id, False)):
        query, variables = documents(Target(id))[field]
        data = await fleet.api.ask(query, token, **variables)
        assert (data[field] is not None) is visible


@pytest.mark.parametrize("role", ["owner viewer", "owner admin"])
async def test_device_list_contains_only_devices_of_own_owner(fleet: Fleet, role: str) -> None:
    query = "{ devices { totalCount nodes { id } edges { node { id } } } }"
    page = (await fleet.api.ask(query, fleet.tokens[role]))["devices"]
    assert page["totalCount"] == 1
    assert page["nodes"] == [{"id": fleet.own_id}]
    assert page["edges"] == [{"node": {"id": fleet.own_id}}]
    query = '{ devices(filter: {owner: "Globex"}) { totalCount nodes { id } } }'
    page = (await fleet.api.ask(query, fleet.tokens[role]))["devices"]
    assert page == {"totalCount": 0, "nodes": []}


async def test_owner_admin_can_not_change_objects_of_another_owner(fleet: Fleet) -> None:
    everything = "{ devices { nodes { id updatedAt state config { version } } } }"
    before = await fleet.api.ask(everything)
    for name, (query, variables) in documents(
        Target(fleet.foreign_id, fleet.foreign_token)
    ).items():
        if "input" not in variables or name in WITHOUT_TARGET:
            continue
        data = await fleet.api.ask(query, fleet.tokens["owner admin"], **variables)
        assert [error["code"] for error in data[name]["errors"]] == ["NOT_FOUND"], name
    assert await fleet.api.ask(everything) == before


async def test_owner_admin_creates_and_lists_only_tokens_of_its_owner(
    fleet: Fleet,
) -> None:
    own_token = fleet.tokens["owner admin"]
    refused = await fleet.api.change("createToken", own_token, kind="ADMIN", owner="Globex")
    assert refused["errors"][0]["code"] == "NOT_ALLOWED"
    made = await fleet.api.change("createToken", own_token, fields="token { owner }", kind="ADMIN")
    assert made["token"] == {"owner": "Acme"}
    listed = await fleet.api.ask("{ tokens { nodes { owner } } }", own_token)
    assert {token["owner"] for token in listed["tokens"]["nodes"]} == {"Acme"}
    listed = await fleet.api.ask("{ tokens(kind: DEVICE) { nodes { deviceId } } }", own_token)
    assert {token["deviceId"] for token in listed["tokens"]["nodes"]} == {fleet.own_id}


async def test_owner_admin_can_not_move_device_to_another_owner(fleet: Fleet) -> None:
    own_token = fleet.tokens["owner admin"]
    payload = await fleet.api.change("updateDevice", own_token, id=fleet.own_id, owner="Globex")
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [("NOT_ALLOWED", "owner")]


async def test_device_rotates_only_its_own_token(fleet: Fleet) -> None:
    own_token = fleet.tokens["device"]
    payload = await fleet.api.change(
        "rotateDeviceToken", own_token, fields="token", id=fleet.foreign_id
    )
    assert payload["token"] is None
    assert payload["errors"][0]["code"] == "NOT_FOUND"
    payload = await fleet.api.change(
        "rotateDeviceToken", own_token, fields="token", id=fleet.own_id
    )
    assert (await fleet.api.post("{ me { id } }", own_token)).status_code == 200
    assert (await fleet.api.post("{ me { id } }", payload["token"])).status_code == 200
    assert (await fleet.api.post("{ me { id } }", own_token)).status_code == 401


async def test_rotate_with_revoke_old_rejects_old_token_at_once(fleet: Fleet) -> None:
    payload = await fleet.api.change(
        "rotateDeviceToken", fields="token", id=fleet.own_id, revokeOld=True
    )
    assert (await fleet.api.post("{ me { id } }", fleet.tokens["device"])).status_code == 401
    assert (await fleet.api.post("{ me { id } }", payload["token"])).status_code == 200
