"""Simulates thousands of devices at a broker, on asyncio. They behave like `esp_client`.

Implements CONNECT, SUBSCRIBE, PUBLISH with QoS 0 and 1, and PINGREQ of MQTT 3.1.1.
"""

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field

KEEPALIVE_SECONDS = 30
PAUSE_SECONDS = 0.3


@dataclass
class Device:
    """`applied`: config version, 0 before the first. `received`: all versions that arrived.
    `away`: True while the device is disconnected.
    """

    id: str
    topic: str
    token: str
    applied: int = 0
    received: list[int] = field(default_factory=list)
    away: bool = False

    async def run(self, port: int) -> None:
        """Connect repeatedly until cancelled, except while `away`."""
        while True:
            if not self.away:
                with suppress(OSError, asyncio.IncompleteReadError, ConnectionError, EOFError):
                    await self._session(port)
            await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))

    async def _session(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(self._connect())
            kind, body = await _packet(reader)
            if kind != 0x20 or body[1:] != b"\0":
                raise ConnectionError("refused")
            writer.write(_framed(0x82, b"\0\1" + _text(f"{self.topic}/config") + b"\1"))
            writer.write(_publish(f"{self.topic}/status", b"online", 2))
            self._report(writer)
            while not self.away:
                try:
                    async with asyncio.timeout(KEEPALIVE_SECONDS / 3):
                        kind, body = await _packet(reader)
                except TimeoutError:
                    writer.write(b"\xc0\0")
                    continue
                if kind & 0xF0 == 0x30:
                    self._receive(kind, body, writer)
        finally:
            writer.close()

    def _connect(self) -> bytes:
        will = _text(f"{self.topic}/status") + _text("offline")
        credentials = _text(self.id) + _text(self.token)
        head = _text("MQTT") + b"\4\xee" + KEEPALIVE_SECONDS.to_bytes(2)
        return _framed(0x10, head + _text(self.id) + will + credentials)

    def _receive(self, kind: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        end = 2 + int.from_bytes(body[:2])
        if kind & 0x06:
            writer.write(b"\x40\2" + body[end : end + 2])
            end += 2
        if not body[end:]:
            return
        version = json.loads(body[end:])["v"]
        self.received.append(version)
        if version > self.applied:
            self.applied = version
            self._report(writer)

    def _report(self, writer: asyncio.StreamWriter) -> None:
        if self.applied:
            state = json.dumps({"v": self.applied}, separators=(",", ":")).encode()
            writer.write(_publish(f"{self.topic}/state", state, 3))


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return kind, await reader.readexactly(length)


def _publish(topic: str, payload: bytes, id: int) -> bytes:
    """A retained message with QoS 1."""
    return _framed(0x33, _text(topic) + id.to_bytes(2) + payload)


def _framed(kind: int, body: bytes) -> bytes:
    length, digits = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (0x80 if length else 0))
        if not length:
            return bytes([kind]) + digits + body


def _text(value: str) -> bytes:
    return len(value).to_bytes(2) + value.encode()
