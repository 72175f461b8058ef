"""Rights of every role for every root field, and isolation between owners."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from graphql import (
    GraphQLNamedType,
    GraphQLObjectType,
    build_schema,
    get_named_type,
    is_leaf_type,
)

from schema.build import schema_text
from server.settings import Settings
from tests.conftest import ADMIN, served
from tests.support.client import BENCH, Api

SCHEMA = build_schema(schema_text())

PEOPLE = {"admin", "owner admin", "viewer", "owner viewer"}
ADMINS = {"admin", "owner admin"}
ROLES = ["anonymous", "enrol", "device", "pending device", *sorted(PEOPLE)]

# Roles that may use each root field. What they can see is tested below.
ALLOWED_ROLES = {
    "me": PEOPLE | {"device"},
    "device": PEOPLE | {"device"},
    "devices": PEOPLE,
    "events": PEOPLE,
    "fleet": PEOPLE,
    "topics": PEOPLE | {"device"},
    "config": PEOPLE | {"device"},
    "latestCursor": PEOPLE | {"device"},
    "tokens": ADMINS,
    "enrolmentRequests": ADMINS,
    "recipients": ADMINS,
    "telegramInvites": ADMINS,
    "deliveries": ADMINS,
    "registerDevice": ADMINS | {"enrol", "device", "pending device"},
    "updateDevice": ADMINS,
    "deleteDevice": ADMINS,
    "replaceDevice": ADMINS,
    "updateConfig": ADMINS,
    "linkDevice": ADMINS,
    "unlinkDevice": ADMINS,
    "acknowledgeConfig": {"device"},
    "approveDevice": ADMINS,
    "rejectDevice": ADMINS,
    "rotateDeviceToken": ADMINS | {"device"},
    "createToken": ADMINS,
    "revokeToken": ADMINS,
    "createTelegramInvite": ADMINS,
    "revokeTelegramInvite": ADMINS,
    "removeRecipient": ADMINS,
}


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


def all_fields(kind: GraphQLNamedType, parents: tuple[GraphQLNamedType, ...] = ()) -> str:
    """Return a selection of all fields below a type. A type occurs once on each path."""
    assert isinstance(kind, GraphQLObjectType)
    parts = []
    parents = (*parents, kind)
    for name, field in kind.fields.items():
        below = get_named_type(field.type)
        if is_leaf_type(below):
            parts.append(name)
        elif below not in parents:
            # A device has fields that contain devices.
            parts.append(f"{name} {{ {all_fields(below, parents)} }}")
    return " ".join(parts) or "__typename"


def documents(device: str, token: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return a document that selects everything, and its variables, for each root field."""
    arguments = {
        "devices": "(first: 5)",
        "events": "(first: 1)",
        "enrolmentRequests": "(first: 1)",
        "deliveries": "(first: 1)",
        "device": f'(id: "{device}")',
        "topics": f'(deviceId: "{device}")',
        "config": f'(deviceId: "{device}")',
    }
    inputs: dict[str, dict[str, Any]] = {
        "registerDevice": BENCH,
        "updateDevice": {"id": device, "firmware": "9"},
        "deleteDevice": {"id": device},
        "replaceDevice": {"id": device, "byId": device},
        "updateConfig": {"deviceId": device, "qos": 2},
        "linkDevice": {"listenerId": device},
        "unlinkDevice": {"id": "0"},
        "acknowledgeConfig": {"version": 1},
        "approveDevice": {"id": device},
        "rejectDevice": {"id": device},
        "rotateDeviceToken": {"id": device},
        "createToken": {"kind": "VIEWER"},
        "revokeToken": {"id": token},
        "createTelegramInvite": {},
        "revokeTelegramInvite": {"id": "0"},
        "removeRecipient": {"id": "0"},
    }
    result = {}
    for root, kind in ((SCHEMA.query_type, "query"), (SCHEMA.mutation_type, "mutation")):
        assert root
        for name, field in root.fields.items():
            below = get_named_type(field.type)
            selection = "" if is_leaf_type(below) else f"{{ {all_fields(below)} }}"
            if kind == "query":
                result[name] = (f"{{ {name}{arguments.get(name, '')} {selection} }}", {})
            else:
                head = f"mutation ($input: {name[0].upper()}{name[1:]}Input!)"
                result[name] = (
                    f"{head} {{ {name}(input: $input) {selection} }}",
                    {"input": inputs[name]},
                )
    return result


def test_table_covers_every_root_field() -> None:
    assert SCHEMA.query_type
    assert SCHEMA.mutation_type
    assert (
        ALLOWED_ROLES.keys() == SCHEMA.query_type.fields.keys() | SCHEMA.mutation_type.fields.keys()
    )


@pytest.mark.parametrize("role", ROLES)
async def test_role_is_allowed_its_root_fields(fleet: Fleet, role: str) -> None:
    token = fleet.tokens[role]
    found = {}
    # Mutations that change tokens or the state of a device run last.
    requests = documents(fleet.own_id, "0")
    last = ["approveDevice", "rejectDevice", "rotateDeviceToken", "deleteDevice"]
    for name in [name for name in requests if name not in last] + last:
        query, variables = requests[name]
        found[name] = await fleet.api.code(query, token, **variables)
    refused = "UNAUTHENTICATED" if role == "anonymous" else "FORBIDDEN"
    assert found == {name: None if role in may else refused for name, may in ALLOWED_ROLES.items()}


@pytest.mark.parametrize("role", ["device", "owner viewer", "owner admin"])
@pytest.mark.parametrize("field", ["device", "topics", "config"])
async def test_device_of_another_owner_is_not_visible(fleet: Fleet, role: str, field: str) -> None:
    token = fleet.tokens[role]
    for id, visible in ((fleet.own_id, True), (fleet.foreign_id, False)):
        query, variables = documents(id, "0")[field]
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
    for name, (query, variables) in documents(fleet.foreign_id, fleet.foreign_token).items():
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
