"""The prepared tabs, run as they stand, in their order, against a real server."""

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
def test_they_fit_the_schema(path: Path) -> None:
    schema = build_schema((ROOT / "schema.graphql").read_text())
    assert validate(schema, parse(path.read_text())) == []
    definitions = operation(path).variable_definitions or ()
    assert set(variables(path)) == {definition.variable.name.value for definition in definitions}


async def test_all_but_the_subscription_run_without_an_error(api: Api) -> None:
    await api.register(api.admin)
    answers = {
        path.stem: await api.ask(path.read_text(), **variables(path))
        for path in OPERATIONS
        if operation(path).operation is not OperationType.SUBSCRIPTION
    }
    assert answers["01_welcome"]["devices"]["totalCount"] == 1
    assert len(answers["02_fleet"]["devices"]["nodes"]) == 1
    assert answers["03_device"]["device"]["topics"]["data"].startswith("acme/paris/temperature/")
    assert answers["04_update_config"]["updateConfig"]["errors"] == []
    assert answers["06_register"]["registerDevice"]["errors"] == []
    assert answers["10_new_token"]["createToken"]["errors"] == []
    # These two need a number of yours first, and harm nothing until then.
    (error,) = answers["11_revoke_token"]["revokeToken"]["errors"]
    assert error["code"] == "NOT_FOUND"
    (error,) = answers["08_approve"]["approveDevice"]["errors"]
    assert error["code"] == "CONFLICT"
