"""One connection to the broker, by paho-mqtt in its own thread.

paho's callbacks only pass data to the event loop. A lost connection is not restored, because paho
would send outdated messages again. A new connection starts from the database.
"""

import asyncio
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from concurrency.threads import in_daemon_thread
from domain.mqtt.messages import RetainedMessage
from mqtt.address import Address, tls_context
from mqtt.client.paho_poll import use_poll

# For a batch. A slower broker counts as lost.
PUBLISH_SECONDS = 40
# Maximum unacknowledged messages. More than 100 are not faster.
WINDOW = 100
KEEPALIVE_SECONDS = 20
CONNECT_SECONDS = 10

Receive = Callable[[str, bytes, bool], None]

use_poll()


class ConnectionLost(Exception):
    """The connection to the broker failed or ended; the text says why."""


class Connection:
    """`lost` gets the reason as its exception when the connection ends."""

    def __init__(self, address: Address, receive: Receive) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._receive = receive
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._to_publish: deque[tuple[RetainedMessage, _Batch]] = deque()
        self._in_flight = 0
        self._batches: dict[int, _Batch] = {}
        self._acknowledged_early: set[int] = set()
        # Never held during a call of paho, whose callbacks hold paho's locks.
        self._lock = threading.Lock()
        self._subscribing: dict[int, asyncio.Future[Sequence[int]]] = {}
        self._client = _client(address)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    async def publish(self, messages: Sequence[RetainedMessage]) -> None:
        """Publish in this order, and return when the broker has acknowledged all.

        Only the first message is published in this thread: two publishing threads would block each
        other. Raises ConnectionLost.
        """
        if not messages:
            return
        batch = _Batch(len(messages), self._loop.create_future())
        with self._lock:
            self._to_publish.extend((message, batch) for message in messages)
            first = self._dequeue(1) if not self._in_flight else []
        for message in first:
            self._publish_first(*message)
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._unless_lost(batch.done)
        except TimeoutError:
            raise ConnectionLost("the broker acknowledges too slowly") from None

    async def subscribe(self, *filters: str) -> None:
        """Subscribe, and return when the broker has granted it. Raises ConnectionLost."""
        code, mid = self._client.subscribe([(filter, 1) for filter in filters])
        if code != paho.MQTT_ERR_SUCCESS or mid is None:
            raise ConnectionLost(paho.error_string(code))
        granted = self._subscribing.setdefault(mid, self._loop.create_future())
        codes = await self._unless_lost(granted)
        if max(codes) >= 0x80:  # noqa: PLR2004  MQTT 3.1.1, section 3.9.3
            raise ConnectionLost(
                f"the broker refuses to subscribe to {' and '.join(filters)}: give this server's"
                " user all rights"
            )

    def _dequeue(self, limit: int) -> list[tuple[RetainedMessage, "_Batch"]]:
        """Call with the lock held."""
        count = min(limit, WINDOW - self._in_flight, len(self._to_publish))
        self._in_flight += count
        return [self._to_publish.popleft() for _ in range(count)]

    def _publish_first(self, message: RetainedMessage, batch: "_Batch") -> None:
        """The other thread may get the acknowledgement before this one knows the message id."""
        mid = self._send(message)
        with self._lock:
            if mid not in self._acknowledged_early:
                self._batches[mid] = batch
                return
            self._acknowledged_early.discard(mid)
            done = batch.acknowledged()
        if done:
            self._call_in_loop(_done, batch.done)

    def _send(self, message: RetainedMessage) -> int:
        info = self._client.publish(message.topic, message.payload, qos=1, retain=True)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            self._call_in_loop(self._end, paho.error_string(info.rc))
        return info.mid

    async def _unless_lost(self, future: "asyncio.Future[Any]") -> Any:
        await asyncio.wait({future, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            raise ConnectionLost(_reason(self.lost))
        return future.result()

    # The following methods run in paho's thread.

    def _on_connect(self, _: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
        if code.is_failure:
            self._call_in_loop(self._end, f"the broker answers: {code}")
        else:
            self._call_in_loop(_done, self._opened)

    def _on_disconnect(self, _: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
        self._call_in_loop(self._end, f"the connection ended: {code}")

    def _on_publish(self, _: Any, __: Any, mid: int, *___: Any) -> None:
        with self._lock:
            batch = self._batches.pop(mid, None)
            if batch is None:
                self._acknowledged_early.add(mid)
            done = batch is not None and batch.acknowledged()
            self._in_flight -= 1
            # Two for each acknowledgement, until the window is full.
            next_messages = self._dequeue(2)
        if batch and done:
            self._call_in_loop(_done, batch.done)
        for message, next_batch in next_messages:
            self._batches[self._send(message)] = next_batch

    def _on_subscribe(self, _: Any, __: Any, mid: int, codes: Any, ___: Any) -> None:
        self._call_in_loop(self._granted, mid, [code.value for code in codes])

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        self._call_in_loop(self._receive, message.topic, message.payload, message.retain)

    def _call_in_loop(self, callback: Callable[..., object], *values: object) -> None:
        _call(self._loop, callback, *values)

    # The following methods run in the event loop.

    def _granted(self, mid: int, codes: Sequence[int]) -> None:
        granted = self._subscribing.setdefault(mid, self._loop.create_future())
        granted.set_result(codes)

    def _end(self, reason: str) -> None:
        for future in (self._opened, self.lost):
            if not future.done():
                future.set_exception(ConnectionLost(reason))
                future.exception()  # else asyncio would log it as never retrieved

    async def open(self) -> None:
        """Connect. Raises ConnectionLost if that fails."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await in_daemon_thread(self._connect)
                self._client.loop_start()
                await self._opened
                return
        except TimeoutError:
            reason = "the broker does not answer"
        except (OSError, ValueError) as error:
            reason = str(error)
        # Raised here, so that the traceback of that error does not keep the socket.
        raise ConnectionLost(reason)

    def _connect(self) -> None:
        """Blocks. paho's own thread would not report the reason of a failure."""
        self._client.connect(self._address.host, self._address.port, KEEPALIVE_SECONDS)

    async def close(self) -> None:
        """Disconnect. Unacknowledged messages are dropped."""
        self._client.disconnect()
        await in_daemon_thread(self._client.loop_stop)
        self._end("this server closed it")


@asynccontextmanager
async def connected(address: Address, receive: Receive) -> AsyncIterator[Connection]:
    """Connect and disconnect. `receive` is called in the event loop with each message.

    Its arguments are topic, payload and whether the broker had retained the message. Raises
    ConnectionLost.
    """
    connection = Connection(address, receive)
    try:
        await connection.open()
        yield connection
    finally:
        await connection.close()


class _Batch:
    """A number of messages that wait for their acknowledgements."""

    def __init__(self, count: int, done: "asyncio.Future[None]") -> None:
        self.done = done
        self._left = count

    def acknowledged(self) -> bool:
        """Count one acknowledgement; call with the lock held. Return whether it was the last."""
        self._left -= 1
        return not self._left


def _client(address: Address) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"rollcall-{secrets.token_hex(6)}",
        protocol=paho.MQTTv311,
        reconnect_on_failure=False,
    )
    # Without a window of paho's, which scans all unacknowledged messages for each message.
    client.max_inflight_messages_set(0)
    client.username_pw_set(address.username, address.password)
    if address.tls:
        client.tls_set_context(tls_context(address))
    client.connect_timeout = CONNECT_SECONDS / 2
    return client


def _call(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *values: object
) -> None:
    with suppress(RuntimeError):  # the event loop is closed
        loop.call_soon_threadsafe(callback, *values)


def _done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _reason(lost: "asyncio.Future[None]") -> str:
    return str(lost.exception())
