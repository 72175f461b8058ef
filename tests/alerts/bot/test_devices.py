"""Commands and buttons that show and change devices."""

import pytest

from server.settings import Settings
from tests.alerts.alert_server import CHAT, alert_server, execute, registered
from tests.alerts.bot.chat import Phone
from tests.alerts.bot.test_chats import invited
from tests.alerts.bot_api import BotApi
from tests.support.client import Api

MAC = "24:6f:28:00:50:01"


async def test_device_list_is_paged_by_buttons(api: Api, admin_chat: Phone) -> None:
    ids = [await registered(api, number) for number in range(20)]
    await admin_chat.telegram.until(
        lambda: any("Registered:" in sent.text for sent in admin_chat.alerts), 90
    )
    assert await admin_chat.says("/devices") == "Devices: 20"
    assert ids[0][:4] in admin_chat.labels[0]
    assert admin_chat.labels[0].startswith("⚪ temperature · Paris · Acme")
    await admin_chat.presses("▶")
    assert ids[8][:4] in admin_chat.labels[0]
    await admin_chat.presses("▶")
    assert ids[16][:4] in admin_chat.labels[0]
    assert "▶" not in admin_chat.labels
    await admin_chat.presses("◀")
    assert ids[8][:4] in admin_chat.labels[0]
    await admin_chat.presses("◀")
    assert ids[0][:4] in admin_chat.labels[0]
    assert "◀" not in admin_chat.labels
    assert (await admin_chat.presses("Waiting")).startswith("Devices: 0")
    assert (await admin_chat.presses("Offline")).startswith("Devices: 20")


async def test_device_list_is_searched(api: Api, admin_chat: Phone) -> None:
    await registered(api, 1, location={"place": "Rome"})
    await registered(api, 2)
    assert await admin_chat.says("/devices rome") == "Devices: 1\n🔎 rome"
    assert "shorter" in await admin_chat.says("/devices " + "x" * 30)


async def test_device_command_sends_card_and_location(api: Api, admin_chat: Phone) -> None:
    id = await registered(api, 1)
    await admin_chat.telegram.until(lambda: len(admin_chat.alerts) == 1)
    await admin_chat.says(f"/device {id}", answers=2)
    card, pin = admin_chat.replies[-2:]
    for part in (
        "temperature, Paris, Acme\n⚪ Offline",
        "Interval 60 s, QoS 1 (version 1",
        "Sensor: BME280, 1.0.0",
        "Coordinates: 48.85, 2.35",
        f"Topic: acme/paris/temperature/{id}",
    ):
        assert part in card.text
    assert pin.method == "sendLocation"
    assert (pin.parameters["latitude"], pin.parameters["longitude"]) == ("48.85", "2.35")
    assert f"<code>{id}</code>" in card.parameters["text"]


@pytest.mark.parametrize("which", [MAC, "246f28005001", "bme280"])
async def test_device_is_found_by_mac_address_or_word(
    api: Api, admin_chat: Phone, which: str
) -> None:
    id = await registered(api, 1)
    await admin_chat.telegram.until(lambda: len(admin_chat.alerts) == 1)
    await admin_chat.says(f"/device {which}", answers=2)
    assert id in admin_chat.replies[-2].text


async def test_unknown_or_ambiguous_device_is_reported(api: Api, admin_chat: Phone) -> None:
    assert await admin_chat.says(f"/device {'0' * 32}") == "Device not found. See /devices."
    assert (await admin_chat.says("/device")).startswith("Which device?")
    for number in (1, 2):
        await registered(api, number)
    await admin_chat.telegram.until(lambda: len(admin_chat.alerts) == 2)
    assert "Several devices" in await admin_chat.says("/device paris")


async def test_alert_button_shows_device(api: Api, admin_chat: Phone) -> None:
    id = await registered(api, 1)
    await admin_chat.telegram.until(lambda: len(admin_chat.alerts) == 1)
    assert admin_chat.labels == ["Show the device"]
    assert f"Id: {id}" in await admin_chat.presses("Show the device")
    assert admin_chat.replies[-1].method == "sendLocation"


async def test_config_is_changed_after_confirmation(api: Api, admin_chat: Phone) -> None:
    id = await registered(api, 1)
    await admin_chat.telegram.until(lambda: len(admin_chat.alerts) == 1)
    question = await admin_chat.says(f"/config {id} interval=5m qos=2")
    assert question == (
        "Change the config of temperature, Paris, Acme?\nInterval: 60 → 300 s\nQoS: 1 → 2\n"
        f"Id: {id}"
    )
    assert admin_chat.labels == ["✅ Change", "Cancel"]
    done = await admin_chat.presses("✅ Change")
    assert done.startswith("New config for temperature, Paris, Acme\nVersion 2")
    config = await api.ask(f'{{ config(deviceId: "{id}") {{ intervalSeconds qos updatedBy }} }}')
    assert config["config"] == {"intervalSeconds": 300, "qos": 2, "updatedBy": f"telegram:{CHAT}"}
    found = await api.ask(
        f'{{ events(filter: {{actor: "telegram:{CHAT}"}}) {{ nodes {{ kind }} }} }}'
    )
    assert found["events"]["nodes"] == [{"kind": "CONFIG_CHANGED"}]


async def test_config_change_can_be_cancelled(api: Api, admin_chat: Phone) -> None:
    id = await registered(api, 1)
    await admin_chat.telegram.until(lambda: len(admin_chat.alerts) == 1)
    await admin_chat.says(f"/config {id} qos=2")
    assert await admin_chat.presses("Cancel") == "Nothing was changed."
    assert "already" in await admin_chat.says(f"/config {id} interval=60 qos=1")


async def test_config_changed_meanwhile_is_a_conflict(api: Api, admin_chat: Phone) -> None:
    id = await registered(api, 1)
    await admin_chat.telegram.until(lambda: len(admin_chat.alerts) == 1)
    await admin_chat.says(f"/config {id} qos=2")
    await api.change("updateConfig", deviceId=id, intervalSeconds=7)
    assert "This config was changed" in await admin_chat.presses("✅ Change")
    config = await api.ask(f'{{ config(deviceId: "{id}") {{ qos version }} }}')
    assert config["config"] == {"qos": 1, "version": 2}


@pytest.mark.parametrize(
    "words",
    ["", "{id}", "{id} interval=0", "{id} interval=99999999", "{id} qos=3", "{id} qos", "{id} a=1"],
)
async def test_invalid_config_arguments_are_refused(
    api: Api, admin_chat: Phone, words: str
) -> None:
    id = await registered(api, 1)
    await admin_chat.telegram.until(lambda: len(admin_chat.alerts) == 1)
    assert (await admin_chat.says(f"/config {words}".format(id=id))).startswith(
        "What should change?"
    )


async def test_viewer_chat_can_not_change_devices(api: Api, telegram: BotApi) -> None:
    viewer = await invited(api, telegram, 31)
    id = await registered(api, 1)
    await telegram.until(lambda: len(viewer.alerts) == 1)
    assert "ADMIN" in await viewer.says(f"/config {id} qos=2")
    for data in (f"config:{id}:1:5:1", f"approve:{id}:1", f"reject:{id}:1"):
        assert "ADMIN" in await viewer.presses_data(data)
    config = await api.ask(f'{{ config(deviceId: "{id}") {{ version }} }}')
    assert config["config"]["version"] == 1


async def test_card_for_viewer_chat_has_no_ids_of_people(
    api: Api, telegram: BotApi, admin_chat: Phone
) -> None:
    viewer = await invited(api, telegram, 31)
    id = await registered(api, 1)
    await admin_chat.says(f"/config {id} qos=2")
    await admin_chat.presses("✅ Change")
    for chat, by in ((admin_chat, f"by telegram:{CHAT})"), (viewer, "by telegram)")):
        await chat.says(f"/device {id}", answers=2)
        assert by in chat.replies[-2].text


async def test_device_of_another_owner_is_not_visible(api: Api, telegram: BotApi) -> None:
    await registered(api, 2, owner="Globex")
    await execute(api.app.state.database_supervisor.services.database, "DELETE FROM devices")
    admin = await invited(api, telegram, 31, role="ADMIN", owner="Globex")
    id = await registered(api, 1)
    assert await admin.says("/devices") == "Devices: 0"
    assert await admin.says(f"/device {id}") == "Device not found. See /devices."
    assert await admin.says(f"/config {id} qos=2") == "Device not found. See /devices."
    assert await admin.presses_data(f"config:{id}:1:5:1") == "Device not found. See /devices."
    assert "Device not found. See /devices." in await admin.presses_data(f"approve:{id}:1")


@pytest.mark.parametrize(("press", "outcome"), [("Approve", "ACTIVE"), ("Reject", "REJECTED")])
async def test_pending_device_is_approved_or_rejected_by_button(
    settings: Settings, telegram: BotApi, admin_chat: Phone, press: str, outcome: str
) -> None:
    async with alert_server(settings, telegram, enrolment="approve") as api:
        await api.register(await api.key())
        [device] = (await api.ask("{ devices { nodes { id } } }"))["devices"]["nodes"]
        id = device["id"]
        await telegram.until(lambda: any("waits for approval" in s.text for s in admin_chat.alerts))
        done = await admin_chat.presses(press)
        assert f"{press[:5]}" in done
        assert f"by User {CHAT}." in done
        found = await api.ask(f'{{ device(id: "{id}") {{ state }} }}')
        assert found["device"]["state"] == outcome
        edit = admin_chat.all[-2]
        assert edit.method == "editMessageText"
        assert "reply_markup" not in edit.parameters
        alert, data = admin_chat.find(press)
        assert "no longer waits" in await admin_chat.presses_data(data, alert.message_id)
        actors = f'{{ events(filter: {{deviceId: "{id}"}}) {{ nodes {{ actor }} }} }}'
        assert f"telegram:{CHAT}" in str(await api.ask(actors))


async def test_button_of_decided_request_does_nothing(
    settings: Settings, telegram: BotApi, admin_chat: Phone
) -> None:
    async with alert_server(settings, telegram, enrolment="approve") as api:
        other = await invited(api, telegram, 55, role="ADMIN")
        await api.register(await api.key())
        for phone in (admin_chat, other):
            await telegram.until(lambda p=phone: any("waits" in s.text for s in p.alerts))
        await admin_chat.presses("Reject")
        assert "no longer waits" in await other.presses("Approve")
        [device] = (await api.ask("{ devices { nodes { state } } }"))["devices"]["nodes"]
        assert device["state"] == "REJECTED"


async def test_old_approve_button_does_not_approve_later_request(
    settings: Settings, telegram: BotApi, admin_chat: Phone
) -> None:
    async with alert_server(settings, telegram, enrolment="approve") as api:
        key = await api.key()
        token = (await api.register(key))["token"]
        await telegram.until(lambda: any("waits" in sent.text for sent in admin_chat.alerts))
        alert, old = admin_chat.find("Approve")
        await admin_chat.presses("Approve")
        await api.register(token)
        assert (await api.register(key))["outcome"] == "PENDING"
        await telegram.until(
            lambda: any("requests a new token" in s.text for s in admin_chat.alerts)
        )
        assert "no longer waits" in await admin_chat.presses_data(old, alert.message_id)
        waiting = "{ devices { nodes { awaitsApproval } } }"
        assert (await api.ask(waiting))["devices"]["nodes"] == [{"awaitsApproval": True}]
        await admin_chat.presses("Approve")
        assert (await api.ask(waiting))["devices"]["nodes"] == [{"awaitsApproval": False}]


async def test_html_in_names_is_escaped(api: Api, admin_chat: Phone) -> None:
    id = await registered(api, 1, owner="<b>A&B</b>", location={"place": "</code>"})
    await admin_chat.telegram.until(lambda: len(admin_chat.alerts) == 1)
    assert "</code>" in admin_chat.alerts[0].text
    assert (await admin_chat.says(f"/device {id}")).startswith("temperature, </code>, <b>A&B</b>")
    assert (await admin_chat.says("/devices <i>")) == "Devices: 0\n🔎 <i>"


@pytest.mark.usefixtures("api")
async def test_invalid_callback_data_is_ignored(admin_chat: Phone) -> None:
    for data in ("", "config", "config:x:y:z:1", "kind:nothing", "mute:x", "owner:x:0", "list:a:_"):
        await admin_chat.presses_data(data)
    assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"
