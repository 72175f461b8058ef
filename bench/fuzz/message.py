"""Messages to a server, and what comes back."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

# A larger response is not read further.
READ_LIMIT = 8 * 2**20


@dataclass(frozen=True)
class Target:
    """`tokens`: by kind. `device`: id and base topic of a registered device, for its token."""

    host: str
    port: int
    mqtt_port: int
    tokens: Mapping[str, str]
    device: tuple[str, str]
    telegram_secret: str


@dataclass
class Answer:
    """`status`: for the summary. `received`: bytes. `internal`: an error that the server hides."""

    status: str = "no response"
    received: int = 0
    internal: str | None = None


@dataclass(frozen=True)
class Message:
    """Bytes that are sent over one connection, in parts.

    `entrance`: http, websocket, mqtt. `name`: what it is, for people. `greeting`: sent and answered
    before the parts. `patient`: wait for the end of the response. `large_answer`: a
    response of any size is right, such as a static file. `count`: of messages in the parts.
    `operations`: as many have to end before the connection is closed.
    """

    entrance: str
    name: str
    parts: tuple[bytes, ...]
    greeting: tuple[bytes, ...] = ()
    patient: bool = True
    large_answer: bool = False
    port: int = 0
    count: int = 1
    operations: int = 0

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))


async def send(message: Message, host: str, seconds: float) -> Answer:
    """Send a message, read until the server closes or `seconds` have passed."""
    answer = Answer()
    reader, writer = await asyncio.open_connection(host, message.port)
    try:
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(seconds):
                for part in message.greeting:
                    writer.write(part)
                    await reader.read(65_536)
                reading = asyncio.create_task(_read(reader, answer, message.operations))
                try:
                    for part in message.parts:
                        writer.write(part)
                        await writer.drain()
                    await reading
                finally:
                    reading.cancel()
    finally:
        writer.transport.abort()
    return answer


async def _read(reader: asyncio.StreamReader, answer: Answer, operations: int) -> None:
    head, ended = b"", 0
    while data := await reader.read(65_536):
        answer.received += len(data)
        if len(head) < 20_000:
            head += data
            if answer.status == "no response" and head.startswith(b"HTTP/1.1 "):
                answer.status = head[9:12].decode()
        at = data.find(b'"INTERNAL"')
        if at >= 0 or answer.status == "500":
            answer.internal = answer.internal or head[:2_000].decode(errors="replace")
        ended += data.count(b'"type":"error"') + data.count(b'"type":"complete"')
        if answer.received > READ_LIMIT or 0 < operations <= ended:
            return
