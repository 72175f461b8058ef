"""The prepared operations of the page, executed in order against the application."""

import json
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, OperationType, build_schema, parse, validate

from tests.support.client import Api

ROOT = Path(__file__).parent.parent.parent
OPERATIONS = sorted((ROOT / "web" / "operations").glob("*.graphql"))


def operation(path: Path) -> OperationDefinitionNode:
    (only,) = parse(path.read_text()).definitions
    assert isinstance(only, OperationDefinitionNode)
    return only


def variables(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.with_suffix(".json").read_text()))


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.stem)
def test_operations_and_variables_match_the_schema(path: Path) -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())
    assert validate(schema, parse(path.read_text())) == []
    definitions = operation(path).variable_definitions or ()
    assert set(variables(path)) == {definition.variable.name.value for definition in definitions}


async def test_operations_except_subscription_run_without_error(api: Api) -> None:
    await api.register(api.admin)
    await api.register(api.admin, mac="24:6f:28:aa:bb:dd", measurementType="heating")
    results = {
        path.stem: await api.ask(path.read_text(), **variables(path))
        for path in OPERATIONS
        if operation(path).operation is not OperationType.SUBSCRIPTION
    }
    assert results["01_welcome"]["devices"]["totalCount"] == 2
    assert len(results["02_fleet"]["devices"]["nodes"]) == 2
    assert results["03_device"]["device"]["topics"]["data"].startswith("acme/paris/temperature/")
    assert results["04_update_config"]["updateConfig"]["errors"] == []
    assert results["06_register"]["registerDevice"]["errors"] == []
    assert results["11_new_token"]["createToken"]["errors"] == []
    assert results["13_rotate_token"]["rotateDeviceToken"]["errors"] == []
    assert results["14_link"]["linkDevice"]["link"]["filter"] == "acme/paris/temperature/+"
    kinds = {event["kind"] for event in results["15_events"]["events"]["nodes"]}
    assert {"DEVICE_REGISTERED", "CONFIG_CHANGED", "DEVICE_LINKED"} <= kinds
    # These need an id from the user and change nothing without it.
    (error,) = results["12_revoke_token"]["revokeToken"]["errors"]
    assert error["code"] == "NOT_FOUND"
    (error,) = results["08_approve"]["approveDevice"]["errors"]
    assert error["code"] == "CONFLICT"
    (error,) = results["09_reject"]["rejectDevice"]["errors"]
    assert error["code"] == "CONFLICT"
