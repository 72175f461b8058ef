"""Starts, runs and stops the embedded broker."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from concurrency.connection_guard import ConnectionGuard
from concurrency.tasks import end_all, run_together
from mqtt.auth.authenticator import Authenticator
from mqtt.embedded.acl_cache import AclCache
from mqtt.embedded.broker import Broker
from mqtt.embedded.connect import ConnectAuthenticator
from mqtt.embedded.limits import BrokerLimits
from mqtt.embedded.packet_stream import GuardedProtocol, Malformed, PacketStream
from mqtt.embedded.packets import Refused
from mqtt.embedded.quiet import silence_late_ack_warnings

logger = logging.getLogger("rollcall.mqtt")


class EmbeddedBroker:
    """MQTT 3.1.1 over TCP on a socket made by `listen`. An instance can be started once."""

    def __init__(
        self,
        listening: socket.socket,
        access: Authenticator,
        limits: BrokerLimits | None = None,
        guard: ConnectionGuard | None = None,
    ) -> None:
        """`guard`: counts the connections, together with those of other listeners."""
        self.port: int = listening.getsockname()[1]
        self._listening = listening
        self._limits = limits = limits or BrokerLimits()
        self._guard = guard or ConnectionGuard(limits.connections, limits.strangers)
        self._acl_cache = AclCache(access)
        self._authenticator = ConnectAuthenticator(access, limits)
        self._connections: set[asyncio.Task[None]] = set()
        self._streams: set[PacketStream] = set()
        self._broker: Broker | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Stop the broker at exit, in about `stop_seconds`. Wills are not published then."""
        silence_late_ack_warnings()
        broker = self._broker = Broker(self._acl_cache, self._limits)
        await broker.start()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._protocol, sock=self._listening)
        try:
            yield
        finally:
            server.close()
            await self._stop(broker)

    async def watch(self) -> None:
        """Run until cancelled: check rights, keep-alives and session expiry once a second."""
        assert self._broker  # noqa: S101
        await run_together(
            self._periodically(self.recheck),
            self._periodically(self._drop_idle),
            self._broker.expire_sessions(),
        )

    async def recheck(self) -> None:
        """Read the rights of all connected clients now. `watch` does this once a second."""
        if self._broker:
            await self._acl_cache.recheck(self._broker.clients)

    async def _drop_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        for client in self._broker.clients if self._broker else []:
            if client.is_idle(now):
                client.stream.abort()

    async def _periodically(self, check: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._limits.check_seconds)
            await check()

    def _protocol(self) -> GuardedProtocol:
        reader = asyncio.StreamReader(self._limits.connect_bytes)
        return GuardedProtocol(reader, self._connected)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        guarded = self._guard.open(peer[0] if peer else None)
        if guarded is None:
            writer.transport.abort()
            return
        stream = PacketStream(reader, writer, self._limits, guarded)
        protocol = writer.transport.get_protocol()
        assert isinstance(protocol, GuardedProtocol)  # noqa: S101
        protocol.stream = stream
        self._streams.add(stream)
        task = asyncio.create_task(self._serve(stream), name="MQTT client")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, stream: PacketStream) -> None:
        assert self._broker  # noqa: S101
        try:
            client = await self._authenticator.authenticate(stream)
            stream.guarded.authenticated()
            await self._broker.serve(client)
        except Refused as refused:
            stream.write(refused.response)
        except Malformed:
            pass
        except Exception:
            logger.exception("Serving an MQTT client failed; its connection is closed.")
        finally:
            await stream.close()
            stream.guarded.close()
            self._streams.discard(stream)

    async def _stop(self, broker: Broker) -> None:
        """Close connections first, so that amqtt does not wait for them."""
        for stream in self._streams:
            stream.abort()
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._limits.stop_seconds / 2)
        await end_all(self._connections)
        try:
            async with asyncio.timeout(self._limits.stop_seconds / 2):
                await broker.shutdown()
        except Exception:
            logger.exception("The MQTT broker did not stop cleanly.")
        await end_all(broker.tasks)
