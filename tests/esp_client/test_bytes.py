"""The sizes of a device's requests and of the responses, on a real connection."""

import asyncio
from argparse import Namespace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from esp_client import http
from esp_client.client import Client
from esp_client.stream import Stream
from server.settings import Settings
from tests.esp_client.responses import SETTINGS
from tests.events.live.serving import instance

PAGE = Path(__file__).parent.parent.parent / "docs" / "devices.md"
MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES = 200, 350
NAMES = ("first registration", "acknowledgement", "boot")


class Counted(Stream):
    """`exchanges`: the sent and received bytes of each connection."""

    exchanges: ClassVar[list[list[bytes]]] = []

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.exchanges.append([b"", b""])

    def write(self, data: bytes) -> None:
        self.exchanges[-1][0] += data
        super().write(data)

    def some(self, size: int, seconds: float) -> bytes | None:
        data = super().some(size, seconds)
        self.exchanges[-1][1] += data or b""
        return data


async def test_documented_sizes_are_the_real_ones(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Counted.exchanges.clear()
    monkeypatch.setattr(http, "Stream", Counted)
    async with instance(settings) as one:
        values = {
            **SETTINGS,
            "url": one.url.removesuffix("/graphql"),
            "key": await one.api.key(),
            "sensor_model": "BME280",
            "firmware": "1.0.0",
        }
        for _ in range(2):
            client = Client(Namespace(**values), str(tmp_path / "state.json"))
            assert await asyncio.to_thread(client.boot, 5)
    counted = [
        (_without_host_and_token(sent), len(received)) for sent, received in Counted.exchanges
    ]
    rows = [f"| {name} | {up} | {down} |" for name, (up, down) in zip(NAMES, counted, strict=True)]
    assert counted[-1][0] <= MAX_REQUEST_BYTES
    assert counted[-1][1] <= MAX_RESPONSE_BYTES
    page = PAGE.read_text()
    assert [row for row in rows if row not in page] == [], "\n".join(rows)


def _without_host_and_token(request: bytes) -> int:
    host = request.partition(b"Host: ")[2].partition(b"\r\n")[0]
    token = request.partition(b"Bearer ")[2].partition(b"\r\n")[0]
    return len(request) - len(host) - len(token)
