"""The description of the routes, and whether the server keeps to it."""

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


def test_it_is_openapi() -> None:
    contract.validate()
    described = {
        (method.upper(), path)
        for path, operations in DESCRIPTION["paths"].items()
        for method in operations
    }
    assert described == {(route.method, route.path) for route in ROUTES}


def test_what_a_registration_takes() -> None:
    register = DESCRIPTION["paths"]["/register"]["post"]
    body = register["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["mac", "place", "type"]
    assert body["properties"]["lat"] == {
        "type": ["number", "null"],
        "description": "Degrees north, -90 to 90.",
    }
    answer = register["responses"]["200"]["content"]["application/json"]["schema"]
    assert "errors" not in answer["properties"]
    assert answer["properties"]["device"]["properties"]["config"]["required"] == [
        "version",
        "intervalSeconds",
        "qos",
    ]


def test_what_a_list_takes() -> None:
    parameters = {p["name"]: p for p in DESCRIPTION["paths"]["/devices"]["get"]["parameters"]}
    assert parameters["first"]["schema"] == {"type": "integer", "default": 50}
    assert parameters["state"]["schema"] == {"$ref": "#/components/schemas/DeviceState"}
    assert not any(parameter["required"] for parameter in parameters.values())
    assert all(parameter["description"] for parameter in parameters.values())


async def test_it_is_served(api: Api) -> None:
    answer = await api.http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == DESCRIPTION


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
def test_the_server_keeps_to_it(case: schemathesis.Case, server: ServerProcess) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    # What values a field takes is said in words.
    case.call_and_validate(
        base_url=server.url, headers=headers, excluded_checks=[positive_data_acceptance]
    )
