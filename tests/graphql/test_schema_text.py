"""The published schema text: up to date, described, and with the required names."""

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)

from schema.build import schema_text

NAMES = {
    "Query": "me device devices topics config",
    "Mutation": "registerDevice updateDevice deleteDevice updateConfig approveDevice rejectDevice "
    "rotateDeviceToken createToken revokeToken",
    "Device": "id owner location measurementType sensorModel firmware state topics config "
    "appliedConfig inSync online lastSeenAt registeredAt updatedAt",
    "Location": "place latitude longitude",
    "Topics": "data config state status listen",
    "Config": "version intervalSeconds qos updatedAt updatedBy",
    "RegisterDevicePayload": "device token broker outcome errors",
    "Broker": "host port tls username",
    "DeviceConnection": "nodes edges pageInfo totalCount",
    "UserError": "code field message",
    "RegisterDeviceInput": "mac owner location measurementType sensorModel firmware",
    "UpdateDeviceInput": "id owner location measurementType sensorModel firmware",
    "UpdateConfigInput": "deviceId intervalSeconds qos expectedVersion",
    "CreateTokenInput": "kind owner note expiresAt maxUses",
    "CreateTokenPayload": "secret errors",
}


@pytest.fixture(scope="module")
def contract() -> GraphQLSchema:
    return build_schema(schema_text())


def test_committed_schema_text_is_up_to_date() -> None:
    committed = Path(__file__).parent.parent.parent / "schema.graphql"
    assert committed.read_text() == schema_text()


def test_all_types_fields_and_enum_values_are_described(contract: GraphQLSchema) -> None:
    undescribed = []
    for name, kind in contract.type_map.items():
        if name.startswith("__"):
            continue
        if not kind.description:
            undescribed.append(name)
        if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType):
            undescribed += [f"{name}.{key}" for key, f in kind.fields.items() if not f.description]
        if isinstance(kind, GraphQLEnumType):
            assert all(value in (kind.description or "") for value in kind.values), name
    builtin = {"Int", "Float", "String", "Boolean", "ID"}
    assert set(undescribed) - builtin == set()


@pytest.mark.parametrize("name", NAMES)
def test_required_field_names_exist(contract: GraphQLSchema, name: str) -> None:
    kind = contract.type_map[name]
    assert isinstance(kind, GraphQLObjectType | GraphQLInputObjectType)
    assert set(NAMES[name].split()) <= kind.fields.keys()
