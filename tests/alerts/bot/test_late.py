"""What was said long ago, and what Telegram wants the bot to wait for."""

import pytest

from notifier.telegram import api as telegram_api
from notifier.telegram.clock import TelegramClock
from server.settings import Settings
from tests.alerts.alerted import CHAT, alerted, registered
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


async def test_what_was_said_hours_ago_is_not_done(
    settings: Settings, telegram: BotApi, boss: Phone
) -> None:
    for _ in range(5):
        telegram.says(CHAT, "/mute 2h", ago=HOURS)
    telegram.says(-5, "good morning", chat_type="group", ago=HOURS)
    async with alerted(settings, telegram) as api:
        await telegram.until(lambda: len(boss.heard) == 1)
        assert "Send it again" in boss.heard[0].text
        assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"
        assert len(boss.heard) == 2
        [node] = (await api.ask("{ recipients { nodes { mutedUntil } } }"))["recipients"]["nodes"]
        assert node["mutedUntil"] is None
    assert telegram.messages(-5) == []


async def test_a_start_of_long_ago_says_that_the_chat_is_back(
    settings: Settings, telegram: BotApi, boss: Phone
) -> None:
    telegram.says(CHAT, "/start", ago=HOURS)
    telegram.blocks(CHAT)
    async with alerted(settings, telegram) as api:
        await telegram.until(lambda: telegram.calls["sendMessage"] > 0)
        telegram.chats.blocked.clear()
        telegram.says(CHAT, "/start", ago=HOURS)
        await registered(api, 1)
        await telegram.until(lambda: len(boss.told) == 1)


@pytest.mark.parametrize("lapsed", [True, False])
async def test_a_press_that_waited_is_done_if_telegram_still_knows_it(
    settings: Settings, telegram: BotApi, boss: Phone, *, lapsed: bool
) -> None:
    async with alerted(settings, telegram) as api:
        id = await registered(api, 1)
        await telegram.until(lambda: len(boss.told) == 1)
        await boss.says(f"/config {id} qos=2")
        question, data = boss.find("Change it")
    heard = len(boss.heard)
    telegram.presses(CHAT, question.message_id, data, lapsed=lapsed)
    async with alerted(settings, telegram) as api:
        await telegram.until(lambda: not telegram.updates.pending)
        await telegram.until(lambda: len(boss.heard) > heard or not lapsed)
        assert await version(api, id) == (1 if lapsed else 2)
        if lapsed:
            assert boss.heard[-1].text.startswith("A button was pressed here while I was away")


@pytest.mark.parametrize("ahead", [-5 * 365 * 86_400, 12 * 365 * 86_400])
@pytest.mark.parametrize("dated", [True, False])
async def test_telegrams_clock_counts_and_not_this_machines(
    settings: Settings, telegram: BotApi, boss: Phone, ahead: float, *, dated: bool
) -> None:
    """A Bot API server of one's own does not say what time it is: its messages do."""
    telegram.chats.skew, telegram.dated = ahead, dated
    async with alerted(settings, telegram) as api:
        if not dated:
            await boss.says("/chatid")
        assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"
        telegram.says(CHAT, "/mute 2h", ago=HOURS)
        await boss.says("/chatid")
        [node] = (await api.ask("{ recipients { nodes { mutedUntil } } }"))["recipients"]["nodes"]
        assert node["mutedUntil"] is None


@pytest.mark.parametrize("method", ["setMyCommands", "getMe", "deleteWebhook"])
async def test_a_long_wait_for_anything_else_leaves_the_bot_hearing(
    settings: Settings, telegram: BotApi, boss: Phone, method: str
) -> None:
    telegram.misbehave(*[Fault("too_many", 480)] * 5, methods=[method])
    async with alerted(settings, telegram):
        assert await boss.says("/chatid") == f"The id of this chat is {CHAT}"
        assert await boss.says("/devices") == "Devices: 0"
    assert telegram.calls[method] <= 1


async def test_a_wait_for_updates_is_kept(
    settings: Settings, telegram: BotApi, boss: Phone
) -> None:
    telegram.misbehave(Fault("too_many", 2), methods=["getUpdates"])
    async with alerted(settings, telegram):
        await telegram.until(lambda: telegram.calls["getUpdates"] == 1)
        telegram.says(CHAT, "/chatid")
        await telegram.until(lambda: telegram.calls["getUpdates"] == 2)
        await telegram.until(lambda: len(boss.heard) == 1)


async def test_the_bots_name_is_known_from_before(settings: Settings, telegram: BotApi) -> None:
    group = Phone(telegram, -55, kind="group", user=77)
    async with alerted(settings, telegram):
        assert await group.says("/chatid@rollcall_test_bot") == "The id of this chat is -55"
    telegram.misbehave(*[Fault("too_many", 480)] * 5, methods=["getMe"])
    async with alerted(settings, telegram):
        assert await group.says("/chatid@rollcall_test_bot") == "The id of this chat is -55"
