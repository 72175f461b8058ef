"""Telegram's limits."""

import asyncio

from tests.alerts.bot_api import BotApi
from tests.alerts.telegram.client import CHAT, GROUP, Bot
from tests.support.telegram.faults import too_many
from tests.support.telegram.limits import Limits


async def test_telegrams_limits() -> None:
    async with BotApi(limits=Limits(group_seconds=1)) as api:
        bot = Bot(api)
        api.knows(CHAT)
        api.knows(GROUP, "group")
        assert [(await bot.send())["ok"] for _ in range(4)] == [True, True, True, False]
        assert (await bot.send())["parameters"]["retry_after"] == 1
        assert [violation.rule for violation in api.violations] == ["chat", "retry_after"]
        assert [(await bot.send(chat_id=GROUP))["ok"] for _ in range(21)] == [True] * 20 + [False]
        for chat_id in range(10, 17):
            api.knows(chat_id)
            assert (await bot.send(chat_id=chat_id))["ok"]
        api.knows(17)
        assert not (await bot.send(chat_id=17))["ok"]
        assert [violation.rule for violation in api.violations[2:]] == ["group", "overall"]
        await asyncio.sleep(api.violations[-1].retry_after)
        assert (await bot.send())["ok"]
        await bot.http.aclose()


async def test_who_does_not_wait_as_told_is_noted(api: BotApi, bot: Bot) -> None:
    api.misbehave(too_many(2))
    assert not (await bot.send())["ok"]
    assert (await bot.send(chat_id=GROUP))["ok"]
    assert api.violations == []
    assert (await bot.send())["ok"]
    (violation,) = api.violations
    assert (violation.rule, violation.chat_id) == ("retry_after", CHAT)
    assert 1 < violation.early <= 2
