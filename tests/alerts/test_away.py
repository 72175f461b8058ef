"""Chats that take nothing for a while: no alert for them is lost, and none is kept for ever."""

from datetime import UTC, datetime, timedelta

import pytest

from db.alerts import missed as missed_alerts
from notifier import sender
from server.settings import Settings
from tests.alerts.alerted import (
    CHAT,
    GROUP,
    alerted,
    registered,
    rows,
    rows_changed,
    until_no_rows,
    until_rows,
)
from tests.alerts.bot_api import BotApi
from tests.support.telegram.faults import Fault
from tests.support.telegram.refusal import Refusal, bad_request, blocked, forbidden

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
        bad_request("something that nobody has heard of"),
        bad_request("chat not found"),
        forbidden("bot was kicked from the supergroup chat"),
        blocked(),
    ],
    ids=lambda refusal: refusal.description,
)
async def test_what_a_chat_refuses_is_told_when_it_is_back(
    settings: Settings, telegram: BotApi, refusal: Refusal
) -> None:
    telegram.refuses(GROUP, refusal)
    async with alerted(settings, telegram, GROUP) as api:
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


async def test_rights_that_come_back_unheard(settings: Settings, telegram: BotApi) -> None:
    """As when all members of a group may write again: that is no change of the bot's status."""
    telegram.refuses(GROUP, NO_RIGHTS)
    async with alerted(settings, telegram, GROUP) as api:
        await registered(api, 1)
        await until_rows(api.app.state.database_supervisor.services.database, FAILED)
        telegram.chats.refusals.clear()
        await telegram.until(lambda: len(telegram.messages(GROUP)) == 1)


async def test_what_a_chat_misses_is_counted_and_told_in_one_digest(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.blocks(CHAT)
    async with alerted(settings, telegram) as api:
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
        assert digest.text.startswith("I could not write here for a while\nEvents since ")
        for part in (": 9\n", "8 registered", "1 new configs", "• New device", " to #"):
            assert part in digest.text
        await until_no_rows(database, "SELECT 1 FROM missed_alerts")
        assert await rows(database, OFF) == []


async def test_start_brings_the_digest(settings: Settings, telegram: BotApi) -> None:
    telegram.blocks(CHAT)
    async with alerted(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await registered(api, 0)
        await until_rows(database, OFF)
        await registered(api, 1)
        await until_rows(database, "SELECT 1 FROM missed_alerts")
        telegram.says(CHAT, "/start")
        await telegram.until(
            lambda: any("I could not write here" in sent.text for sent in telegram.messages(CHAT))
        )


async def test_a_chat_is_tried_now_and_then(
    settings: Settings, telegram: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PROBE_SECONDS", 0.2)
    telegram.blocks(CHAT)
    async with alerted(settings, telegram) as api:
        await registered(api, 0)
        await until_rows(api.app.state.database_supervisor.services.database, OFF)
        telegram.chats.blocked.clear()
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)


async def test_what_is_missed_outlives_a_restart(settings: Settings, telegram: BotApi) -> None:
    telegram.blocks(CHAT)
    async with alerted(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await registered(api, 0)
        await until_rows(database, OFF)
        for number in range(1, 4):
            await registered(api, number)
        await until_rows(database, "SELECT 1 FROM missed_alerts WHERE count = 3")
    async with alerted(settings, telegram):
        await telegram.until(lambda: telegram.calls["sendMessage"] > 1)
    telegram.chats.blocked.clear()
    async with alerted(settings, telegram):
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
    assert "4 registered" in telegram.messages(CHAT)[0].text


async def test_a_chat_without_rights_for_long_is_switched_off_and_tried_on(
    settings: Settings, telegram: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "AWAY_AFTER", 2)
    telegram.refuses(GROUP, NO_RIGHTS)
    async with alerted(settings, telegram, GROUP) as api:
        database = api.app.state.database_supervisor.services.database
        await registered(api, 0)
        assert "not enough rights" in (await until_rows(database, OFF))[0].off_reason
        await registered(api, 1)
        await until_rows(database, "SELECT 1 FROM missed_alerts")
        telegram.chats.refusals.clear()
        await until_no_rows(database, OFF)
        await rows_changed(database, "UPDATE recipients SET next_send_at = now()")
        await until_no_rows(database, "SELECT 1 FROM missed_alerts")
        await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'sent'")


async def test_a_message_that_is_refused_for_an_unknown_reason_is_told_in_short(
    settings: Settings, telegram: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not hold up those after it, and is not lost."""
    monkeypatch.setattr(sender, "SHORT_AFTER", 0)
    telegram.misbehave(Fault("bad_request", description="SOMETHING_NEW"))
    async with alerted(settings, telegram) as api:
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
    assert "1 registered" in short
    assert full.startswith("New device")
    assert any("SOMETHING_NEW" in (row.last_error or "") for row in sent)


async def test_a_digest_that_is_refused_for_good_is_told_in_short(
    settings: Settings, telegram: BotApi
) -> None:
    async with alerted(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await rows_changed(database, "UPDATE recipients SET muted_until = now() + interval '1 h'")
        for number in range(7):
            await registered(api, number)
        await until_rows(database, "SELECT 1 FROM deliveries", 7)
        telegram.misbehave(Fault("bad_request", description="message is too long"))
        await rows_changed(database, "UPDATE recipients SET muted_until = NULL")
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
        await until_rows(database, "SELECT 1 FROM deliveries WHERE state = 'sent'", 7)
    assert "7 registered" in telegram.messages(CHAT)[0].text


async def test_what_waits_too_long_is_counted(settings: Settings, telegram: BotApi) -> None:
    async with alerted(settings, telegram) as api:
        database = api.app.state.database_supervisor.services.database
        await rows_changed(database, "UPDATE recipients SET muted_until = now() + interval '1 h'")
        for number in range(3):
            await registered(api, number)
        await until_rows(database, "SELECT 1 FROM deliveries", 3)
        soon = datetime.now(UTC) + timedelta(days=1)
        async with database.transaction() as session:
            assert await missed_alerts.fold(session, soon, 2) == 2
        async with database.transaction() as session:
            assert await missed_alerts.fold(session, soon, 2) == 1
        assert await rows(database, "SELECT 1 FROM deliveries") == []
        await rows_changed(database, "UPDATE recipients SET muted_until = NULL")
        await telegram.until(lambda: len(telegram.messages(CHAT)) == 1)
    assert ": 3\n3 registered" in telegram.messages(CHAT)[0].text


async def test_a_wait_that_telegram_asks_for_is_kept_though_the_chat_speaks(
    settings: Settings, telegram: BotApi
) -> None:
    telegram.misbehave(Fault("too_many", 3), chat_id=CHAT)
    async with alerted(settings, telegram) as api:
        await registered(api, 1)
        await until_rows(api.app.state.database_supervisor.services.database, FAILED)
        telegram.says(CHAT, "/start")
        telegram.becomes(CHAT, "member")
        await telegram.until(
            lambda: any("New device" in sent.text for sent in telegram.messages(CHAT))
        )
    assert telegram.violations == []
