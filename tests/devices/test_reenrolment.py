"""registerDevice: enrolment policies, re-enrolment of known devices, approval and rejection."""

from server.settings import Settings
from tests.conftest import changed, served
from tests.support.client import BENCH, REGISTER, Api


async def test_register_known_device_with_same_key_renews_token(api: Api) -> None:
    key = await api.key()
    lost = (await api.register(key))["token"]
    answer = await api.register(key)
    assert answer["outcome"] == "RENEWED"
    assert (await api.post(REGISTER, lost, input=BENCH)).status_code == 401
    assert (await api.register(answer["token"]))["outcome"] == "KNOWN"


async def test_register_known_device_with_another_key_is_pending(api: Api) -> None:
    first = await api.register(await api.key())
    second = await api.register(await api.key())
    assert second["outcome"] == "PENDING"
    assert second["device"] is None
    assert (await api.register(first["token"]))["outcome"] == "KNOWN"


async def test_register_device_with_used_token_by_key_is_pending(api: Api) -> None:
    key = await api.key()
    first = await api.register(key)
    used_token = first["token"]
    await api.register(used_token)

    second = await api.register(key)
    assert second["outcome"] == "PENDING"
    assert second["retryAfterSeconds"] > 0
    assert second["device"] is None

    pending_token = second["token"]
    assert await api.code("{ me { id } }", pending_token) == "FORBIDDEN"
    assert (await api.register(pending_token))["outcome"] == "PENDING"
    assert (await api.register(used_token))["outcome"] == "KNOWN"

    listed = await api.ask("{ devices(filter: {awaitsApproval: true}) { nodes { id state } } }")
    assert listed["devices"]["nodes"] == [{"id": first["device"]["id"], "state": "ACTIVE"}]


async def test_approved_token_replaces_old_token_at_first_use(api: Api) -> None:
    key = await api.key()
    first = await api.register(key)
    used_token = first["token"]
    await api.register(used_token)
    pending_token = (await api.register(key))["token"]
    payload = await api.change(
        "approveDevice", fields="device { awaitsApproval }", id=first["device"]["id"]
    )
    assert payload["device"] == {"awaitsApproval": False}
    assert (await api.register(used_token))["outcome"] == "KNOWN"
    assert (await api.register(pending_token))["outcome"] == "KNOWN"
    assert (await api.post("{ me { id } }", used_token)).status_code == 401


async def test_rejected_reenrolment_keeps_old_token(api: Api) -> None:
    key = await api.key()
    first = await api.register(key)
    used_token, id = first["token"], first["device"]["id"]
    await api.register(used_token)
    pending_token = (await api.register(key))["token"]
    assert (await api.change("rejectDevice", id=id))["errors"] == []
    assert (await api.post("{ me { id } }", pending_token)).status_code == 401
    assert (await api.register(key))["outcome"] == "REJECTED"
    assert (await api.register(used_token))["outcome"] == "KNOWN"
    assert (await api.change("approveDevice", id=id))["errors"] == []
    assert (await api.register(key))["outcome"] == "PENDING"


async def test_policy_approve_requires_approval(settings: Settings) -> None:
    async with served(changed(settings, enrolment="approve")) as api:
        key = await api.key()
        first = await api.register(key)
        assert (first["outcome"], first["device"]) == ("PENDING", None)
        again = await api.register(key)
        assert (await api.post(REGISTER, first["token"], input=BENCH)).status_code == 401
        pending_token = again["token"]
        [device] = (
            await api.ask("{ devices(filter: {state: PENDING}) { nodes { id awaitsApproval } } }")
        )["devices"]["nodes"]
        assert device["awaitsApproval"]
        for field in ("me", f'device(id: "{device["id"]}")', f'config(deviceId: "{device["id"]}")'):
            selection = "version" if field.startswith("config") else "id"
            assert await api.code(f"{{ {field} {{ {selection} }} }}", pending_token) == "FORBIDDEN"
        await api.change("approveDevice", id=device["id"])
        answer = await api.register(pending_token)
        assert answer["outcome"] == "KNOWN"
        assert answer["device"]["state"] == "ACTIVE"


async def test_rejected_device_is_rejected_until_approved(settings: Settings) -> None:
    async with served(changed(settings, enrolment="approve")) as api:
        key = await api.key()
        pending_token = (await api.register(key))["token"]
        [device] = (await api.ask("{ devices { nodes { id } } }"))["devices"]["nodes"]
        payload = await api.change("rejectDevice", fields="device { state }", id=device["id"])
        assert payload["device"]["state"] == "REJECTED"
        assert (await api.post(REGISTER, pending_token, input=BENCH)).status_code == 401
        assert (await api.register(key))["outcome"] == "REJECTED"
        await api.change("approveDevice", id=device["id"])
        assert (await api.register(key))["outcome"] == "PENDING"


async def test_policy_open_needs_no_key(settings: Settings) -> None:
    async with served(changed(settings, enrolment="open")) as api:
        response = await api.post(REGISTER, None, input=BENCH)
        answer = response.json()["data"]["registerDevice"]
        assert answer["outcome"] == "CREATED"
        assert (await api.register(answer["token"]))["outcome"] == "KNOWN"
        second = (await api.post(REGISTER, None, input=BENCH)).json()["data"]["registerDevice"]
        assert second["outcome"] == "PENDING"
        assert await api.code("{ devices { totalCount } }", None) == "UNAUTHENTICATED"


async def test_reenrolment_allow_renews_token(settings: Settings) -> None:
    async with served(changed(settings, reenrolment="allow")) as api:
        key = await api.key()
        used_token = (await api.register(key))["token"]
        await api.register(used_token)
        answer = await api.register(key)
        assert answer["outcome"] == "RENEWED"
        assert (await api.register(used_token))["outcome"] == "KNOWN"
        await api.register(answer["token"])
        assert (await api.post("{ me { id } }", used_token)).status_code == 401
