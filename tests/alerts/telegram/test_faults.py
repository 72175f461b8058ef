"""Faults that tests request from the stand-in."""

import asyncio
import json

import httpx
import pytest

from tests.alerts.bot_api import BotApi
from tests.alerts.telegram.client import CHAT, GROUP, Bot
from tests.support.telegram import faults


async def test_requested_faults_occur_in_order(api: BotApi, bot: Bot) -> None:
    api.misbehave(faults.too_many(1), faults.BLOCKED, faults.BAD_REQUEST)
    assert (await bot.send())["parameters"] == {"retry_after": 1}
    assert (await bot.send())["description"] == "Forbidden: bot was blocked by the user"
    assert (await bot.send())["error_code"] == 400
    api.misbehave(faults.BAD_GATEWAY, faults.DROP_BEFORE)
    html = await bot.http.post(f"{bot.base}/sendMessage", json={"chat_id": CHAT, "text": "x"})
    assert (html.status_code, html.headers["content-type"]) == (502, "text/html")
    await bot.broken()
    assert api.sent == []
    api.misbehave(faults.DROP_AFTER, faults.TRUNCATED, faults.slow(0.2))
    await bot.broken()
    with pytest.raises(json.JSONDecodeError):
        await bot.send()
    slow = asyncio.create_task(bot.send())
    await api.until(lambda: len(api.sent) == 3)
    assert not slow.done()
    assert (await slow)["ok"]
    bot.http.timeout = httpx.Timeout(0.2)
    api.misbehave(faults.HANG, faults.HANG_AFTER)
    assert await bot.broken() is await bot.broken() is httpx.ReadTimeout
    assert len(api.sent) == 4


async def test_faults_of_one_chat_and_seeded_mix_of_faults(api: BotApi, bot: Bot) -> None:
    api.misbehave(faults.BLOCKED, chat_id=GROUP)
    assert (await bot.send())["ok"]
    assert (await bot.send(chat_id=GROUP))["error_code"] == 403
    runs = []
    for _ in range(2):
        api.behave()
        api.mix({faults.BAD_REQUEST: 0.5}, seed=3)
        runs.append([(await bot.send())["ok"] for _ in range(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {True, False}
    api.blocks(CHAT)
    assert (await bot.send())["error_code"] == 403
