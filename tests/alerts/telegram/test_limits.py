"""Rate limits of the stand-in, the same as Telegram's."""

from tests.alerts.bot_api import BotApi
from tests.alerts.telegram.client import CHAT, GROUP, Bot
from tests.support.telegram.faults import too_many
from tests.support.telegram.limits import Limits


def sent(limits: Limits, chat_id: int, now: float) -> str | None:
    """Return the rule that rejects a message to the chat, or None."""
    violation = limits.check(chat_id, now)
    if violation is None:
        limits.spend(chat_id, now)
    return violation.rule if violation else None


def test_chat_takes_a_burst_of_three_then_one_per_second() -> None:
    limits = Limits()
    assert [sent(limits, CHAT, 0) for _ in range(4)] == [None, None, None, "chat"]
    assert limits.violations[-1].retry_after == 1
    assert sent(limits, CHAT, 0.5) == "retry_after"
    assert [sent(limits, CHAT, 1.6) for _ in range(2)] == [None, "chat"]


def test_group_takes_twenty_per_minute() -> None:
    limits = Limits(overall=100)
    assert [sent(limits, GROUP, 0) for _ in range(21)] == [None] * 20 + ["group"]
    assert limits.violations[-1].retry_after == 60
    assert sent(limits, GROUP, 61) is None


def test_bot_sends_thirty_per_second_to_all_chats() -> None:
    limits = Limits()
    rules = [sent(limits, chat_id, 0) for chat_id in range(1, 32)]
    assert rules == [None] * 30 + ["overall"]
    assert sent(limits, 31, 1.1) is None


async def test_rejected_message_is_answered_with_retry_after() -> None:
    async with BotApi(limits=Limits(chat_seconds=600)) as api:
        bot = Bot(api)
        api.knows(CHAT)
        assert [(await bot.send())["ok"] for _ in range(4)] == [True, True, True, False]
        assert 0 < (await bot.send())["parameters"]["retry_after"] <= 600
        assert [violation.rule for violation in api.violations] == ["chat", "retry_after"]
        await bot.http.aclose()


async def test_call_before_retry_after_is_a_violation(api: BotApi, bot: Bot) -> None:
    api.misbehave(too_many(2))
    assert not (await bot.send())["ok"]
    assert (await bot.send(chat_id=GROUP))["ok"]
    assert api.violations == []
    assert (await bot.send())["ok"]
    (violation,) = api.violations
    assert (violation.rule, violation.chat_id) == ("retry_after", CHAT)
    assert 1 < violation.early <= 2
