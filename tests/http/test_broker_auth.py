"""A broker that asks over HTTP, in the words of EMQX."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from server.settings import Settings
from tests.conftest import ADMIN, changed, served
from tests.support.client import Api

OWN = "mqtt://rollcall:own%20secret@127.0.0.1:1"


@dataclass
class Asked:
    """A server, a device with its token, and the viewer's token by which the broker asks."""

    api: Api
    viewer: str
    device: dict[str, Any]
    token: str

    async def ask(self, **values: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.viewer}"}
        answer = await self.api.http.post("/mqtt/auth", json=values, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def may(self, action: str, topic: str, username: str | None = None) -> bool:
        found = await self.ask(username=username or self.device["id"], action=action, topic=topic)
        return bool(found["result"] == "allow")


@pytest_asyncio.fixture
async def asked(settings: Settings) -> AsyncIterator[Asked]:
    async with served(changed(settings, mqtt_url=OWN)) as api:
        found = await api.register(await api.key())
        viewer = await api.key(kind="VIEWER")
        yield Asked(api, viewer, found["device"], found["token"])


async def test_who_may_connect(asked: Asked) -> None:
    id = asked.device["id"]
    other = "0" * 32
    for username, password, clientid, result in (
        (id, asked.token, id, "allow"),
        (id, asked.token, "anything", "allow"),
        (id, asked.token, other, "deny"),
        (id, "wrong", id, "deny"),
        (other, asked.token, other, "deny"),
        ("admin", ADMIN, "explorer", "allow"),
        ("admin", ADMIN, id, "deny"),
        ("admin", asked.token, "explorer", "deny"),
        ("admin", asked.viewer, "explorer", "deny"),
        ("", "", "", "deny"),
    ):
        found = await asked.ask(username=username, password=password, clientid=clientid)
        assert found == {"result": result, "is_superuser": False}, username
    assert await asked.ask(username="rollcall", password="own secret") == {
        "result": "allow",
        "is_superuser": True,
    }
    assert (await asked.ask(username="rollcall", password="x"))["result"] == "deny"


async def test_what_for(asked: Asked) -> None:
    topics = asked.device["topics"]
    for action, topic, expected in (
        ("publish", topics["data"], True),
        ("publish", topics["state"], True),
        ("publish", topics["config"], False),
        ("publish", "acme/paris/temperature/1", False),
        ("subscribe", topics["config"], True),
        ("subscribe", topics["data"], False),
        ("subscribe", "#", False),
    ):
        assert await asked.may(action, topic) is expected, (action, topic)
    await asked.api.change("linkDevice", listenerId=asked.device["id"], place="Rome")
    assert await asked.may("subscribe", "acme/rome/+/+")
    assert await asked.may("subscribe", "#", "admin")
    assert not await asked.may("publish", "x", "admin")
    assert not await asked.may("subscribe", "#", "admin-x")
    await asked.api.change("deleteDevice", id=asked.device["id"])
    assert not await asked.may("publish", topics["data"])


async def test_an_owners_administrator_sees_that_tree(asked: Asked) -> None:
    made = await asked.api.change(
        "createToken", fields="secret token { id }", kind="ADMIN", owner="Acme"
    )
    name = f"admin-{made['token']['id']}"
    assert (await asked.ask(username=name, password=made["secret"]))["result"] == "allow"
    # The name alone stands for the whole fleet.
    assert (await asked.ask(username="admin", password=made["secret"]))["result"] == "deny"
    assert await asked.may("subscribe", "acme/#", name)
    assert not await asked.may("subscribe", "#", name)


@pytest.mark.parametrize("url", ["mqtts://rollcall@127.0.0.1:1", "mqtt://rollcall:@127.0.0.1:1"])
async def test_a_server_without_a_password_has_none_to_guess(settings: Settings, url: str) -> None:
    async with served(changed(settings, mqtt_url=url)) as api:
        headers = {"Authorization": f"Bearer {await api.key(kind='VIEWER')}"}
        for password in ("", "rollcall"):
            body = {"username": "rollcall", "password": password}
            answer = await api.http.post("/mqtt/auth", json=body, headers=headers)
            assert answer.json() == {"result": "deny", "is_superuser": False}


@pytest.mark.parametrize("kind", [None, "ENROL", "owner"])
async def test_only_who_sees_the_whole_fleet_may_ask(asked: Asked, kind: str | None) -> None:
    headers = {}
    if kind:
        values = {"kind": "VIEWER", "owner": "Acme"} if kind == "owner" else {"kind": kind}
        headers = {"Authorization": f"Bearer {await asked.api.key(**values)}"}
    body = {"username": asked.device["id"], "password": asked.token}
    answer = await asked.api.http.post("/mqtt/auth", json=body, headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"action": "eat"}', b"\xff", b"[" * 9_000, b"x" * 20_000]
)
async def test_another_shape(asked: Asked, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {asked.viewer}"}
    answer = await asked.api.http.post("/mqtt/auth", content=body, headers=headers)
    assert answer.status_code in (400, 413)
