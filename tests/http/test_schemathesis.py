"""Requests that schemathesis generates from the schema: valid documents, arbitrary values."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from tests.server.process import ADMIN, ServerProcess

EXAMPLES = 20
EXPECTED = {"INVALID", "NOT_FOUND", "BAD_DOCUMENT", "FORBIDDEN", "OVER_LIMIT", "BAD_REQUEST"}
SCHEMA = Path(__file__).parents[2] / "schema.graphql"

# Excluded because it could revoke the token that all requests use.
contract = schemathesis.graphql.from_path(SCHEMA).exclude(name="Mutation.revokeToken")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("made") / "data", ROLLCALL_RATE_LIMITS="off")
    server.start()
    yield server
    ready = server.ready()
    server.stop()
    assert ready
    assert "Traceback" not in server.output, server.output


@contract.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_generated_request_causes_only_expected_errors(
    case: schemathesis.Case, server: ServerProcess
) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    response = case.call(base_url=f"{server.url}/graphql", headers=headers)
    assert response.status_code in (200, 406), response.text
    errors = response.json().get("errors", [])
    codes = {error["extensions"]["code"] for error in errors}
    assert codes <= EXPECTED
