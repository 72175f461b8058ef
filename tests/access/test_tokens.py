"""Admin tokens, viewer tokens and enrolment keys."""

from datetime import UTC, datetime, timedelta

import pytest

from db.postgres.database import Database
from db.tables.tokens import TokenRow
from tests.support.client import Api
from tests.support.events import events_of


async def test_created_token_is_in_neither_token_list_nor_event(
    api: Api, database: Database
) -> None:
    secret = await api.key(note="for the lab")
    listed = await api.post("{ tokens { nodes { id kind note createdBy } } }", api.admin)
    assert secret not in listed.text
    assert "for the lab" in listed.text
    events = await events_of(database, "token_created")
    assert events[-1].after is not None
    assert events[-1].after["note"] == "for the lab"
    assert all(secret not in str(event.after) for event in events)


async def test_revoked_token_is_rejected_at_once(api: Api, database: Database) -> None:
    made = await api.change("createToken", fields="secret token { id }", kind="VIEWER")
    assert (await api.post("{ devices { totalCount } }", made["secret"])).status_code == 200
    for _ in range(2):
        payload = await api.change(
            "revokeToken", fields="token { revokedAt }", id=made["token"]["id"]
        )
        assert payload["token"]["revokedAt"]
    response = await api.post("{ devices { totalCount } }", made["secret"])
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "revoked" in response.text
    assert len(await events_of(database, "token_revoked")) == 1


async def test_expired_token_is_rejected(api: Api, database: Database) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    made = await api.change(
        "createToken", fields="secret token { id expiresAt }", kind="VIEWER", expiresAt=soon
    )
    assert (await api.post("{ devices { totalCount } }", made["secret"])).status_code == 200
    async with database.transaction() as session:
        token = await session.get_one(TokenRow, int(made["token"]["id"]))
        token.expires_at = datetime.now(UTC)
    response = await api.post("{ devices { totalCount } }", made["secret"])
    assert response.status_code == 401
    assert "expired" in response.text


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"kind": "DEVICE"}, None),
        ({"kind": "VIEWER", "maxUses": 3}, None),
        ({"kind": "ENROL", "maxUses": 0}, "maxUses"),
        ({"kind": "ENROL", "expiresAt": "2020-01-01T00:00:00Z"}, "expiresAt"),
        ({"kind": "ENROL", "note": "x" * 201}, "note"),
    ],
)
async def test_create_token_with_invalid_input_is_rejected(
    api: Api, values: dict[str, object], field: str | None
) -> None:
    payload = await api.change("createToken", fields="secret", **values)
    assert payload["secret"] is None
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [("INVALID", field)]


@pytest.mark.parametrize("id", ["999", "-1", "x", "9" * 30, "", "\x00", "²"])
async def test_revoke_unknown_token_is_not_found(api: Api, id: str) -> None:
    payload = await api.change("revokeToken", id=id)
    assert [(e["code"], e["field"]) for e in payload["errors"]] == [("NOT_FOUND", "id")]


async def test_last_admin_token_can_not_be_revoked(api: Api) -> None:
    listed = await api.ask("{ tokens(kind: ADMIN) { nodes { id } } }")
    [token] = listed["tokens"]["nodes"]
    payload = await api.change("revokeToken", id=token["id"])
    assert payload["errors"][0]["code"] == "CONFLICT"


async def test_token_list_is_paged(api: Api) -> None:
    for _ in range(4):
        await api.key()
    query = "query ($after: String) { tokens(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"  # noqa: E501
    seen: list[str] = []
    after = None
    while True:
        page = (await api.ask(query, after=after))["tokens"]
        seen += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert len(seen) == len(set(seen)) == 6
