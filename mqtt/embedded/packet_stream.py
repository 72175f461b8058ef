"""A client connection that is read in whole packets."""

import asyncio
from contextlib import suppress

from amqtt.adapters import StreamWriterAdapter

from concurrency.connection_guard import GuardedConnection
from mqtt.embedded.limits import BrokerLimits

# Seconds to send buffered data after a connection was closed.
LINGER_SECONDS = 2
MAX_LENGTH_BYTES = 4  # MQTT 3.1.1, section 2.2.3


class Malformed(Exception):
    """Not MQTT 3.1.1, or too large. The connection is closed without a response."""


class PacketStream(StreamWriterAdapter):
    """Reads packets, and serves as amqtt's writer.

    amqtt itself waits for packets of any size and for peers that do not read. This class limits
    the packet size, and disconnects a peer with too much unread data.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        limits: BrokerLimits,
        guarded: GuardedConnection,
    ) -> None:
        super().__init__(writer)
        self.guarded = guarded
        self._reader = reader
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self.last_packet_at = self._loop.time()

    async def packet(self, max_bytes: int | None = None) -> bytes | None:
        """Return the next packet with its fixed header, or None at the end of the connection.

        `max_bytes`: if less than usual. Raises Malformed if the packet is too large or its length
        is invalid.
        """
        try:
            header = await self._read_header()
            length = _remaining(header, max_bytes or self._limits.packet_bytes)
            body = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError):
            return None
        self.guarded.keep(max(0, self.guarded.held - len(header) - length))
        self.last_packet_at = self._loop.time()
        return None if self.is_closed else header + body

    async def _read_header(self) -> bytes:
        header = await self._reader.readexactly(2)
        while header[-1] & 0x80:
            if len(header) > MAX_LENGTH_BYTES:
                raise Malformed("a remaining length of more than four bytes")
            header += await self._reader.readexactly(1)
        return header

    def write(self, data: bytes) -> None:
        """Write, or disconnect a peer with too much unread data. Never raises.

        The caller often serves another client, and uvloop raises for a connection that was just
        lost.
        """
        transport = self._writer.transport
        over_limit = transport.get_write_buffer_size() + len(data) > self._limits.unsent_bytes
        if over_limit or transport.is_closing():
            self.abort()
        super().write(data)

    async def drain(self) -> None:
        """No-op: while it waits, amqtt would miss an acknowledgement."""

    async def wait_writable(self) -> None:
        """Wait until the peer has read most of the written data."""
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


class GuardedProtocol(asyncio.StreamReaderProtocol):
    """Drops a connection if all connections together are receiving too much."""

    stream: PacketStream | None = None

    def data_received(self, data: bytes) -> None:
        if self.stream and not self.stream.guarded.receive(len(data)):
            self.stream.abort()
            return
        super().data_received(data)


def _remaining(header: bytes, limit: int) -> int:
    length = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(header[1:]))
    if length > limit:
        raise Malformed(f"a packet of {length} bytes")
    return length
