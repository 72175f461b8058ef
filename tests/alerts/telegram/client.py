"""A minimal client of the Bot API."""

from typing import Any

import httpx
import pytest

from tests.alerts.bot_api import BotApi
from tests.support.waiting import WAIT_SECONDS

CHAT, GROUP = 5, -100
BROKEN = (httpx.RemoteProtocolError, httpx.ReadError)


class Bot:
    def __init__(self, api: BotApi) -> None:
        self.base = f"{api.url}/bot{api.token}"
        self.http = httpx.AsyncClient(timeout=WAIT_SECONDS, trust_env=False)

    async def call(self, method: str, **parameters: Any) -> Any:
        return (await self.http.post(f"{self.base}/{method}", json=parameters)).json()

    async def send(self, text: str = "hello", chat_id: int = CHAT, **more: Any) -> Any:
        return await self.call("sendMessage", chat_id=chat_id, text=text, **more)

    async def broken(self) -> type[Exception]:
        with pytest.raises((*BROKEN, httpx.ReadTimeout)) as error:
            await self.send()
        return error.type
