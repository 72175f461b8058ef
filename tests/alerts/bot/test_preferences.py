"""Alert preferences of a chat: mute, quiet hours, event kinds, owners."""

from datetime import UTC, datetime, timedelta

import pytest

from server.settings import Settings
from tests.alerts.alert_server import CHAT, alert_server, execute, registered, rows, until_rows
from tests.alerts.bot.chat import Phone
from tests.alerts.bot.test_chats import invited, new_device_alerts
from tests.alerts.bot_api import BotApi
from tests.support.client import Api


async def test_mute_holds_alerts_until_unmuted(api: Api, admin_chat: Phone) -> None:
    assert (await admin_chat.says("/mute 2h")).startswith("Muted until")
    await registered(api, 1)
    database = api.app.state.database_supervisor.services.database
    await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'waiting'")
    assert new_device_alerts(admin_chat) == []
    assert (await admin_chat.presses("Unmute")).startswith("Alerts are on again")
    await admin_chat.telegram.until(lambda: len(new_device_alerts(admin_chat)) == 1)


async def test_mute_duration_is_chosen_by_button(api: Api, admin_chat: Phone) -> None:
    assert (await admin_chat.says("/mute")).startswith("For how long")
    assert admin_chat.labels == ["1h", "8h", "1d"]
    assert (await admin_chat.presses("8h")).startswith("Muted until")
    database = api.app.state.database_supervisor.services.database
    [row] = await rows(database, "SELECT muted_until FROM recipients")
    left = row.muted_until - datetime.now(UTC)
    assert timedelta(hours=7, minutes=59) < left <= timedelta(hours=8)
    assert (await admin_chat.says("/mute")).startswith("Muted until")
    assert (await admin_chat.says("/mute off")).startswith("Alerts are on again")
    assert (await admin_chat.says("/mute soon")).startswith("For how long")


async def test_quiet_hours_hold_alerts_until_they_end(api: Api, admin_chat: Phone) -> None:
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=1)
    period = f"{begin:%H:%M}-{end:%H:%M}"
    assert (await admin_chat.says(f"/quiet {period} UTC")).startswith(
        f"Quiet hours every day: {period} UTC"
    )
    await registered(api, 1)
    database = api.app.state.database_supervisor.services.database
    query = "SELECT next_send_at FROM recipients WHERE next_send_at > now() + interval '30 minutes'"
    [row] = await until_rows(database, query)
    assert abs(row.next_send_at - end) < timedelta(minutes=1)
    assert new_device_alerts(admin_chat) == []
    assert (await admin_chat.says("/quiet")).startswith("Quiet hours every day")
    assert (await admin_chat.says("/quiet off")) == "No quiet hours are set."
    await admin_chat.telegram.until(lambda: len(new_device_alerts(admin_chat)) == 1)


@pytest.mark.usefixtures("api")
async def test_invalid_quiet_hours_are_refused(admin_chat: Phone) -> None:
    for words in ("25:00-07:00", "22:00", "22:00-22:00", "22:00-07:00 Nowhere/City"):
        assert (await admin_chat.says(f"/quiet {words}")).startswith("Set quiet hours: /quiet")
    assert (await admin_chat.says("/quiet")).startswith("No quiet hours are set.")


async def test_event_kinds_are_chosen_by_buttons(api: Api, admin_chat: Phone) -> None:
    assert await admin_chat.says("/alerts") == "Which alerts should this chat get?"
    assert "✅ Registered" in admin_chat.labels
    assert "⬜ Config applied" in admin_chat.labels
    await admin_chat.presses("Registered")
    assert "⬜ Registered" in admin_chat.labels
    await registered(api, 1)
    id = await registered(api, 2)
    await api.change("deleteDevice", id=id)
    await admin_chat.telegram.until(
        lambda: any("Deleted" in sent.text for sent in admin_chat.alerts)
    )
    assert new_device_alerts(admin_chat) == []
    await admin_chat.presses("None")
    assert not [label for label in admin_chat.labels if label.startswith("✅")]
    await admin_chat.presses("Default")
    assert "✅ Registered" in admin_chat.labels
    _, all_kinds = admin_chat.find("Default")
    await admin_chat.presses_data(
        all_kinds.replace("usual", "every"), admin_chat.all[-1].message_id
    )
    [row] = await rows(
        api.app.state.database_supervisor.services.database, "SELECT kinds FROM recipients"
    )
    assert "config_applied" in row.kinds


async def test_owners_are_chosen_by_buttons(api: Api, admin_chat: Phone) -> None:
    for number, owner in enumerate(["Acme", "Globex", *(f"Owner {n}" for n in range(12))]):
        await registered(api, number, owner=owner)
    database = api.app.state.database_supervisor.services.database
    await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'sent'", 14)
    await admin_chat.says("/alerts")
    assert (await admin_chat.presses("Owners")).startswith("Alerts about which owners' devices?")
    assert admin_chat.labels[:2] == ["✅ All owners", "⬜ Acme"]
    await admin_chat.presses("▶")
    assert "Owner 6" in admin_chat.labels[1]
    await admin_chat.presses("◀")
    await admin_chat.presses("Globex")
    assert "✅ Globex" in admin_chat.labels
    assert "⬜ All owners" in admin_chat.labels
    [row] = await rows(
        api.app.state.database_supervisor.services.database, "SELECT owner_ids FROM recipients"
    )
    assert len(row.owner_ids) == 1
    await execute(api.app.state.database_supervisor.services.database, "DELETE FROM deliveries")
    seen = len(admin_chat.alerts)
    await registered(api, 50, owner="Acme")
    await registered(api, 51, owner="Globex")
    await execute(
        api.app.state.database_supervisor.services.database,
        "UPDATE recipients SET next_send_at = now()",
    )
    await admin_chat.telegram.until(
        lambda: any("Owner: Globex" in sent.text for sent in admin_chat.alerts[seen:])
    )
    assert not [sent for sent in admin_chat.alerts[seen:] if "Owner: Acme" in sent.text]
    await admin_chat.presses("All owners")
    assert "✅ All owners" in admin_chat.labels
    assert (await admin_chat.presses("Back")).startswith("Which alerts should this chat get?")


async def test_chat_of_one_owner_can_not_choose_owners(api: Api, telegram: BotApi) -> None:
    await registered(api, 1)
    viewer = await invited(api, telegram, 31, owner="Acme")
    await viewer.says("/alerts")
    assert "Owners…" not in viewer.labels
    assert (await viewer.presses_data("owners:0")).startswith("Which alerts should this chat get?")


@pytest.mark.parametrize("owner", [None, "Acme"])
async def test_viewer_chat_chooses_only_among_events_of_the_fleet(
    api: Api, telegram: BotApi, admin_chat: Phone, owner: str | None
) -> None:
    await registered(api, 1)
    viewer = await invited(api, telegram, 31, owner=owner)
    await viewer.says("/alerts")
    await admin_chat.says("/alerts")
    of_administration = {"Token created", "Invitation", "Recipient added", "Recipient removed"}
    assert not {label.partition(" ")[2] for label in viewer.labels} & of_administration
    assert {label.partition(" ")[2] for label in admin_chat.labels} >= of_administration
    for data in ("kind:token_created", "kinds:every", "kind:recipient_invited"):
        await viewer.presses_data(data)
    database = api.app.state.database_supervisor.services.database
    [row] = await rows(database, "SELECT kinds FROM recipients WHERE address = '31'")
    assert "config_applied" in row.kinds
    assert not {"token_created", "recipient_added", "recipient_invited"} & {*row.kinds}


async def test_preferences_survive_restart(
    settings: Settings, telegram: BotApi, admin_chat: Phone
) -> None:
    async with alert_server(settings, telegram):
        await admin_chat.says("/quiet 22:00-07:00 Europe/Paris")
    async with alert_server(settings, telegram):
        assert "Europe/Paris" in await admin_chat.says("/quiet")
    assert admin_chat.chat == CHAT
