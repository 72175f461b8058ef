"""Updates of the stand-in, by polling and by webhook."""

import asyncio
import json

from tests.alerts.bot_api import BotApi
from tests.alerts.telegram.client import CHAT, Bot


async def test_poll_waits_for_update_and_confirms_it(api: BotApi, bot: Bot) -> None:
    assert (await bot.call("getUpdates", timeout=0))["result"] == []
    polling = asyncio.create_task(bot.call("getUpdates", timeout=50))
    await api.until(lambda: api.calls["getUpdates"] == 2)
    api.says(7, "/start abc", "fa", username="mo")
    (update,) = (await polling)["result"]
    assert update["message"]["from"]["language_code"] == "fa"
    assert update["message"]["chat"] == {
        "id": 7,
        "type": "private",
        "first_name": "User 7",
        "username": "mo",
    }
    assert len((await bot.call("getUpdates"))["result"]) == 1
    assert (await bot.call("getUpdates", offset=update["update_id"] + 1))["result"] == []


async def test_second_poll_ends_first_with_conflict(api: BotApi, bot: Bot) -> None:
    older = asyncio.create_task(bot.call("getUpdates", timeout=50))
    await api.until(lambda: api.calls["getUpdates"] == 1)
    newer = asyncio.create_task(bot.call("getUpdates", timeout=50))
    assert (await older)["error_code"] == 409
    api.says(CHAT, "hello")
    assert len((await newer)["result"]) == 1


async def test_webhook_gets_update_with_secret_until_accepted(api: BotApi, bot: Bot) -> None:
    received: list[str] = []

    async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        received.append(head + (await reader.readexactly(length)).decode())
        status = b"503 No" if len(received) == 1 else b"200 OK"
        writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(hook, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        assert (await bot.call("setWebhook", url=url, secret_token="s-1"))["ok"]
        assert (await bot.call("getUpdates"))["error_code"] == 409
        api.says(CHAT, "by post")
        await api.until(lambda: not api.updates.pending)
        assert "503" in (await bot.call("getWebhookInfo"))["result"]["last_error_message"]
        assert (await bot.call("deleteWebhook"))["ok"]
    assert len(received) == 2
    assert "x-telegram-bot-api-secret-token: s-1" in received[1]
    assert json.loads(received[1].partition("\r\n\r\n")[2])["message"]["text"] == "by post"
    assert (await bot.call("getUpdates"))["result"] == []
