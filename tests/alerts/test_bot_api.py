"""The Telegram stand-in: in an event loop, in a thread, as a process."""

import asyncio
import json
import sys
from pathlib import Path

import httpx
import pytest

from tests.alerts.bot_api import BotApi
from tests.alerts.telegram.client import BROKEN, CHAT, Bot
from tests.support.telegram import faults


def test_stand_in_runs_in_a_thread() -> None:
    with BotApi() as api:
        api.says(CHAT, "hello")
        base = f"{api.url}/bot{api.token}"
        update = httpx.get(f"{base}/getUpdates", params={"timeout": 20}).json()["result"][0]
        httpx.post(f"{base}/sendMessage", data={"chat_id": str(CHAT), "text": "well"})
        assert (update["message"]["text"], api.sent[0].text) == ("hello", "well")


async def test_stand_in_runs_as_a_process_with_a_log(tmp_path: Path) -> None:
    log = tmp_path / "arrived.jsonl"
    options = ["--log", str(log), "--chat", str(CHAT), "--token", "1:t"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.alerts.bot_api", *options), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    url = (await process.stdout.readline()).decode().strip()
    async with httpx.AsyncClient(base_url=url) as client:
        drop = {"faults": [{"kind": "drop_after"}], "chat_id": CHAT}
        assert (await client.post("/control/misbehave", json=drop)).json()["ok"]
        message = {"chat_id": CHAT, "text": "seven"}
        with pytest.raises(BROKEN):
            await client.post("/bot1:t/sendMessage", json=message)
        assert [json.loads(line)["text"] for line in log.read_text().splitlines()] == ["seven"]
        assert (await client.post("/control/says", json=message)).json()["ok"]
        updates = (await client.get("/bot1:t/getUpdates")).json()["result"]
        assert updates[0]["message"]["text"] == "seven"
    process.terminate()
    assert await process.wait() == 0


async def test_stop_ends_polls_and_hanging_calls() -> None:
    async with BotApi() as api:
        api.knows(CHAT)
        api.misbehave(faults.HANG)
        bot = Bot(api)
        calls = [bot.call("getUpdates", timeout=50), bot.send()]
        calling = [asyncio.create_task(call) for call in calls]
        await api.until(lambda: api.calls.total() == 2)
    for call in calling:
        with pytest.raises(BROKEN):
            await call
    await bot.http.aclose()


async def test_until_raises_with_details_on_timeout() -> None:
    async with BotApi() as api:
        with pytest.raises(AssertionError, match=r"Not within 0.01 s"):
            await api.until(lambda: bool(api.sent), 0.01)
