"""Attempts to take a device's place with an enrolment key and the device's MAC address."""

from typing import Any

import pytest

from db.postgres.database import Database
from server.settings import Settings
from tests.alerts.alert_server import rows
from tests.conftest import ADMIN, changed, served
from tests.devices.requests import BENCH_ID, ask_from, open_requests, used_device
from tests.support.client import REGISTER, Api
from tests.support.events import events_of

ME = "{ me { id } }"
OTHER = "24:6f:28:00:00:09"


async def test_later_request_does_not_replace_the_pending_token(settings: Settings) -> None:
    """The administrator approves the device's request, not the last one."""
    async with served(changed(settings, enrolment="approve")) as api:
        key = await api.key()
        device = await ask_from(api, "10.0.0.1", key)
        attacker = await ask_from(api, "10.6.6.6", key)
        assert (await api.register(device["token"]))["outcome"] == "PENDING"
        [refused] = (await api.change("approveDevice", id=BENCH_ID))["errors"]
        assert refused["code"] == "CONFLICT"
        [own] = [each for each in await open_requests(api) if each["address"] == "10.0.0.1"]
        await api.change("approveDevice", id=BENCH_ID, request=own["id"])
        assert (await api.register(device["token"]))["outcome"] == "KNOWN"
        assert (await api.post(REGISTER, attacker["token"])).status_code == 401


@pytest.mark.parametrize("enrolment", ["approve", "open"])
async def test_key_does_not_get_approved_token(settings: Settings, enrolment: str) -> None:
    """The attacker asks again and again until the device's request is approved."""
    async with served(changed(settings, enrolment=enrolment)) as api:
        key = await api.key() if enrolment == "approve" else None
        if enrolment == "open":
            await api.register(ADMIN)
        device = await ask_from(api, "10.0.0.1", key)
        await ask_from(api, "10.6.6.6", key)
        [own] = [each for each in await open_requests(api) if each["address"] == "10.0.0.1"]
        await api.change("approveDevice", id=BENCH_ID, request=own["id"])
        assert (await ask_from(api, "10.6.6.6", key))["outcome"] == "PENDING"
        assert (await api.register(device["token"]))["outcome"] == "KNOWN"


async def test_key_does_not_get_device_that_administrator_registered(api: Api) -> None:
    made = await api.register(ADMIN)
    attacker = await api.register(await api.key())
    assert (attacker["outcome"], attacker["device"]) == ("PENDING", None)
    assert await api.code(ME, attacker["token"]) == "FORBIDDEN"
    assert (await api.register(ADMIN))["outcome"] == "RENEWED"
    assert (await api.post(ME, made["token"])).status_code == 401


async def test_key_does_not_get_rotated_token(api: Api) -> None:
    key = await api.key()
    await api.register(key)
    rotated = await api.change("rotateDeviceToken", fields="token", id=BENCH_ID)
    assert (await api.register(key))["outcome"] == "PENDING"
    assert (await api.post(ME, rotated["token"])).status_code == 200


@pytest.mark.parametrize("registered_by", ["anonymous", "key", "admin"])
async def test_open_policy_renews_only_anonymous_registrations(
    settings: Settings, registered_by: str
) -> None:
    async with served(changed(settings, enrolment="open")) as api:
        tokens = {"anonymous": None, "key": await api.key(), "admin": ADMIN}
        await ask_from(api, "10.0.0.1", tokens[registered_by])
        answer = await ask_from(api, "10.0.0.1", None)
        renewed = registered_by == "anonymous"
        assert answer["outcome"] == ("RENEWED" if renewed else "PENDING")
        by_key = await ask_from(api, "10.0.0.1", tokens["key"])
        assert by_key["outcome"] == ("RENEWED" if registered_by == "key" else "PENDING")


async def same_answers(api: Api, own: dict[str, Any], foreign: dict[str, Any]) -> None:
    """The answers differ in their tokens only, and the tokens have no rights."""
    tokens = [answer.pop("token") for answer in (own, foreign)]
    assert own == foreign
    assert (tokens[0] is None) is (tokens[1] is None)
    for token in filter(None, tokens):
        assert await api.code(ME, token) == "FORBIDDEN"


async def test_key_does_not_learn_that_device_has_another_owner(api: Api) -> None:
    """Nor by the limit of requests, nor by what follows a rejection."""
    await used_device(api)
    await used_device(api, mac=OTHER, owner="Globex")
    key = await api.key(owner="Globex")
    for number in range(7):
        address = f"10.0.0.{number % 6}"
        foreign = await ask_from(api, address, key, owner="Globex")
        own = await ask_from(api, address, key, owner="Globex", mac=OTHER)
        assert (own["outcome"], own["errors"]) == ("PENDING", [])
        assert own["retryAfterSeconds"] > 0
        await same_answers(api, own, foreign)
    for device in (await api.ask("{ devices { nodes { id } } }"))["devices"]["nodes"]:
        assert (await api.change("rejectDevice", id=device["id"]))["errors"] == []
    foreign = await ask_from(api, "10.0.0.1", key, owner="Globex")
    own = await ask_from(api, "10.0.0.1", key, owner="Globex", mac=OTHER)
    assert own["outcome"] == "REJECTED"
    await same_answers(api, own, foreign)


async def test_foreign_request_uses_the_same_statements(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(settings) as api:
        await used_device(api)
        await used_device(api, mac=OTHER, owner="Globex")
        key = await api.key(owner="Globex")
        writes = api.app.state.database_supervisor.services.writes
        calls: list[str] = []
        for name in ("create_device", "issue_token", "request_approval"):
            monkeypatch.setattr(writes, name, recorded(name, getattr(writes, name), calls))
        await ask_from(api, "10.0.0.1", key, owner="Globex", mac=OTHER)
        own, calls[:] = [*calls], []
        await ask_from(api, "10.0.0.1", key, owner="Globex")
        assert calls == own
        assert calls[-1] == "request_approval"


def recorded(name: str, method: Any, calls: list[str]) -> Any:
    async def call(*arguments: Any) -> Any:
        calls.append(name)
        return await method(*arguments)

    return call


async def test_foreign_request_is_for_administrators_without_owner(
    api: Api, database: Database
) -> None:
    token = await used_device(api)
    answer = await api.register(await api.key(owner="Globex"), owner=None)
    assert answer["outcome"] == "PENDING"
    [request] = await open_requests(api)
    assert request["foreignOwner"]
    assert request["key"]
    query = (
        "{ devices { nodes { awaitsApproval enrolmentRequests { id } } } "
        "events { nodes { kind actor } } tokens(kind: DEVICE) { nodes { createdBy } } }"
    )
    for owner in ("Acme", "Globex"):
        admin = await api.key(kind="ADMIN", owner=owner)
        assert await open_requests(api, admin) == []
        found = await api.ask(query, admin)
        for device in found["devices"]["nodes"]:
            assert device == {"awaitsApproval": False, "enrolmentRequests": []}
        kinds = {event["kind"] for event in found["events"]["nodes"]}
        assert "ENROLMENT_REQUESTED" not in kinds
        assert len(found["tokens"]["nodes"]) == (owner == "Acme")
        for mutation in ("approveDevice", "rejectDevice"):
            payload = await api.change(mutation, admin, id=BENCH_ID, request=request["id"])
            assert payload["errors"]
        payload = await api.change("approveDevice", admin, id=BENCH_ID)
        assert payload["errors"]
        [(pending,)] = await rows(database, "SELECT id FROM tokens WHERE waiting")
        revoked = await api.change("revokeToken", admin, id=str(pending))
        assert [error["code"] for error in revoked["errors"]] == ["NOT_FOUND"]
    [event] = await events_of(database, "enrolment_requested")
    assert (event.owner_id, event.device_id) == (None, BENCH_ID)
    assert (await api.register(token))["outcome"] == "KNOWN"
    assert len(await open_requests(api)) == 1


async def test_approved_foreign_request_keeps_owner(api: Api, database: Database) -> None:
    token = await used_device(api)
    answer = await api.register(await api.key(owner="Globex"), owner=None)
    assert (await api.change("approveDevice", id=BENCH_ID))["errors"] == []
    approved = await api.register(answer["token"])
    assert (approved["outcome"], approved["device"]["owner"]) == ("KNOWN", "Acme")
    assert (await api.post(ME, token)).status_code == 401
    [event] = await events_of(database, "device_approved")
    assert event.owner_id is None


async def test_rejected_foreign_request_does_not_refuse_keys_of_the_owner(api: Api) -> None:
    await used_device(api)
    foreign = await api.key(owner="Globex")
    await api.register(foreign, owner=None)
    assert (await api.change("rejectDevice", id=BENCH_ID))["errors"] == []
    assert (await api.register(foreign, owner=None))["outcome"] == "REJECTED"
    assert (await api.register(await api.key(owner="Acme")))["outcome"] == "PENDING"
    assert (await api.change("approveDevice", id=BENCH_ID))["errors"] == []
    assert (await api.change("approveDevice", id=BENCH_ID))["errors"] == []
    assert (await api.register(foreign, owner=None))["outcome"] == "PENDING"


async def test_foreign_requests_do_not_keep_out_those_of_the_owner(api: Api) -> None:
    await used_device(api)
    foreign = await api.key(owner="Globex")
    for number in range(6):
        await ask_from(api, f"10.6.6.{number}", foreign, owner=None)
    own = await ask_from(api, "10.0.0.1", await api.key(owner="Acme"))
    assert own["token"]
    assert len(await open_requests(api)) == 6
    admin = await api.key(kind="ADMIN", owner="Acme")
    [shown] = await open_requests(api, admin)
    assert not shown["conflict"]
    assert (await api.change("approveDevice", admin, id=BENCH_ID))["errors"] == []
    assert (await api.register(own["token"]))["outcome"] == "KNOWN"
    assert await open_requests(api) == []


async def test_rejected_device_refuses_every_key_alike(settings: Settings) -> None:
    async with served(changed(settings, enrolment="approve")) as api:
        key = await api.key()
        await api.register(key)
        await api.change("rejectDevice", id=BENCH_ID)
        for other in (key, await api.key(), await api.key(owner="Acme")):
            assert (await api.register(other))["outcome"] == "REJECTED"
        assert (await api.register(await api.key(owner="Globex"), owner=None))["outcome"] == (
            "REJECTED"
        )


async def test_foreign_key_is_not_trusted_with_reenrolment_allow(settings: Settings) -> None:
    async with served(changed(settings, reenrolment="allow")) as api:
        await used_device(api)
        assert (await api.register(await api.key(owner="Acme")))["outcome"] == "RENEWED"
        assert (await api.register(await api.key(owner="Globex"), owner=None))["outcome"] == (
            "PENDING"
        )


async def test_new_owner_sees_requests_of_its_keys(api: Api) -> None:
    await used_device(api)
    acme, globex = await api.key(owner="Acme"), await api.key(owner="Globex")
    await ask_from(api, "10.0.0.1", acme)
    await ask_from(api, "10.0.0.2", globex, owner=None)
    await api.change("updateDevice", id=BENCH_ID, owner="Globex")
    found = {each["address"]: each["foreignOwner"] for each in await open_requests(api)}
    assert found == {"10.0.0.1": True, "10.0.0.2": False}
    admin = await api.key(kind="ADMIN", owner="Globex")
    [shown] = await open_requests(api, admin)
    assert shown["address"] == "10.0.0.2"
    assert shown["key"]
