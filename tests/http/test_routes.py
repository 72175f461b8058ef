"""The REST routes of trusted documents."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from schema.engine.trusted_documents import BadTrustedDocument
from server.app import create_app
from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.support.client import Api

DEVICE = {
    "mac": "24:6f:28:aa:bb:cc",
    "owner": "Acme",
    "place": "Paris",
    "lat": 48.85,
    "lon": 2.35,
    "type": "temperature",
    "model": "BME280",
    "fw": "1.0.0",
}
UNKNOWN_ID = "0" * 32


class Rest:
    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def __call__(
        self, line: str, body: Any = None, token: str | None = ADMIN, **options: Any
    ) -> httpx.Response:
        method, path = line.split()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self.http.request(
            method, path, json=body, headers={**headers, **options.pop("headers", {})}, **options
        )


@pytest_asyncio.fixture
async def rest(api: Api) -> AsyncIterator[Rest]:
    yield Rest(api.http)


async def registered(rest: Rest, **changes: Any) -> dict[str, Any]:
    response = await rest("POST /register", {**DEVICE, **changes})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_device_lifecycle(rest: Rest) -> None:
    found = await registered(rest)
    assert found["outcome"] == "CREATED"
    assert "errors" not in found
    id, token = found["device"]["id"], found["token"]
    topics = (await rest(f"GET /topics/{id}", token=token)).json()
    assert topics["data"] == f"acme/paris/temperature/{id}"
    config = (await rest(f"GET /config/{id}", token=token)).json()
    assert (config["version"], config["intervalSeconds"], config["qos"]) == (1, 60, 1)
    new = {"intervalSeconds": 5, "expectedVersion": 1}
    assert (await rest(f"POST /config/{id}", new)).json()["config"]["version"] == 2
    moved = {"location": {"place": "Rome", "latitude": 41.9, "longitude": 12.5}, "firmware": "2"}
    device = (await rest(f"PUT /devices/{id}", moved)).json()["device"]
    assert (device["location"], device["firmware"]) == (moved["location"], "2")
    whole = (await rest(f"GET /devices/{id}")).json()
    assert whole["topics"]["data"] == f"acme/rome/temperature/{id}"
    assert (await rest(f"DELETE /devices/{id}")).json() == {"id": id}
    assert (await rest(f"GET /devices/{id}")).status_code == 404


async def test_device_list_pages_and_filters(rest: Rest) -> None:
    for number in range(5):
        await registered(rest, mac=f"24:6f:28:aa:bb:{number:02x}", place=f"Room {number % 2}")
    page = (await rest("GET /devices", params={"first": 2, "place": "room 0"})).json()
    assert [node["location"]["place"] for node in page["nodes"]] == ["Room 0"] * 2
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    after = {"after": page["pageInfo"]["endCursor"], "place": "room 0"}
    assert len((await rest("GET /devices", params=after)).json()["nodes"]) == 1
    none = await rest("GET /devices", params={"online": "true", "state": "ACTIVE"})
    assert none.json()["nodes"] == []
    assert len((await rest("GET /devices", params={"inSync": "false"})).json()["nodes"]) == 5


@pytest.mark.parametrize(
    ("line", "body", "expected"),
    [
        ("POST /register", {**DEVICE, "mac": "x"}, (422, "INVALID", "mac")),
        ("POST /register", {**DEVICE, "lat": 91}, (422, "INVALID", "lat")),
        ("POST /register", {**DEVICE, "lat": "x"}, (422, "INVALID", "lat")),
        ("POST /register", {"mac": DEVICE["mac"], "type": "x"}, (422, "INVALID", "place")),
        ("POST /register", {**DEVICE, "colour": "red"}, (422, "INVALID", "colour")),
        ("POST /config/{id}", {}, (422, "INVALID", None)),
        ("POST /config/{id}", {"qos": 3}, (422, "INVALID", "qos")),
        (
            "POST /config/{id}",
            {"qos": 0, "expectedVersion": 9},
            (409, "CONFLICT", "expectedVersion"),
        ),
        ("POST /config/{id}", {"qos": 0, "id": UNKNOWN_ID}, (422, "INVALID", "id")),
        (f"POST /config/{UNKNOWN_ID}", {"qos": 0}, (404, "NOT_FOUND", "id")),
        (f"GET /config/{UNKNOWN_ID}", None, (404, "NOT_FOUND", None)),
        ("GET /devices?first=many", None, (422, "INVALID", "first")),
        ("GET /devices?first=0", None, (422, "INVALID", "first")),
        ("GET /devices?state=ON", None, (422, "INVALID", "state")),
        ("GET /devices?online=yes", None, (422, "INVALID", "online")),
        ("GET /devices?colour=red", None, (422, "INVALID", "colour")),
        ("GET /devices?after=nothing", None, (422, "INVALID", "after")),
        ("PUT /devices/{id}", {"location": {"latitude": 1}}, (422, "INVALID", "location")),
        ("PUT /devices/{id}", {"location": {"place": ""}}, (422, "INVALID", "location.place")),
        ("PUT /devices/{id}", [1], (400, "BAD_REQUEST", None)),
        ("PUT /devices/{id}", "{", (400, "BAD_REQUEST", None)),
        ("PUT /devices/{id}?owner=x", {}, (400, "BAD_REQUEST", None)),
        (f"DELETE /devices/{UNKNOWN_ID}", None, (404, "NOT_FOUND", "id")),
        ("PATCH /devices/{id}", {}, (405, "BAD_REQUEST", None)),
        ("DELETE /devices", None, (405, "BAD_REQUEST", None)),
    ],
)
async def test_invalid_request_status_code_and_field(
    rest: Rest, line: str, body: Any, expected: tuple[int, str, str | None]
) -> None:
    id = (await registered(rest))["device"]["id"]
    line = line.replace("{id}", id)
    if body == "{":
        method, path = line.split()
        headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}
        response = await rest.http.request(method, path, content=body, headers=headers)
    else:
        response = await rest(line, body)
    [error] = response.json()["errors"]
    assert (response.status_code, error["code"], error["field"]) == expected, error
    assert "$" not in error["message"]
    assert response.headers["content-type"] == "application/json"


async def test_several_errors_in_one_response(rest: Rest) -> None:
    response = await rest("POST /register", {"lat": "x", "type": None})
    fields = {error["field"] for error in response.json()["errors"]}
    assert (response.status_code, fields) == (422, {"mac", "place", "lat", "type"})


async def test_authorization_errors(rest: Rest, api: Api) -> None:
    id = (await registered(rest))["device"]["id"]
    anonymous = await rest(f"GET /config/{id}", token=None)
    assert (anonymous.status_code, anonymous.headers["www-authenticate"]) == (401, "Bearer")
    unknown = await rest(f"GET /config/{id}", token="rca_unknown")
    assert (unknown.status_code, unknown.json()["errors"][0]["code"]) == (401, "UNAUTHENTICATED")
    viewer = await api.key(kind="VIEWER")
    assert (await rest(f"GET /config/{id}", token=viewer)).status_code == 200
    refused = await rest(f"DELETE /devices/{id}", token=viewer)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (403, "FORBIDDEN")
    other = (await rest("POST /register", {**DEVICE, "owner": "Globex"}, token=viewer)).status_code
    assert other == 403
    globex = await api.key(owner="Globex")
    foreign = await rest("POST /register", DEVICE, token=globex)
    # The key learns no more than of a device of its own owner.
    assert (foreign.status_code, foreign.json()["outcome"]) == (200, "PENDING")


async def test_missing_token_is_reported_before_input_errors(
    rest: Rest, settings: Settings
) -> None:
    assert (await rest("POST /register", {"mac": "x"}, token=None)).status_code == 401
    async with served(changed(settings, enrolment="open")) as api:
        assert (await Rest(api.http)("POST /register", DEVICE, token=None)).status_code == 200


async def test_cross_site_requests_require_json_and_token(rest: Rest) -> None:
    form = {"content": b"first=1", "headers": {"Content-Type": "text/plain"}}
    assert (await rest("POST /register", None, token=None, **form)).status_code == 415
    there = {"Origin": "https://elsewhere.example"}
    assert (await rest("GET /devices", token=None, headers=there)).status_code == 400
    assert (await rest("GET /devices", headers=there)).status_code == 200


async def test_registration_rate_limit(settings: Settings) -> None:
    async with served(changed(settings, max_registrations_per_key=1)) as api:
        rest, key = Rest(api.http), await api.key()
        assert (await rest("POST /register", DEVICE, token=key)).status_code == 200
        response = await rest("POST /register", DEVICE, token=key)
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) > 0


async def test_head_request_and_allow_header(rest: Rest) -> None:
    head = await rest("HEAD /devices")
    assert head.status_code == 200
    wrong = await rest("POST /devices/x", {})
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "DELETE, GET, PUT")


async def test_internal_error_is_hidden_from_client(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("resolvers.devices.queries.get_device", fails)
    response = await rest(f"GET /devices/{UNKNOWN_ID}")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["errors"][0]["code"] == "INTERNAL"


async def test_operator_routes_override_built_in_ones(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "names.graphql").write_text(
        "query ($owner: String) { all: devices(filter: {owner: $owner}) { nodes { owner } } }"
    )
    (tmp_path / "routes.toml").write_text(
        '"GET /names/{owner}" = "names"\n"GET /devices" = "names"\n'
    )
    async with served(changed(settings, trusted_documents=str(tmp_path))) as api:
        rest = Rest(api.http)
        await registered(rest)
        assert (await rest("GET /names/acme")).json() == {"nodes": [{"owner": "Acme"}]}
        assert (await rest("GET /devices")).json() == {"nodes": [{"owner": "Acme"}]}


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        ('"GET /x" = "nothing"', "", "there is no trusted document nothing"),
        ('"FETCH /x" = "x"', "{ me { id } }", "write 'FETCH /x' as"),
        ('"GET /x" = 5', "{ me { id } }", "write 'GET /x' as"),
        ('"GET /x', "{ me { id } }", "can't be read"),
        ('"GET /graphql" = "x"', "{ me { id } }", "needs this path itself"),
        ('"GET /x/{id}" = "x"', "{ me { id } }", r"make \$id a variable"),
        ('"GET /x" = "x"', "{ me { id } fleet { total } }", "select exactly one root field"),
        ('"GET /x" = "a"', "{ me { id } }", "another method for a mutation"),
        ('"GET /x" = "changes"', "{ me { id } }", "a subscription"),
        ('"GET /devices/{key}" = "x"', "query ($key: ID!) { device(id: $key) { id } }", "as /dev"),
        (
            '"POST /x" = "x"',
            "mutation ($id: ID!) { deleteDevice(input: {id: $id}) { id } }",
            "select `errors",
        ),
        (
            '"GET /x" = "x"',
            "query ($f: DeviceFilter) { devices(filter: $f) { totalCount } }",
            r"\$f of x can't be sent in a query",
        ),
    ],
)
def test_invalid_operator_route_is_rejected(
    settings: Settings, tmp_path: Path, line: str, text: str, expected: str
) -> None:
    (tmp_path / "x.graphql").write_text(text or "{ me { id } }")
    (tmp_path / "routes.toml").write_text(line)
    with pytest.raises(BadTrustedDocument, match=expected):
        create_app(changed(settings, trusted_documents=str(tmp_path)))
