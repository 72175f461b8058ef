"""Chats that refuse messages for a while: alerts are retried, or counted in a digest."""

from datetime import UTC, datetime, timedelta

import pytest

from db.alerts import missed as missed_alerts
from notifier import sender
from server.settings import Settings
from tests.alerts.alert_server import (
    CHAT,
    GROUP,
    alert_server,
    execute,
    registered,
    rows,
    until_no_rows,
    until_rows,
)
from tests.alerts.bot_api import BotApi
from tests.support.telegram.errors import ApiError, bad_request, blocked, forbidden
from tests.support.telegram.faults import Fault

pytestmark = pytest.mark.usefixtures("quick")

NO_RIGHTS = bad_request("not enough rights to send text messages to the chat")
FAILED = "SELECT 1 FROM recipients WHERE attempts > 0"
OFF = "SELECT off_reason FROM recipients WHERE away AND off_reason IS NOT NULL"


@pytest.mark.parametrize(
    "refusal",
    [
        NO_RIGHTS,
        bad_request("have no rights to send a message"),
        bad_request("CHAT_WRITE_FORBIDDEN"),
        bad_request("need administrator rights in the channel chat"),
        bad_request("an unknown reason"),
        bad_request("chat not found"),
        forbidden("bot was kicked from the supergroup chat"),
        blocked(),
    ],
    ids=lambda refusal: refusal.description,
)
async def test_refused_alerts_are_sent_after_bot_is_administrator_again(
    settings: Settings, telegram: BotApi, refusal: ApiError
) -> None:
    telegram.refuses(GROUP, refusal)
    async with alert_server(settings, telegram, GROUP) as api:
        database = api.app.state.database_supervisor.services.database
        await registered(api, 1)
        await until_rows(database, FAILED)
        telegram.becomes(GROUP, "administrator")
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 1)
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(GROUP)) >= 2)
        await until_no_rows(database, "SELECT 1 FROM deliveries WHERE state <> 'sent'")
        assert await rows(database, OFF) == []
    assert "New device" in telegram.messages(GROUP)[0].text


async def test_alerts_are_sent_after_rights_return_without_an_update(
    settings: Settings, telegram: BotApi
) -> None:
    """For example, all members of a group may write again. The bot's own status does not change."""
    telegram.refuses(GROUP, NO_RIGHTS)
    async with alert_server(settings, telegram, GROUP) as api:
        await registered(api, 1)
        await until_rows(api.app.state.database_supervisor.services.database, FAILED)
        telegram.chats.errors.clear()
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 1)


async def test_alerts_missed_by_blocked_chat_are_sent_as_one_digest(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.blocks(CHAT)
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await registered(api, 0)
        assert "blocked" in (await until_rows(database, OFF))[0].off_reason
        id = ""
        for number in range(1, 8):
            id = await registered(api, number)
        await api.change("updateConfig", deviceId=id, intervalSeconds=5)
        counted = "SELECT kind, count FROM missed_alerts WHERE kind = 'config_changed'"
        await until_rows(database, counted)
        assert len(await rows(database, "SELECT 1 FROM deliveries")) == 1
        [row] = await rows(database, "SELECT * FROM missed_alerts WHERE kind = 'device_registered'")
        assert row.count == 7
        telegram.becomes(CHAT, "member")
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
        [digest] = telegram.messages(CHAT)
        assert digest.text.startswith("Alerts could not be sent here for a while\nEvents since ")
        for part in (": 9\n", "Registered: 8", "New configs: 1", "• New device", " to #"):
            assert part in digest.text
        await until_no_rows(database, "SELECT 1 FROM missed_alerts")
        assert await rows(database, OFF) == []


async def test_start_command_sends_digest_of_missed_alerts(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.blocks(CHAT)
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await registered(api, 0)
        await until_rows(database, OFF)
        await registered(api, 1)
        await until_rows(database, "SELECT 1 FROM missed_alerts")
        telegram.says(CHAT, "/start")
        await telegram.until(
            lambda: any("could not be sent here" in sent.text for sent in telegram.messages(CHAT))
        )


async def test_disabled_chat_is_probed(
    settings: Settings, telegram: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PROBE_SECONDS", 0.2)
    telegram.blocks(CHAT)
    async with alert_server(settings, telegram) as api:
        await registered(api, 0)
        await until_rows(api.app.state.database_supervisor.services.database, OFF)
        telegram.chats.blocked.clear()
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)


async def test_missed_alerts_survive_restart(settings: Settings, telegram: BotApi) -> None:
    telegram.blocks(CHAT)
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await registered(api, 0)
        await until_rows(database, OFF)
        for number in range(1, 4):
            await registered(api, number)
        await until_rows(database, "SELECT 1 FROM missed_alerts WHERE count = 3")
    async with alert_server(settings, telegram):
        await telegram.until(lambda: telegram.calls["sendMessage"] > 1)
    telegram.chats.blocked.clear()
    async with alert_server(settings, telegram):
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
    assert "Registered: 4" in telegram.messages(CHAT)[0].text


async def test_chat_without_rights_is_disabled_and_probed(
    settings: Settings, telegram: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "DISABLE_AFTER", 2)
    telegram.refuses(GROUP, NO_RIGHTS)
    async with alert_server(settings, telegram, GROUP) as api:
        database = api.app.state.database_supervisor.services.database
        await registered(api, 0)
        assert "not enough rights" in (await until_rows(database, OFF))[0].off_reason
        await registered(api, 1)
        await until_rows(database, "SELECT 1 FROM missed_alerts")
        telegram.chats.errors.clear()
        await until_no_rows(database, OFF)
        await execute(database, "UPDATE recipients SET next_send_at = now()")
        await until_no_rows(database, "SELECT 1 FROM missed_alerts")
        await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'sent'")


async def test_alert_refused_for_unknown_reason_is_sent_in_short(
    settings: Settings, telegram: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not delay later alerts and is not lost."""
    monkeypatch.setattr(sender, "SUMMARY_AFTER", 0)
    telegram.misbehave(Fault("bad_request", description="SOMETHING_NEW"))
    async with alert_server(settings, telegram) as api:
        await registered(api, 1)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
        await registered(api, 2)
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 2)
        database = api.app.state.database_supervisor.services.database
        sent = await until_rows(
            database, "SELECT last_error FROM deliveries WHERE state = 'sent'", 2
        )
    short, full = (message.text for message in telegram.messages(CHAT))
    assert short.startswith("Events: 1\n")
    assert "Registered: 1" in short
    assert full.startswith("New device")
    assert any("SOMETHING_NEW" in (row.last_error or "") for row in sent)


async def test_refused_digest_is_sent_in_short(settings: Settings, telegram: BotApi) -> None:
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await execute(database, "UPDATE recipients SET muted_until = now() + interval '1 h'")
        for number in range(7):
            await registered(api, number)
        await until_rows(database, "SELECT 1 FROM deliveries", 7)
        telegram.misbehave(Fault("bad_request", description="message is too long"))
        await execute(database, "UPDATE recipients SET muted_until = NULL")
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
        await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'sent'", 7)
    assert "Registered: 7" in telegram.messages(CHAT)[0].text


async def test_old_waiting_deliveries_become_counts(settings: Settings, telegram: BotApi) -> None:
    async with alert_server(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await execute(database, "UPDATE recipients SET muted_until = now() + interval '1 h'")
        for number in range(3):
            await registered(api, number)
        await until_rows(database, "SELECT 1 FROM deliveries", 3)
        soon = datetime.now(UTC) + timedelta(days=1)
        async with database.transaction() as session:
            assert await missed_alerts.fold(session, soon, 2) == 2
        async with database.transaction() as session:
            assert await missed_alerts.fold(session, soon, 2) == 1
        assert await rows(database, "SELECT 1 FROM deliveries") == []
        await execute(database, "UPDATE recipients SET muted_until = NULL")
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
    assert ": 3\nRegistered: 3" in telegram.messages(CHAT)[0].text


async def test_retry_after_is_respected_when_chat_sends_messages(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(Fault("too_many", 3), chat_id=CHAT)
    async with alert_server(settings, telegram) as api:
        await registered(api, 1)
        await until_rows(api.app.state.database_supervisor.services.database, FAILED)
        telegram.says(CHAT, "/start")
        telegram.becomes(CHAT, "member")
        await telegram.until(
            lambda: any("New device" in sent.text for sent in telegram.messages(CHAT))
        )
    assert telegram.violations == []
