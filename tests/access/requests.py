"""Requests for each root field of the schema, about the objects of one owner."""

from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLNamedType,
    GraphQLObjectType,
    build_schema,
    get_named_type,
    is_leaf_type,
)

from schema.build import schema_text
from tests.support.client import BENCH

SCHEMA = build_schema(schema_text())
# Instead of everything, which would cost too much.
SELECTIONS = {"enrolmentRequests": "{ nodes { id address key { id } device { id owner } } }"}


@dataclass(frozen=True)
class Target:
    """The objects of an owner, by their ids. `mac`: of its device."""

    device: str
    token: str = "0"
    link: str = "0"
    invite: str = "0"
    recipient: str = "0"
    owner: str = "Acme"
    place: str = "Paris"
    mac: str = BENCH["mac"]


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


def documents(target: Target) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return a document that selects everything, and its variables, for each root field."""
    device = target.device
    arguments = {
        "devices": "(first: 5)",
        "enrolmentRequests": "(first: 5)",
        "events": f'(first: 1, filter: {{owner: "{target.owner}"}})',
        "deliveries": f'(first: 1, filter: {{recipientId: "{target.recipient}"}})',
        "device": f'(id: "{device}")',
        "topics": f'(deviceId: "{device}")',
        "config": f'(deviceId: "{device}")',
    }
    result = {}
    for root, kind in ((SCHEMA.query_type, "query"), (SCHEMA.mutation_type, "mutation")):
        assert root
        for name, field in root.fields.items():
            below = get_named_type(field.type)
            selection = "" if is_leaf_type(below) else f"{{ {all_fields(below)} }}"
            selection = SELECTIONS.get(name, selection)
            if kind == "query":
                result[name] = (f"{{ {name}{arguments.get(name, '')} {selection} }}", {})
            else:
                head = f"mutation ($input: {name[0].upper()}{name[1:]}Input!)"
                result[name] = (
                    f"{head} {{ {name}(input: $input) {selection} }}",
                    {"input": inputs(target)[name]},
                )
    return result


def inputs(target: Target) -> dict[str, dict[str, Any]]:
    """Return the inputs of the mutations."""
    device = target.device
    return {
        "registerDevice": {**BENCH, "mac": target.mac, "owner": target.owner},
        "updateDevice": {"id": device, "firmware": "9"},
        "deleteDevice": {"id": device},
        "replaceDevice": {"id": device, "byId": device},
        "updateConfig": {"deviceId": device, "qos": 2},
        "linkDevice": {"listenerId": device},
        "unlinkDevice": {"id": target.link},
        "acknowledgeConfig": {"version": 1},
        "approveDevice": {"id": device},
        "rejectDevice": {"id": device},
        "rotateDeviceToken": {"id": device},
        "createToken": {"kind": "VIEWER", "owner": target.owner},
        "revokeToken": {"id": target.token},
        "createTelegramInvite": {"owner": target.owner},
        "revokeTelegramInvite": {"id": target.invite},
        "removeRecipient": {"id": target.recipient},
    }
