"""Requests for approval in chats: alerts, buttons, and who gets them."""

import pytest

from notifier.messages.buttons import APPROVE, REJECT, decision_data
from server.settings import Settings
from tests.alerts.alert_server import alert_server
from tests.alerts.bot.chat import Phone
from tests.alerts.bot.test_chats import invited
from tests.alerts.bot_api import BotApi, Sent
from tests.devices.requests import BENCH_ID, ask_from, open_requests, used_device
from tests.support.client import Api

AWAITS = f'{{ device(id: "{BENCH_ID}") {{ awaitsApproval }} }}'


def requests_in(phone: Phone) -> list[Sent]:
    return [sent for sent in phone.alerts if "requests a new token" in sent.text]


async def ask(api: Api, phone: Phone, address: str, key: str, **changes: str | None) -> str:
    """Make a new request, wait for its alert, and return the pending token."""
    before = len(requests_in(phone))
    token = (await ask_from(api, address, key, **changes))["token"]
    await phone.telegram.until(lambda: len(requests_in(phone)) > before)
    return str(token)


def test_button_data_has_at_most_64_bytes() -> None:
    for action in (APPROVE, REJECT):
        assert len(decision_data(action, BENCH_ID, 2**63 - 1)) <= 64


async def test_alert_shows_where_request_came_from(api: Api, admin_chat: Phone) -> None:
    await used_device(api)
    key = await api.key(note="first batch")
    await ask(api, admin_chat, "10.0.0.1", key, sensorModel="DHT22", firmware="2.0")
    text = requests_in(admin_chat)[-1].text
    [request] = await open_requests(api)
    for line in (
        "From: 10.0.0.1",
        "Sensor: DHT22, 2.0",
        f"Enrolment key: {request['key']['id']}, first batch",
        "Times asked: 1",
    ):
        assert line in text.split("\n")
    assert "⚠️" not in text
    await ask(api, admin_chat, "10.0.0.2", key)
    assert "⚠️ Open requests for this device: 2." in requests_in(admin_chat)[-1].text


async def test_buttons_decide_on_their_request_only(api: Api, admin_chat: Phone) -> None:
    await used_device(api)
    key = await api.key()
    device = await ask(api, admin_chat, "10.0.0.1", key)
    alert, approve_device = admin_chat.find("Approve")
    attacker = await ask(api, admin_chat, "10.6.6.6", key)
    assert "Times asked" in requests_in(admin_chat)[-1].text
    await admin_chat.presses_data(approve_device, alert.message_id)
    assert (await api.register(device))["outcome"] == "KNOWN"
    assert (await api.post("{ me { id } }", attacker)).status_code == 401
    assert "no longer waits" in await admin_chat.presses("Approve")


async def test_card_has_buttons_for_each_request(api: Api, admin_chat: Phone) -> None:
    await used_device(api)
    key = await api.key()
    await ask(api, admin_chat, "10.0.0.1", key)
    await ask_from(api, "10.0.0.1", key)
    second = await ask(api, admin_chat, "10.0.0.2", key)
    newer, older = [request["id"] for request in await open_requests(api)]
    await admin_chat.says(f"/device {BENCH_ID}", answers=2)
    card = admin_chat.replies[-2].text
    for part in (f"Request {older}, ", "From: 10.0.0.1", "Times asked: 2", f"Request {newer}, "):
        assert part in card
    assert "⚠️ Open requests for this device: 2." in card
    assert admin_chat.labels == [
        f"✅ Approve {older}",
        f"⛔ Reject {older}",
        f"✅ Approve {newer}",
        f"⛔ Reject {newer}",
    ]
    done = await admin_chat.presses(f"Reject {older}")
    assert "Other requests for this device are open" in done
    assert [request["id"] for request in await open_requests(api)] == [newer]
    await admin_chat.says(f"/device {BENCH_ID}", answers=2)
    assert admin_chat.labels == ["✅ Approve", "⛔ Reject"]
    await admin_chat.presses("Approve")
    assert (await api.register(second))["outcome"] == "KNOWN"


@pytest.mark.parametrize("action", [APPROVE, REJECT])
async def test_button_of_earlier_version_decides_on_nothing(
    api: Api, admin_chat: Phone, action: str
) -> None:
    """Its number is the id of an event, and may be the id of a request by chance."""
    await used_device(api)
    await ask(api, admin_chat, "10.0.0.1", await api.key())
    [request] = await open_requests(api)
    answer = await admin_chat.presses_data(f"{action}:{BENCH_ID}:{request['id']}")
    assert "no longer waits" in answer
    assert await open_requests(api) == [request]


async def test_foreign_request_is_sent_to_chats_without_owner(
    api: Api, telegram: BotApi, admin_chat: Phone
) -> None:
    await used_device(api)
    acme = await invited(api, telegram, 61, role="ADMIN", owner="Acme")
    token = await ask(api, admin_chat, "10.6.6.6", await api.key(owner="Globex"), owner="Globex")
    text = requests_in(admin_chat)[-1].text
    assert "temperature in Paris, Acme" in text
    assert "⚠️ The enrolment key is for another owner" in text
    await acme.says(f"/device {BENCH_ID}", answers=2)
    assert "10.6.6.6" not in acme.replies[-2].text
    assert (await api.ask(AWAITS))["device"] == {"awaitsApproval": False}
    _, approve = admin_chat.find("Approve")
    assert "no longer waits" in await acme.presses_data(approve)
    await ask(api, acme, "10.0.0.1", await api.key(owner="Acme"))
    assert len(requests_in(acme)) == 1
    assert "⚠️" not in requests_in(acme)[0].text
    await admin_chat.presses_data(approve)
    assert (await api.register(token))["outcome"] == "KNOWN"


async def test_viewer_gets_alert_without_buttons(api: Api, telegram: BotApi) -> None:
    viewer = await invited(api, telegram, 62)
    await used_device(api)
    await ask(api, viewer, "10.0.0.1", await api.key())
    alert = requests_in(viewer)[-1]
    assert "BME280, 1.0.0" in alert.text
    assert "From" not in alert.text
    assert "approve" not in alert.parameters["reply_markup"]


async def test_russian_alert(settings: Settings, telegram: BotApi, admin_chat: Phone) -> None:
    async with alert_server(settings, telegram, language="ru") as api:
        await used_device(api)
        key = await api.key()
        for address in ("10.0.0.1", "10.0.0.2"):
            await ask_from(api, address, key)
        await telegram.until(lambda: any("10.0.0.2" in sent.text for sent in admin_chat.alerts))
        text = next(sent.text for sent in admin_chat.alerts if "10.0.0.2" in sent.text)
        for part in ("Адрес: 10.0.0.2", "Датчик: BME280, 1.0.0", "Обращений: 1"):
            assert part in text
        assert "Открытых запросов для этого устройства: 2" in text
