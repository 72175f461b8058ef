"""Updates that are hours old, and calls that Telegram delays by `retry_after`."""

import pytest

from notifier.telegram import api as telegram_api
from notifier.telegram.clock import TelegramClock
from server.settings import Settings
from tests.alerts.alert_server import CHAT, alert_server, registered
from tests.alerts.bot.chat import Phone
from tests.alerts.bot_api import BotApi
from tests.support.client import Api
from tests.support.telegram.faults import Fault

HOURS = 3 * 3600


@pytest.fixture(autouse=True)
def unset_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telegram_api, "CLOCK", TelegramClock())


async def version(api: Api, id: str) -> int:
    found = await api.ask(f'{{ config(deviceId: "{id}") {{ version }} }}')
    return int(found["config"]["version"])


async def test_old_commands_are_not_executed(
    settings: Settings, telegram: BotApi, admin_chat: Phone
) -> None:
    for _ in range(5):
        telegram.says(CHAT, "/mute 2h", ago=HOURS)
    telegram.says(-5, "good morning", chat_type="group", ago=HOURS)
    async with alert_server(settings, telegram) as api:
        await telegram.until(lambda: len(admin_chat.replies) == 1)
        assert "Send them again" in admin_chat.replies[0].text
        assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"
        assert len(admin_chat.replies) == 2
        [node] = (await api.ask("{ recipients { nodes { mutedUntil } } }"))["recipients"]["nodes"]
        assert node["mutedUntil"] is None
    assert telegram.messages(-5) == []


async def test_old_start_command_reactivates_chat(
    settings: Settings, telegram: BotApi, admin_chat: Phone
) -> None:
    telegram.says(CHAT, "/start", ago=HOURS)
    telegram.blocks(CHAT)
    async with alert_server(settings, telegram) as api:
        await telegram.until(lambda: telegram.calls["sendMessage"] > 0)
        telegram.chats.blocked.clear()
        telegram.says(CHAT, "/start", ago=HOURS)
        await registered(api, 1)
        await telegram.until(lambda: len(admin_chat.alerts) == 1)


@pytest.mark.parametrize("lapsed", [True, False])
async def test_pending_press_is_executed_if_telegram_accepts_its_answer(
    settings: Settings, telegram: BotApi, admin_chat: Phone, *, lapsed: bool
) -> None:
    async with alert_server(settings, telegram) as api:
        id = await registered(api, 1)
        await telegram.until(lambda: len(admin_chat.alerts) == 1)
        await admin_chat.says(f"/config {id} qos=2")
        question, data = admin_chat.find("✅ Change")
    replies_before = len(admin_chat.replies)
    telegram.presses(CHAT, question.message_id, data, lapsed=lapsed)
    async with alert_server(settings, telegram) as api:
        await telegram.until(lambda: not telegram.updates.pending)
        await telegram.until(lambda: len(admin_chat.replies) > replies_before or not lapsed)
        assert await version(api, id) == (1 if lapsed else 2)
        if lapsed:
            assert admin_chat.replies[-1].text.startswith(
                "A button was pressed while the bot was not available"
            )


@pytest.mark.parametrize("ahead", [-5 * 365 * 86_400, 12 * 365 * 86_400])
@pytest.mark.parametrize("dated", [True, False])
async def test_age_of_updates_is_measured_by_telegrams_clock(
    settings: Settings, telegram: BotApi, admin_chat: Phone, ahead: float, *, dated: bool
) -> None:
    """A self-hosted Bot API server sends no Date header, so message dates set the clock."""
    telegram.chats.skew, telegram.dated = ahead, dated
    async with alert_server(settings, telegram) as api:
        if not dated:
            await admin_chat.says("/chatid")
        assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"
        telegram.says(CHAT, "/mute 2h", ago=HOURS)
        await admin_chat.says("/chatid")
        [node] = (await api.ask("{ recipients { nodes { mutedUntil } } }"))["recipients"]["nodes"]
        assert node["mutedUntil"] is None


@pytest.mark.parametrize("method", ["setMyCommands", "getMe", "deleteWebhook"])
async def test_retry_after_of_other_methods_does_not_stop_polling(
    settings: Settings, telegram: BotApi, admin_chat: Phone, method: str
) -> None:
    telegram.misbehave(*[Fault("too_many", 480)] * 5, methods=[method])
    async with alert_server(settings, telegram):
        assert await admin_chat.says("/chatid") == f"The id of this chat is {CHAT}"
        assert await admin_chat.says("/devices") == "Devices: 0"
    assert telegram.calls[method] <= 1


async def test_retry_after_of_get_updates_is_respected(
    settings: Settings, telegram: BotApi, admin_chat: Phone
) -> None:
    telegram.misbehave(Fault("too_many", 2), methods=["getUpdates"])
    async with alert_server(settings, telegram):
        await telegram.until(lambda: telegram.calls["getUpdates"] == 1)
        telegram.says(CHAT, "/chatid")
        await telegram.until(lambda: telegram.calls["getUpdates"] == 2)
        await telegram.until(lambda: len(admin_chat.replies) == 1)


async def test_name_of_bot_is_stored_across_restarts(settings: Settings, telegram: BotApi) -> None:
    group = Phone(telegram, -55, kind="group", user=77)
    async with alert_server(settings, telegram):
        assert await group.says("/chatid@rollcall_test_bot") == "The id of this chat is -55"
    telegram.misbehave(*[Fault("too_many", 480)] * 5, methods=["getMe"])
    async with alert_server(settings, telegram):
        assert await group.says("/chatid@rollcall_test_bot") == "The id of this chat is -55"
