"""Devices, looked at and changed from a chat."""

import pytest

from server.settings import Settings
from tests.alerts.alerted import CHAT, alerted, registered, rows_changed
from tests.alerts.bot.chat import Phone
from tests.alerts.bot.test_chats import invited
from tests.alerts.bot_api import BotApi
from tests.support.client import Api

MAC = "24:6f:28:00:50:01"


async def test_a_list_to_leaf_through(api: Api, boss: Phone) -> None:
    ids = [await registered(api, number) for number in range(20)]
    await boss.telegram.until(lambda: any("registered" in sent.text for sent in boss.told), 90)
    assert await boss.says("/devices") == "Devices: 20"
    assert ids[0][:4] in boss.labels[0]
    assert boss.labels[0].startswith("⚪ temperature · Paris · Acme")
    await boss.presses("▶")
    assert ids[8][:4] in boss.labels[0]
    await boss.presses("▶")
    assert ids[16][:4] in boss.labels[0]
    assert "▶" not in boss.labels
    await boss.presses("◀")
    assert ids[8][:4] in boss.labels[0]
    await boss.presses("◀")
    assert ids[0][:4] in boss.labels[0]
    assert "◀" not in boss.labels
    assert (await boss.presses("Waiting")).startswith("Devices: 0")
    assert (await boss.presses("Offline")).startswith("Devices: 20")


async def test_a_list_of_what_is_looked_for(api: Api, boss: Phone) -> None:
    await registered(api, 1, location={"place": "Rome"})
    await registered(api, 2)
    assert await boss.says("/devices rome") == "Devices: 1\n🔎 rome"
    assert "shorter" in await boss.says("/devices " + "x" * 30)


async def test_one_device_with_its_place_on_the_map(api: Api, boss: Phone) -> None:
    id = await registered(api, 1)
    await boss.telegram.until(lambda: len(boss.told) == 1)
    await boss.says(f"/device {id}", answers=2)
    card, pin = boss.heard[-2:]
    for part in (
        "temperature, Paris, Acme\n⚪ Offline",
        "Sends each 60 s, QoS 1 (version 1",
        "Sensor: BME280, 1.0.0",
        "Coordinates: 48.85, 2.35",
        f"Topic: acme/paris/temperature/{id}",
    ):
        assert part in card.text
    assert pin.method == "sendLocation"
    assert (pin.parameters["latitude"], pin.parameters["longitude"]) == ("48.85", "2.35")
    assert f"<code>{id}</code>" in card.parameters["text"]


@pytest.mark.parametrize("which", [MAC, "246f28005001", "bme280"])
async def test_a_device_by_its_mac_address_or_a_word(api: Api, boss: Phone, which: str) -> None:
    id = await registered(api, 1)
    await boss.telegram.until(lambda: len(boss.told) == 1)
    await boss.says(f"/device {which}", answers=2)
    assert id in boss.heard[-2].text


async def test_a_device_that_is_not_there(api: Api, boss: Phone) -> None:
    assert await boss.says(f"/device {'0' * 32}") == "There is no such device."
    assert (await boss.says("/device")).startswith("Which device?")
    for number in (1, 2):
        await registered(api, number)
    await boss.telegram.until(lambda: len(boss.told) == 2)
    assert "Several devices" in await boss.says("/device paris")


async def test_an_alert_leads_to_its_device(api: Api, boss: Phone) -> None:
    id = await registered(api, 1)
    await boss.telegram.until(lambda: len(boss.told) == 1)
    assert boss.labels == ["Show the device"]
    assert f"Id: {id}" in await boss.presses("Show the device")
    assert boss.heard[-1].method == "sendLocation"


async def test_a_config_is_changed_after_a_question(api: Api, boss: Phone) -> None:
    id = await registered(api, 1)
    await boss.telegram.until(lambda: len(boss.told) == 1)
    question = await boss.says(f"/config {id} interval=5m qos=2")
    assert question == (
        "Change the config of temperature, Paris, Acme?\nInterval: 60 → 300 s\nQoS: 1 → 2\n"
        f"Id: {id}"
    )
    assert boss.labels == ["✅ Change it", "Leave it"]
    done = await boss.presses("Change it")
    assert done.startswith("New config for temperature, Paris, Acme\nVersion 2")
    config = await api.ask(f'{{ config(deviceId: "{id}") {{ intervalSeconds qos updatedBy }} }}')
    assert config["config"] == {"intervalSeconds": 300, "qos": 2, "updatedBy": f"telegram:{CHAT}"}
    found = await api.ask(
        f'{{ events(filter: {{actor: "telegram:{CHAT}"}}) {{ nodes {{ kind }} }} }}'
    )
    assert found["events"]["nodes"] == [{"kind": "CONFIG_CHANGED"}]


async def test_a_config_is_left_as_it_is(api: Api, boss: Phone) -> None:
    id = await registered(api, 1)
    await boss.telegram.until(lambda: len(boss.told) == 1)
    await boss.says(f"/config {id} qos=2")
    assert await boss.presses("Leave it") == "Nothing was changed."
    assert "already" in await boss.says(f"/config {id} interval=60 qos=1")


async def test_a_config_that_somebody_else_changed_meanwhile(api: Api, boss: Phone) -> None:
    id = await registered(api, 1)
    await boss.telegram.until(lambda: len(boss.told) == 1)
    await boss.says(f"/config {id} qos=2")
    await api.change("updateConfig", deviceId=id, intervalSeconds=7)
    assert "Somebody has changed this config" in await boss.presses("Change it")
    config = await api.ask(f'{{ config(deviceId: "{id}") {{ qos version }} }}')
    assert config["config"] == {"qos": 1, "version": 2}


@pytest.mark.parametrize(
    "words",
    ["", "{id}", "{id} interval=0", "{id} interval=99999999", "{id} qos=3", "{id} qos", "{id} a=1"],
)
async def test_a_config_that_can_not_be(api: Api, boss: Phone, words: str) -> None:
    id = await registered(api, 1)
    await boss.telegram.until(lambda: len(boss.told) == 1)
    assert (await boss.says(f"/config {words}".format(id=id))).startswith("What shall change?")


async def test_a_viewers_chat_changes_nothing(api: Api, telegram: BotApi) -> None:
    viewer = await invited(api, telegram, 31)
    id = await registered(api, 1)
    await telegram.until(lambda: len(viewer.told) == 1)
    assert "ADMIN" in await viewer.says(f"/config {id} qos=2")
    for data in (f"config:{id}:1:5:1", f"approve:{id}:1", f"reject:{id}:1"):
        assert "ADMIN" in await viewer.presses_data(data)
    config = await api.ask(f'{{ config(deviceId: "{id}") {{ version }} }}')
    assert config["config"]["version"] == 1


async def test_another_owners_device_does_not_exist(api: Api, telegram: BotApi) -> None:
    await registered(api, 2, owner="Globex")
    await rows_changed(api.app.state.database_supervisor.services.database, "DELETE FROM devices")
    admin = await invited(api, telegram, 31, role="ADMIN", owner="Globex")
    id = await registered(api, 1)
    assert await admin.says("/devices") == "Devices: 0"
    assert await admin.says(f"/device {id}") == "There is no such device."
    assert await admin.says(f"/config {id} qos=2") == "There is no such device."
    assert await admin.presses_data(f"config:{id}:1:5:1") == "There is no such device."
    assert "There is no such device." in await admin.presses_data(f"approve:{id}:1")


@pytest.mark.parametrize(("press", "outcome"), [("Approve", "ACTIVE"), ("Reject", "REJECTED")])
async def test_a_waiting_device_is_decided_by_a_press(
    settings: Settings, telegram: BotApi, boss: Phone, press: str, outcome: str
) -> None:
    async with alerted(settings, telegram, enrolment="approve") as api:
        await api.register(await api.key())
        [device] = (await api.ask("{ devices { nodes { id } } }"))["devices"]["nodes"]
        id = device["id"]
        await telegram.until(lambda: any("waits for approval" in s.text for s in boss.told))
        done = await boss.presses(press)
        assert f"{press[:5]}" in done
        assert f"by User {CHAT}." in done
        found = await api.ask(f'{{ device(id: "{id}") {{ state }} }}')
        assert found["device"]["state"] == outcome
        edit = boss.all[-2]
        assert edit.method == "editMessageText"
        assert "reply_markup" not in edit.parameters
        alert, data = boss.find(press)
        assert "does not wait any more" in await boss.presses_data(data, alert.message_id)
        actors = f'{{ events(filter: {{deviceId: "{id}"}}) {{ nodes {{ actor }} }} }}'
        assert f"telegram:{CHAT}" in str(await api.ask(actors))


async def test_what_one_has_rejected_another_can_not_approve_by_its_button(
    settings: Settings, telegram: BotApi, boss: Phone
) -> None:
    async with alerted(settings, telegram, enrolment="approve") as api:
        other = await invited(api, telegram, 55, role="ADMIN")
        await api.register(await api.key())
        for phone in (boss, other):
            await telegram.until(lambda p=phone: any("waits" in s.text for s in p.told))
        await boss.presses("Reject")
        assert "does not wait any more" in await other.presses("Approve")
        [device] = (await api.ask("{ devices { nodes { state } } }"))["devices"]["nodes"]
        assert device["state"] == "REJECTED"


async def test_an_old_button_does_not_decide_what_came_later(
    settings: Settings, telegram: BotApi, boss: Phone
) -> None:
    async with alerted(settings, telegram, enrolment="approve") as api:
        key = await api.key()
        token = (await api.register(key))["token"]
        await telegram.until(lambda: any("waits" in sent.text for sent in boss.told))
        alert, old = boss.find("Approve")
        await boss.presses("Approve")
        await api.register(token)
        assert (await api.register(key))["outcome"] == "PENDING"
        await telegram.until(lambda: any("asks for a new token" in s.text for s in boss.told))
        assert "does not wait any more" in await boss.presses_data(old, alert.message_id)
        waiting = "{ devices { nodes { awaitsApproval } } }"
        assert (await api.ask(waiting))["devices"]["nodes"] == [{"awaitsApproval": True}]
        await boss.presses("Approve")
        assert (await api.ask(waiting))["devices"]["nodes"] == [{"awaitsApproval": False}]


async def test_what_people_name_things_is_text_and_nothing_else(api: Api, boss: Phone) -> None:
    id = await registered(api, 1, owner="<b>A&B</b>", location={"place": "</code>"})
    await boss.telegram.until(lambda: len(boss.told) == 1)
    assert "</code>" in boss.told[0].text
    assert (await boss.says(f"/device {id}")).startswith("temperature, </code>, <b>A&B</b>")
    assert (await boss.says("/devices <i>")) == "Devices: 0\n🔎 <i>"


@pytest.mark.usefixtures("api")
async def test_a_forged_press_changes_nothing_and_stops_nothing(boss: Phone) -> None:
    for data in ("", "config", "config:x:y:z:1", "kind:nothing", "mute:x", "owner:x:0", "list:a:_"):
        await boss.presses_data(data)
    assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"
