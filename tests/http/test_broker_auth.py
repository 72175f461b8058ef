"""Authentication and authorization of MQTT clients for a broker over HTTP, in EMQX's format."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.support.client import Api

SERVER_URL = "mqtt://rollcall:own%20secret@127.0.0.1:1"


@dataclass
class BrokerAuth:
    """A server, a device with its token, and the viewer token that the broker uses."""

    api: Api
    viewer: str
    device: dict[str, Any]
    token: str

    async def ask(self, **values: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.viewer}"}
        response = await self.api.http.post("/mqtt/auth", json=values, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    async def may(self, action: str, topic: str, username: str | None = None) -> bool:
        found = await self.ask(username=username or self.device["id"], action=action, topic=topic)
        return bool(found["result"] == "allow")


@pytest_asyncio.fixture
async def auth(settings: Settings) -> AsyncIterator[BrokerAuth]:
    async with served(changed(settings, mqtt_url=SERVER_URL)) as api:
        found = await api.register(await api.key())
        viewer = await api.key(kind="VIEWER")
        yield BrokerAuth(api, viewer, found["device"], found["token"])


async def test_connect_is_allowed_only_with_matching_credentials(auth: BrokerAuth) -> None:
    id = auth.device["id"]
    other = "0" * 32
    for username, password, clientid, result in (
        (id, auth.token, id, "allow"),
        (id, auth.token, "anything", "allow"),
        (id, auth.token, other, "deny"),
        (id, "wrong", id, "deny"),
        (other, auth.token, other, "deny"),
        ("admin", ADMIN, "explorer", "allow"),
        ("admin", ADMIN, id, "deny"),
        ("admin", auth.token, "explorer", "deny"),
        ("admin", auth.viewer, "explorer", "deny"),
        ("", "", "", "deny"),
    ):
        found = await auth.ask(username=username, password=password, clientid=clientid)
        assert found == {"result": result, "is_superuser": False}, username
    assert await auth.ask(username="rollcall", password="own secret") == {
        "result": "allow",
        "is_superuser": True,
    }
    assert (await auth.ask(username="rollcall", password="x"))["result"] == "deny"


async def test_topic_rights_of_device_and_admin(auth: BrokerAuth) -> None:
    topics = auth.device["topics"]
    for action, topic, expected in (
        ("publish", topics["data"], True),
        ("publish", topics["state"], True),
        ("publish", topics["config"], False),
        ("publish", "acme/paris/temperature/1", False),
        ("subscribe", topics["config"], True),
        ("subscribe", topics["data"], False),
        ("subscribe", "#", False),
    ):
        assert await auth.may(action, topic) is expected, (action, topic)
    await auth.api.change("linkDevice", listenerId=auth.device["id"], place="Rome")
    assert await auth.may("subscribe", "acme/rome/+/+")
    assert await auth.may("subscribe", "#", "admin")
    assert not await auth.may("publish", "x", "admin")
    assert not await auth.may("subscribe", "#", "admin-x")
    await auth.api.change("deleteDevice", id=auth.device["id"])
    assert not await auth.may("publish", topics["data"])


async def test_owner_admin_may_subscribe_only_to_topics_of_that_owner(auth: BrokerAuth) -> None:
    made = await auth.api.change(
        "createToken", fields="secret token { id }", kind="ADMIN", owner="Acme"
    )
    name = f"admin-{made['token']['id']}"
    assert (await auth.ask(username=name, password=made["secret"]))["result"] == "allow"
    # The user name "admin" without an id is for fleet-wide tokens.
    assert (await auth.ask(username="admin", password=made["secret"]))["result"] == "deny"
    assert await auth.may("subscribe", "acme/#", name)
    assert not await auth.may("subscribe", "#", name)


@pytest.mark.parametrize("url", ["mqtts://rollcall@127.0.0.1:1", "mqtt://rollcall:@127.0.0.1:1"])
async def test_mqtt_url_without_password_denies_server_account(
    settings: Settings, url: str
) -> None:
    async with served(changed(settings, mqtt_url=url)) as api:
        headers = {"Authorization": f"Bearer {await api.key(kind='VIEWER')}"}
        for password in ("", "rollcall"):
            body = {"username": "rollcall", "password": password}
            response = await api.http.post("/mqtt/auth", json=body, headers=headers)
            assert response.json() == {"result": "deny", "is_superuser": False}


@pytest.mark.parametrize("kind", [None, "ENROL", "owner"])
async def test_auth_request_requires_fleet_wide_token(auth: BrokerAuth, kind: str | None) -> None:
    headers = {}
    if kind:
        values = {"kind": "VIEWER", "owner": "Acme"} if kind == "owner" else {"kind": kind}
        headers = {"Authorization": f"Bearer {await auth.api.key(**values)}"}
    body = {"username": auth.device["id"], "password": auth.token}
    response = await auth.api.http.post("/mqtt/auth", json=body, headers=headers)
    assert response.status_code == 401


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"action": "eat"}', b"\xff", b"[" * 9_000, b"x" * 20_000]
)
async def test_malformed_auth_request_is_rejected(auth: BrokerAuth, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {auth.viewer}"}
    response = await auth.api.http.post("/mqtt/auth", content=body, headers=headers)
    assert response.status_code in (400, 413)
