"""Operations that clients request by their document id."""

import asyncio
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import build_schema, parse, validate

from schema.build import schema_text
from schema.engine.trusted_documents import ALIASES, BUILT_IN, BadTrustedDocument, trusted_documents
from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.events.live.serving import Socket, instance
from tests.support.client import Api

MAC = "24:6f:28:aa:bb:cc"
DOCUMENTS = sorted(BUILT_IN.glob("*.graphql"))
PLAIN = "{ me { id } }"
REGISTER = {"mac": MAC, "owner": "Acme", "place": "Paris", "type": "temperature", "model": "BME280"}


async def ask(api: Api, token: str, document: str, **variables: Any) -> Any:
    body = {"documentId": document, "variables": variables}
    headers = {"Authorization": f"Bearer {token}"}
    answer = (await api.http.post("/graphql", json=body, headers=headers)).json()
    assert "errors" not in answer, answer
    return answer["data"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_built_in_documents_match_the_schema(path: Path) -> None:
    assert validate(build_schema(schema_text()), parse(path.read_text())) == []
    assert path.read_text().startswith("# ")


async def test_device_lifecycle_by_document_id(api: Api) -> None:
    key = await api.key()
    found = (await ask(api, key, "r", **REGISTER))["registerDevice"]
    assert (found["outcome"], found["errors"]) == ("CREATED", [])
    token, id = found["token"], found["device"]["id"]
    base = f"acme/paris/temperature/{id}"
    assert await ask(api, token, "b") == {
        "me": {"t": {"d": base, "l": []}, "c": {"v": 1, "i": 60, "q": 1}}
    }
    assert (await ask(api, token, "t", id=id))["topics"]["config"] == f"{base}/config"
    changed_config = (await ask(api, ADMIN, "s", id=id, interval=5, version=1))["updateConfig"]
    assert changed_config["config"]["version"] == 2
    stale = (await ask(api, ADMIN, "s", id=id, interval=6, version=1))["updateConfig"]
    assert [error["code"] for error in stale["errors"]] == ["CONFLICT"]
    assert (await ask(api, token, "c", id=id))["config"]["intervalSeconds"] == 5
    assert (await ask(api, token, "a", v=2, fw="2.0"))["acknowledgeConfig"]["errors"] == []
    [node] = (await ask(api, ADMIN, "devices", first=5))["devices"]["nodes"]
    assert (node["inSync"], node["firmware"]) == (True, "2.0")
    assert (await ask(api, ADMIN, "device", id=id))["device"]["appliedConfig"] == {"version": 2}


async def test_document_by_hash_and_by_get(api: Api) -> None:
    token = (await api.register(await api.key()))["token"]
    text = (BUILT_IN / "boot.graphql").read_text()
    for form in (text, text.strip()):
        id = f"sha256:{hashlib.sha256(form.encode()).hexdigest()}"
        assert (await ask(api, token, id))["me"]["c"]["v"] == 1
    headers = {"Authorization": f"Bearer {token}"}
    answer = await api.http.get("/graphql", params={"documentId": "b"}, headers=headers)
    assert answer.json()["data"]["me"]["c"]["v"] == 1
    refused = await api.http.get("/graphql", params={"documentId": "a"}, headers=headers)
    assert refused.status_code == 405


def test_every_alias_gives_a_built_in_document(tmp_path: Path) -> None:
    aliases = tomllib.loads(ALIASES.read_text())
    texts = trusted_documents(None)
    assert {texts[alias] for alias in aliases} <= {path.read_text() for path in DOCUMENTS}
    (tmp_path / "boot.graphql").write_text(PLAIN)
    (tmp_path / "c.graphql").write_text(PLAIN)
    own = trusted_documents(tmp_path)
    assert own["boot"] == own["b"] == own["c"] == PLAIN
    assert own["config"] == texts["config"]


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ({"documentId": "nothing"}, "DOCUMENT_NOT_FOUND", 200),
        ({"documentId": 5}, "BAD_REQUEST", 400),
        ({"documentId": "b", "query": "{ me { id } }"}, "BAD_REQUEST", 400),
        ({"documentId": "c", "variables": {}}, "BAD_DOCUMENT", 200),
        ({}, "BAD_REQUEST", 400),
    ],
)
async def test_invalid_document_id_is_rejected(api: Api, body: Any, code: str, status: int) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = await api.http.post("/graphql", json=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"] == code


async def test_document_over_websocket(settings: Settings) -> None:
    async with instance(settings) as one, await Socket.open(one.url, ADMIN) as socket:
        await socket.send({"id": "1", "type": "subscribe", "payload": {"documentId": "devices"}})
        message = await socket.message()
        assert message["payload"]["data"]["devices"]["nodes"] == []


@pytest.mark.parametrize(
    ("who", "refused"), [("nobody", []), ("devices", ["device"]), ("everyone", ["admin", "device"])]
)
async def test_trusted_only_rejects_other_documents(
    settings: Settings, who: str, refused: list[str]
) -> None:
    async with served(changed(settings, trusted_only=who)) as api:
        found = await api.http.post(
            "/graphql",
            json={"documentId": "r", "variables": REGISTER},
            headers={"Authorization": f"Bearer {ADMIN}"},
        )
        token = found.json()["data"]["registerDevice"]["token"]
        assert (await ask(api, token, "b"))["me"]
        codes = {"admin": await api.code(PLAIN, ADMIN), "device": await api.code(PLAIN, token)}
    found = [name for name, code in codes.items() if code == "TRUSTED_DOCUMENTS_ONLY"]
    assert found == refused


async def test_operator_documents_override_built_in_ones(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "names.graphql").write_text("query { devices { nodes { owner } } }\n")
    (tmp_path / "b.graphql").write_text("query { me { id } }")
    async with served(changed(settings, trusted_documents=str(tmp_path))) as api:
        token = (await api.register(ADMIN))["token"]
        assert await ask(api, ADMIN, "names") == {"devices": {"nodes": [{"owner": "Acme"}]}}
        assert (await ask(api, token, "b"))["me"].keys() == {"id"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.graphql", "query { nothing }", "Cannot query field 'nothing'"),
        ("x.graphql", "query {", "Syntax Error"),
        ("x.graphql", "query a { me { id } } query b { me { id } }", "one operation"),
        ("a b.graphql", "{ me { id } }", "name it in letters"),
    ],
)
def test_invalid_operator_document_is_rejected_at_start(
    settings: Settings, tmp_path: Path, name: str, text: str, message: str
) -> None:
    from server.app import create_app  # noqa: PLC0415

    (tmp_path / name).write_text(text)
    with pytest.raises(BadTrustedDocument, match=message):
        create_app(changed(settings, trusted_documents=str(tmp_path)))


def test_ids_are_names_and_hashes() -> None:
    ids = trusted_documents(None).keys()
    assert {"a", "b", "c", "r", "s", "t"} <= ids
    assert all(len(id) == 71 for id in ids if id.startswith("sha256:"))


async def test_boot_request_and_response_size(settings: Settings, capsys: Any) -> None:
    """The host name and the token are not counted, because their lengths vary."""
    body = b'{"documentId":"b"}'
    head = "POST /graphql HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
    rest = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    async with instance(settings) as one:
        host = httpx.URL(one.url)
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {ADMIN}"}) as client:
            found = await client.post(one.url, json={"documentId": "r", "variables": REGISTER})
            token = found.json()["data"]["registerDevice"]["token"]
        reader, writer = await asyncio.open_connection(host.host, host.port)
        request = head.format(host=host.host, token=token).encode() + rest.encode() + body
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        payload = await reader.readexactly(length)
        writer.close()
    sent = len(request) - len(token) - len(host.host)
    with capsys.disabled():
        print(f"\nboot over HTTP: {sent} bytes to the server, {len(answer) + length} back")  # noqa: T201
    assert json.loads(payload)["data"]["me"]["c"]["v"] == 1
    assert sent <= 200
    assert len(answer) + length <= 350


async def test_documents_that_read_the_schema_have_their_own_results(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "one.graphql").write_text("{ __schema { queryType { name } } }")
    (tmp_path / "two.graphql").write_text("{ __schema { mutationType { name } } }")
    async with served(changed(settings, trusted_documents=str(tmp_path))) as api:
        for _ in range(2):
            assert await ask(api, ADMIN, "one") == {"__schema": {"queryType": {"name": "Query"}}}
            found = await ask(api, ADMIN, "two")
            assert found == {"__schema": {"mutationType": {"name": "Mutation"}}}
