"""What a chat chooses to be told, and when."""

from datetime import UTC, datetime, timedelta

import pytest

from server.settings import Settings
from tests.alerts.alerted import CHAT, alerted, registered, rows, rows_changed, until_rows
from tests.alerts.bot.chat import Phone
from tests.alerts.bot.test_chats import invited, told_of
from tests.alerts.bot_api import BotApi
from tests.support.client import Api


async def test_muted_for_a_while(api: Api, boss: Phone) -> None:
    assert (await boss.says("/mute 2h")).startswith("Silent until")
    await registered(api, 1)
    database = api.app.state.database_supervisor.services.database
    await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'waiting'")
    assert told_of(boss) == []
    assert (await boss.presses("Tell me again")).startswith("I tell you again")
    await boss.telegram.until(lambda: len(told_of(boss)) == 1)


async def test_mute_by_buttons(api: Api, boss: Phone) -> None:
    assert (await boss.says("/mute")).startswith("For how long")
    assert boss.labels == ["1h", "8h", "1d"]
    assert (await boss.presses("8h")).startswith("Silent until")
    database = api.app.state.database_supervisor.services.database
    [row] = await rows(database, "SELECT muted_until FROM recipients")
    left = row.muted_until - datetime.now(UTC)
    assert timedelta(hours=7, minutes=59) < left <= timedelta(hours=8)
    assert (await boss.says("/mute")).startswith("Silent until")
    assert (await boss.says("/mute off")).startswith("I tell you again")
    assert (await boss.says("/mute soon")).startswith("For how long")


async def test_quiet_hours(api: Api, boss: Phone) -> None:
    now = datetime.now(UTC)
    begin, end = now - timedelta(hours=1), now + timedelta(hours=1)
    period = f"{begin:%H:%M}-{end:%H:%M}"
    assert (await boss.says(f"/quiet {period} UTC")).startswith(f"Quiet each day: {period} UTC")
    await registered(api, 1)
    database = api.app.state.database_supervisor.services.database
    query = "SELECT next_send_at FROM recipients WHERE next_send_at > now() + interval '30 minutes'"
    [row] = await until_rows(database, query)
    assert abs(row.next_send_at - end) < timedelta(minutes=1)
    assert told_of(boss) == []
    assert (await boss.says("/quiet")).startswith("Quiet each day")
    assert (await boss.says("/quiet off")) == "There are no quiet hours."
    await boss.telegram.until(lambda: len(told_of(boss)) == 1)


@pytest.mark.usefixtures("api")
async def test_quiet_hours_that_can_not_be(boss: Phone) -> None:
    for words in ("25:00-07:00", "22:00", "22:00-22:00", "22:00-07:00 Nowhere/City"):
        assert (await boss.says(f"/quiet {words}")).startswith("Quiet hours: /quiet")
    assert (await boss.says("/quiet")).startswith("There are no quiet hours.")


async def test_kinds_are_chosen_by_buttons(api: Api, boss: Phone) -> None:
    assert await boss.says("/alerts") == "What shall I tell you?"
    assert "✅ Registered" in boss.labels
    assert "⬜ Config applied" in boss.labels
    await boss.presses("Registered")
    assert "⬜ Registered" in boss.labels
    await registered(api, 1)
    id = await registered(api, 2)
    await api.change("deleteDevice", id=id)
    await boss.telegram.until(lambda: any("Deleted" in sent.text for sent in boss.told))
    assert told_of(boss) == []
    await boss.presses("None")
    assert not [label for label in boss.labels if label.startswith("✅")]
    await boss.presses("The usual")
    assert "✅ Registered" in boss.labels
    _, all_kinds = boss.find("The usual")
    await boss.presses_data(all_kinds.replace("usual", "every"), boss.all[-1].message_id)
    [row] = await rows(
        api.app.state.database_supervisor.services.database, "SELECT kinds FROM recipients"
    )
    assert "config_applied" in row.kinds


async def test_owners_are_chosen_by_buttons(api: Api, boss: Phone) -> None:
    for number, owner in enumerate(["Acme", "Globex", *(f"Owner {n}" for n in range(12))]):
        await registered(api, number, owner=owner)
    database = api.app.state.database_supervisor.services.database
    await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'sent'", 14)
    await boss.says("/alerts")
    assert (await boss.presses("Owners")).startswith("About whose devices?")
    assert boss.labels[:2] == ["✅ All owners", "⬜ Acme"]
    await boss.presses("▶")
    assert "Owner 6" in boss.labels[1]
    await boss.presses("◀")
    await boss.presses("Globex")
    assert "✅ Globex" in boss.labels
    assert "⬜ All owners" in boss.labels
    [row] = await rows(
        api.app.state.database_supervisor.services.database, "SELECT owner_ids FROM recipients"
    )
    assert len(row.owner_ids) == 1
    await rows_changed(
        api.app.state.database_supervisor.services.database, "DELETE FROM deliveries"
    )
    seen = len(boss.told)
    await registered(api, 50, owner="Acme")
    await registered(api, 51, owner="Globex")
    await rows_changed(
        api.app.state.database_supervisor.services.database,
        "UPDATE recipients SET next_send_at = now()",
    )
    await boss.telegram.until(
        lambda: any("Owner: Globex" in sent.text for sent in boss.told[seen:])
    )
    assert not [sent for sent in boss.told[seen:] if "Owner: Acme" in sent.text]
    await boss.presses("All owners")
    assert "✅ All owners" in boss.labels
    assert (await boss.presses("Back")).startswith("What shall I tell you?")


async def test_a_chat_for_one_owner_has_none_to_choose(api: Api, telegram: BotApi) -> None:
    await registered(api, 1)
    viewer = await invited(api, telegram, 31, owner="Acme")
    await viewer.says("/alerts")
    assert "Owners…" not in viewer.labels
    assert (await viewer.presses_data("owners:0")).startswith("What shall I tell you?")


async def test_choices_outlive_a_restart(settings: Settings, telegram: BotApi, boss: Phone) -> None:
    async with alerted(settings, telegram):
        await boss.says("/quiet 22:00-07:00 Europe/Paris")
    async with alerted(settings, telegram):
        assert "Europe/Paris" in await boss.says("/quiet")
    assert boss.chat == CHAT
