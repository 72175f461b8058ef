"""One client's connection, in whole packets."""

import asyncio
from contextlib import suppress

from amqtt.adapters import StreamWriterAdapter

from mqtt.embedded.limits import BrokerLimits

# What is still to be sent when a connection is closed has this long.
LINGER_SECONDS = 2
MAX_LENGTH_BYTES = 4  # MQTT 3.1.1, section 2.2.3


class Malformed(Exception):
    """Not MQTT 3.1.1, or larger than is taken: the connection is closed without an answer."""


class PacketStream(StreamWriterAdapter):
    """What amqtt writes to, and what packets are read from.

    amqtt would wait for a packet of any size, in pieces of its own, and for a peer that reads
    nothing. Here a packet is read whole or not at all, and who lets too much pile up is cut off.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limits: BrokerLimits
    ) -> None:
        super().__init__(writer)
        self._reader = reader
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self.heard_at = self._loop.time()

    async def packet(self) -> bytes | None:
        """The next one, with its fixed header; None when the connection is at its end.

        Raises Malformed.
        """
        try:
            head = await self._head()
            body = await self._reader.readexactly(_remaining(head, self._limits.packet_bytes))
        except (asyncio.IncompleteReadError, OSError):
            return None
        self.heard_at = self._loop.time()
        return None if self.is_closed else head + body

    async def _head(self) -> bytes:
        head = await self._reader.readexactly(2)
        while head[-1] & 0x80:
            if len(head) > MAX_LENGTH_BYTES:
                raise Malformed("a remaining length of more than four bytes")
            head += await self._reader.readexactly(1)
        return head

    def write(self, data: bytes) -> None:
        """Cuts off who has too much unread. Nothing is raised: the writer is often another client,
        and uvloop would, for a connection that has just been lost.
        """
        transport = self._writer.transport
        too_much = transport.get_write_buffer_size() + len(data) > self._limits.unsent_bytes
        if too_much or transport.is_closing():
            self.abort()
        super().write(data)

    async def drain(self) -> None:
        """Not at all: amqtt would miss the acknowledgement that comes while it waits."""

    async def room(self) -> None:
        """Waits until the peer has taken most of what was written."""
        with suppress(ConnectionError):
            await self._writer.drain()

    async def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._writer.close()
            self._loop.call_later(LINGER_SECONDS, self._writer.transport.abort)

    def abort(self) -> None:
        self.is_closed = True
        self._writer.transport.abort()


def _remaining(head: bytes, limit: int) -> int:
    length = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(head[1:]))
    if length > limit:
        raise Malformed(f"a packet of {length} bytes")
    return length
