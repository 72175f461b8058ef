"""The broker, from its start to its stop."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from concurrency.tasks import end_all, run_together
from mqtt.auth.authenticator import Authenticator
from mqtt.embedded.acl_cache import AclCache
from mqtt.embedded.broker import Broker
from mqtt.embedded.connect import ConnectAuthenticator
from mqtt.embedded.limits import BrokerLimits
from mqtt.embedded.packet_stream import Malformed, PacketStream
from mqtt.embedded.packets import Refused
from mqtt.embedded.quiet import silence_late_ack_warnings

logger = logging.getLogger("rollcall.mqtt")


class EmbeddedBroker:
    """MQTT 3.1.1 over TCP, on a socket that `listen` made. Runs once."""

    def __init__(
        self, listening: socket.socket, access: Authenticator, limits: BrokerLimits | None = None
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self._listening = listening
        self._limits = limits or BrokerLimits()
        self._acl_cache = AclCache(access)
        self._admission = ConnectAuthenticator(access, self._limits.connect_seconds)
        self._connections: set[asyncio.Task[None]] = set()
        self._streams: set[PacketStream] = set()
        self._broker: Broker | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """At the end it is stopped within `stop_seconds` or little more; nobody hears of wills."""
        silence_late_ack_warnings()
        broker = self._broker = Broker(self._acl_cache, self._limits)
        await broker.start()
        server = await asyncio.start_server(self._connected, sock=self._listening)
        try:
            yield
        finally:
            server.close()
            await self._stop(broker)

    async def watch(self) -> None:
        """Until it is cancelled: rights, keep-alives and the age of sessions, once a second."""
        assert self._broker  # noqa: S101
        await run_together(
            self._every_check(self.recheck),
            self._every_check(self._drop_silent),
            self._broker.expire_sessions(),
        )

    async def recheck(self) -> None:
        """Asks once what all who are connected may do now. `watch` does so once a second."""
        if self._broker:
            await self._acl_cache.recheck(self._broker.clients)

    async def _drop_silent(self) -> None:
        now = asyncio.get_running_loop().time()
        for client in self._broker.clients if self._broker else []:
            if client.is_silent(now):
                client.stream.abort()

    async def _every_check(self, check: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._limits.check_seconds)
            await check()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = PacketStream(reader, writer, self._limits)
        if len(self._streams) >= self._limits.connections:
            stream.abort()
            return
        self._streams.add(stream)
        task = asyncio.create_task(self._serve(stream), name="MQTT client")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, stream: PacketStream) -> None:
        assert self._broker  # noqa: S101
        try:
            await self._broker.serve(await self._admission.admit(stream))
        except Refused as refused:
            stream.write(refused.answer)
        except Malformed:
            pass
        except Exception:
            logger.exception("An MQTT client can't be served.")
        finally:
            await stream.close()
            self._streams.discard(stream)

    async def _stop(self, broker: Broker) -> None:
        """Connections first, so that amqtt has nothing left to wait for."""
        for stream in self._streams:
            stream.abort()
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._limits.stop_seconds / 2)
        await end_all(self._connections)
        try:
            async with asyncio.timeout(self._limits.stop_seconds / 2):
                await broker.shutdown()
        except Exception:
            logger.exception("The MQTT broker did not stop in an orderly way.")
        await end_all(broker.tasks)
