"""The OpenAPI description of the routes, and the server's compliance with it."""

import json
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from schema.build import build_schema
from schema.engine.execution import Engine
from schema.engine.trusted_documents import trusted_documents
from schema.routes.routes import read_routes
from server.rest.openapi import openapi
from server.settings import Settings
from tests.server.process import ADMIN, ServerProcess
from tests.support.client import Api

LIMITS = Settings(database_url="postgresql://nowhere/").limits
ENGINE = Engine(build_schema(), LIMITS, 15, trusted_documents(None))
ROUTES = read_routes(ENGINE.schema, ENGINE.trusted, None)
DESCRIPTION = json.loads(json.dumps(openapi(ENGINE.schema, ROUTES)))
contract = schemathesis.openapi.from_dict(DESCRIPTION)


def test_description_is_valid_openapi_and_lists_all_routes() -> None:
    contract.validate()
    described = {
        (method.upper(), path)
        for path, operations in DESCRIPTION["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in ROUTES}


def test_register_request_and_response_schema() -> None:
    register = DESCRIPTION["paths"]["/register"]["post"]
    body = register["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["mac", "place", "type"]
    assert body["properties"]["lat"] == {
        "type": ["number", "null"],
        "description": "Degrees north, -90 to 90.",
    }
    response = register["responses"]["200"]["content"]["application/json"]["schema"]
    assert "errors" not in response["properties"]
    assert response["properties"]["device"]["properties"]["config"]["required"] == [
        "version",
        "intervalSeconds",
        "qos",
    ]


def test_device_list_parameters() -> None:
    parameters = {p["name"]: p for p in DESCRIPTION["paths"]["/devices"]["get"]["parameters"]}
    assert parameters["first"]["schema"] == {"type": "integer", "default": 50}
    assert parameters["state"]["schema"] == {"$ref": "#/components/schemas/DeviceState"}
    assert not any(parameter["required"] for parameter in parameters.values())
    assert all(parameter["description"] for parameter in parameters.values())


async def test_openapi_json_is_served(api: Api) -> None:
    response = await api.http.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == DESCRIPTION


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(
        tmp_path_factory.mktemp("rest") / "data", ROLLCALL_RATE_LIMITS="off", ROLLCALL_MQTT="off"
    )
    server.start()
    yield server
    server.stop()
    assert "Traceback" not in server.output, server.output


@contract.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_server_complies_with_description(case: schemathesis.Case, server: ServerProcess) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    # Limits of values are only in descriptions, so the server may reject data that fits the schema.
    case.call_and_validate(
        base_url=server.url, headers=headers, excluded_checks=[positive_data_acceptance]
    )
