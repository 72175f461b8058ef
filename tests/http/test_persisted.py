"""Automatic persisted queries: the text once, then its hash, with the rights of the text."""

import json
from hashlib import sha256
from typing import Any

import httpx
import pytest

from schema.engine.trusted_documents import BUILT_IN
from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.events.live.serving import Socket, instance
from tests.support.client import Api

TOTAL = "{ fleet { total } }"
SCHEMA = "{ __schema { queryType { name } } }"
NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
GRAPHQL = "application/graphql-response+json"


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def by_hash(text: str, **more: Any) -> dict[str, Any]:
    extension = {"version": 1, "sha256Hash": hash_of(text)}
    return {"extensions": {"persistedQuery": extension}, **more}


async def post(api: Api, body: Any, token: str | None = ADMIN, **headers: str) -> httpx.Response:
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return await api.http.post("/graphql", json=body, headers=headers)


async def code(api: Api, body: Any, token: str | None = ADMIN) -> str | None:
    """Return the code of the first error, or None if there is none."""
    errors = (await post(api, body, token)).json().get("errors")
    return errors[0]["extensions"]["code"] if errors else None


@pytest.mark.parametrize("accept", ["application/json", GRAPHQL])
async def test_hash_works_after_its_text_was_sent(api: Api, accept: str) -> None:
    missing = await post(api, by_hash(TOTAL), Accept=accept)
    assert missing.status_code == 200
    assert missing.headers["cache-control"] == "private, no-cache, must-revalidate"
    assert missing.json() == {
        "errors": [{"message": "PersistedQueryNotFound", "extensions": {"code": NOT_FOUND}}]
    }
    plain = await post(api, {"query": TOTAL}, Accept=accept)
    both = await post(api, by_hash(TOTAL, query=TOTAL), Accept=accept)
    later = await post(api, by_hash(TOTAL), Accept=accept)
    assert plain.content == both.content == later.content
    assert both.status_code == later.status_code == 200


async def test_hash_by_get(api: Api) -> None:
    params = {"extensions": json.dumps(by_hash(TOTAL)["extensions"])}
    headers = {"Authorization": f"Bearer {ADMIN}"}
    missing = await api.http.get("/graphql", params=params, headers=headers)
    assert missing.json()["errors"][0]["extensions"] == {"code": NOT_FOUND}
    await api.http.get("/graphql", params={**params, "query": TOTAL}, headers=headers)
    found = await api.http.get("/graphql", params=params, headers=headers)
    assert found.json() == {"data": {"fleet": {"total": 0}}}


async def test_mutation_by_hash_requires_post(api: Api) -> None:
    text = 'mutation { deleteDevice(input: {id: "x"}) { errors { code } } }'
    assert await code(api, by_hash(text, query=text)) is None
    params = {"extensions": json.dumps(by_hash(text)["extensions"])}
    headers = {"Authorization": f"Bearer {ADMIN}"}
    refused = await api.http.get("/graphql", params=params, headers=headers)
    assert refused.status_code == 405


async def test_hash_over_websocket(settings: Settings) -> None:
    async with instance(settings) as one, await Socket.open(one.url, ADMIN) as socket:

        async def result_of(payload: Any) -> Any:
            await socket.send({"id": "1", "type": "subscribe", "payload": payload})
            message = await socket.message()
            if message["type"] == "next":
                assert (await socket.message())["type"] == "complete"
            return message["payload"]

        assert (await result_of(by_hash(TOTAL)))[0]["extensions"] == {"code": NOT_FOUND}
        assert (await result_of(by_hash(TOTAL, query=TOTAL)))["data"]
        assert (await result_of(by_hash(TOTAL)))["data"]


@pytest.mark.parametrize(
    "extension",
    [
        {"version": 2, "sha256Hash": hash_of(TOTAL)},
        {"version": True, "sha256Hash": hash_of(TOTAL)},
        {"sha256Hash": hash_of(TOTAL)},
        {"version": 1},
        {"version": 1, "sha256Hash": "abc"},
        {"version": 1, "sha256Hash": hash_of(TOTAL).upper()},
        {"version": 1, "sha256Hash": 5},
        "x",
        [],
    ],
)
@pytest.mark.parametrize("query", [TOTAL, None])
async def test_invalid_persisted_query_extension_is_rejected(
    api: Api, extension: Any, query: str | None
) -> None:
    body = {"extensions": {"persistedQuery": extension}, **({"query": query} if query else {})}
    refused = await post(api, body)
    assert refused.status_code == 400
    assert "sha256Hash" in refused.json()["errors"][0]["message"]


async def test_wrong_hash_stores_no_document(api: Api) -> None:
    other = "{ latestCursor }"
    refused = await post(api, by_hash(TOTAL, query=other))
    assert refused.status_code == 400
    assert "is not the SHA-256" in refused.json()["errors"][0]["message"]
    assert await code(api, by_hash(TOTAL)) == NOT_FOUND
    assert await code(api, by_hash(other)) == NOT_FOUND
    await post(api, by_hash(TOTAL, query=TOTAL))
    assert (await post(api, by_hash(TOTAL, query=other))).status_code == 400
    assert (await post(api, by_hash(TOTAL))).json() == {"data": {"fleet": {"total": 0}}}


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("{ nothing }", "BAD_DOCUMENT"),
        ("{ fleet {", "BAD_DOCUMENT"),
        ("{ devices(first: 500) { nodes { " + "owner " * 20 + "} } }", None),
        ("{ devices(first: 500) { nodes { id owner state inSync online firmware } } }", None),
        ("query { " + " ".join(f"f{n}: fleet {{ total }}" for n in range(21)) + " }", "OVER_LIMIT"),
    ],
)
async def test_only_executable_documents_are_stored(
    api: Api, text: str, refused: str | None
) -> None:
    alone = await code(api, {"query": text})
    assert await code(api, by_hash(text, query=text)) == alone
    assert refused in (None, alone)
    assert await code(api, by_hash(text)) == (NOT_FOUND if alone else None)
    empty = await post(api, by_hash("", query=""))
    assert empty.json()["errors"][0]["extensions"]["code"] == "BAD_DOCUMENT"


async def test_hashes_are_only_for_admin_and_viewer_tokens(api: Api) -> None:
    await post(api, by_hash(TOTAL, query=TOTAL))
    device = (await api.register(ADMIN))["token"]
    viewer = await api.key(kind="VIEWER")
    assert await code(api, by_hash(TOTAL), viewer) is None
    for token in (device, await api.key(), None):
        refused = await post(api, by_hash(TOTAL), token)
        assert (refused.status_code, refused.json()["errors"][0]["message"]) == (
            200,
            "PersistedQueryNotSupported",
        )
        assert refused.json()["errors"][0]["extensions"] == {"code": NOT_SUPPORTED}
    me = "{ me { id } }"
    assert await code(api, by_hash(me, query=me), device) is None
    assert await code(api, by_hash(me)) == NOT_FOUND


async def test_hash_is_authorized_per_caller(settings: Settings) -> None:
    """A document that an administrator has stored gives other callers no additional rights."""
    heavy = (
        "query ($n: Int) { devices(first: $n) { nodes { "
        + " ".join(f"a{n}: id" for n in range(20))
        + " } } }"
    )
    tokens = "{ tokens { nodes { id } } }"
    async with served(changed(settings, env="production")) as api:
        viewer = await api.key(kind="VIEWER")
        for text in (SCHEMA, heavy, tokens):
            assert await code(api, by_hash(text, query=text, variables={"n": 1})) is None
        assert await code(api, by_hash(heavy, variables={"n": 500}), viewer) == "OVER_LIMIT"
        assert await code(api, by_hash(heavy, variables={"n": 1}), viewer) is None
        assert await code(api, by_hash(tokens), viewer) == "FORBIDDEN"
        assert await code(api, by_hash(SCHEMA), viewer) is None
        assert await code(api, by_hash(SCHEMA), None) == NOT_SUPPORTED
        assert await code(api, {"query": SCHEMA}, None) == "UNAUTHENTICATED"


async def test_trusted_documents_by_hash(settings: Settings) -> None:
    text = (BUILT_IN / "boot.graphql").read_text()
    async with served(changed(settings, trusted_only="everyone")) as api:
        registered = await post(
            api,
            {
                "documentId": "r",
                "variables": {"mac": "24:6f:28:aa:bb:cc", "owner": "A", "place": "P", "type": "t"},
            },
        )
        token = registered.json()["data"]["registerDevice"]["token"]
        named = await post(api, {"documentId": "b"}, token)
        for form in (text, text.strip()):
            assert (await post(api, by_hash(form), token)).content == named.content
        assert await code(api, by_hash(TOTAL)) == NOT_SUPPORTED
        assert await code(api, by_hash(TOTAL, query=TOTAL)) == "TRUSTED_DOCUMENTS_ONLY"
        assert await code(api, by_hash(text, documentId="b")) == "BAD_REQUEST"


async def test_fast_path_does_not_cache_unknown_hashes(settings: Settings) -> None:
    """The same body becomes valid when the text is stored, so its rejection must not be cached."""
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with instance(settings) as one, httpx.AsyncClient(headers=headers) as client:

        async def result_of(body: Any) -> Any:
            return (await client.post(one.url, json=body)).json()

        for _ in range(3):
            assert (await result_of(by_hash(TOTAL)))["errors"][0]["extensions"]["code"] == NOT_FOUND
        await result_of(by_hash(TOTAL, query=TOTAL))
        for _ in range(3):
            assert await result_of(by_hash(TOTAL)) == {"data": {"fleet": {"total": 0}}}
