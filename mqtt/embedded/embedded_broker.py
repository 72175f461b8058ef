"""The broker, from its start to its stop."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from concurrency.tasks import end_all, run_together
from mqtt.auth.authenticator import Access
from mqtt.embedded.acl_cache import Permits
from mqtt.embedded.broker import Broker
from mqtt.embedded.connect import Admission
from mqtt.embedded.limits import Bounds
from mqtt.embedded.packet_stream import Malformed, Wire
from mqtt.embedded.packets import Refused
from mqtt.embedded.quiet import hush

logger = logging.getLogger("rollcall.mqtt")


class EmbeddedBroker:
    """MQTT 3.1.1 over TCP, on a socket that `listen` made. Runs once."""

    def __init__(
        self, listening: socket.socket, access: Access, bounds: Bounds | None = None
    ) -> None:
        self.port: int = listening.getsockname()[1]
        self._listening = listening
        self._bounds = bounds or Bounds()
        self._permits = Permits(access)
        self._admission = Admission(access, self._bounds.connect_seconds)
        self._connections: set[asyncio.Task[None]] = set()
        self._wires: set[Wire] = set()
        self._broker: Broker | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """At the end it is stopped within `stop_seconds` or little more; nobody hears of wills."""
        hush()
        broker = self._broker = Broker(self._permits, self._bounds)
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
            await self._permits.recheck(self._broker.clients)

    async def _drop_silent(self) -> None:
        now = asyncio.get_running_loop().time()
        for client in self._broker.clients if self._broker else []:
            if client.is_silent(now):
                client.wire.abort()

    async def _every_check(self, check: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._bounds.check_seconds)
            await check()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer, self._bounds)
        if len(self._wires) >= self._bounds.connections:
            wire.abort()
            return
        self._wires.add(wire)
        task = asyncio.create_task(self._serve(wire), name="MQTT client")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, wire: Wire) -> None:
        assert self._broker  # noqa: S101
        try:
            await self._broker.serve(await self._admission.admit(wire))
        except Refused as refused:
            wire.write(refused.answer)
        except Malformed:
            pass
        except Exception:
            logger.exception("An MQTT client can't be served.")
        finally:
            await wire.close()
            self._wires.discard(wire)

    async def _stop(self, broker: Broker) -> None:
        """Connections first, so that amqtt has nothing left to wait for."""
        for wire in self._wires:
            wire.abort()
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._bounds.stop_seconds / 2)
        await end_all(self._connections)
        try:
            async with asyncio.timeout(self._bounds.stop_seconds / 2):
                await broker.shutdown()
        except Exception:
            logger.exception("The MQTT broker did not stop in an orderly way.")
        await end_all(broker.tasks)
