"""One connection to the broker, by paho-mqtt in a thread of its own.

paho's callbacks hand over to the event loop, and do nothing else. A connection that was lost is
not mended, since paho would send what was true before: a new one begins from the database.
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

# For a batch; a broker that takes longer is given up.
PUBLISH_SECONDS = 40
# Unacknowledged messages on the way; above 100 it becomes no faster.
WINDOW = 100
KEEPALIVE_SECONDS = 20
CONNECT_SECONDS = 10

Receive = Callable[[str, bytes, bool], None]

use_poll()


class ConnectionLost(Exception):
    """There is no connection to the broker, or none any more; the text says why."""


class Connection:
    """`lost` is done, with the reason as its exception, when the connection is over."""

    def __init__(self, address: Address, receive: Receive) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._receive = receive
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._to_publish: deque[tuple[RetainedMessage, _Batch]] = deque()
        self._on_the_way = 0
        self._waiting: dict[int, _Batch] = {}
        self._early: set[int] = set()
        # Never held while paho is called, which calls back with locks of its own.
        self._lock = threading.Lock()
        self._subscribing: dict[int, asyncio.Future[Sequence[int]]] = {}
        self._client = _client(address)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    async def publish(self, messages: Sequence[RetainedMessage]) -> None:
        """In this order; returns when the broker has acknowledged all. Raises ConnectionLost.

        Only the first is handed to paho here: two threads that both publish would wait for each
        other all the time.
        """
        if not messages:
            return
        batch = _Batch(len(messages), self._loop.create_future())
        with self._lock:
            self._to_publish.extend((message, batch) for message in messages)
            first = self._take(1) if not self._on_the_way else []
        for message in first:
            self._hand_over_first(*message)
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                await self._unless_lost(batch.done)
        except TimeoutError:
            raise ConnectionLost("it acknowledges too slowly") from None

    async def subscribe(self, *filters: str) -> None:
        """Returns when the broker has granted them. Raises ConnectionLost."""
        code, mid = self._client.subscribe([(filter, 1) for filter in filters])
        if code != paho.MQTT_ERR_SUCCESS or mid is None:
            raise ConnectionLost(paho.error_string(code))
        granted = self._subscribing.setdefault(mid, self._loop.create_future())
        codes = await self._unless_lost(granted)
        if max(codes) >= 0x80:  # noqa: PLR2004  MQTT 3.1.1, section 3.9.3
            raise ConnectionLost(
                f"it refuses {' and '.join(filters)}: this server needs all rights"
            )

    def _take(self, most: int) -> list[tuple[RetainedMessage, "_Batch"]]:
        """With the lock held."""
        count = min(most, WINDOW - self._on_the_way, len(self._to_publish))
        self._on_the_way += count
        return [self._to_publish.popleft() for _ in range(count)]

    def _hand_over_first(self, message: RetainedMessage, batch: "_Batch") -> None:
        """The acknowledgement may come, in the other thread, before the id that it is about."""
        mid = self._send(message)
        with self._lock:
            if mid not in self._early:
                self._waiting[mid] = batch
                return
            self._early.discard(mid)
            done = batch.acknowledged()
        if done:
            self._tell(_done, batch.done)

    def _send(self, message: RetainedMessage) -> int:
        info = self._client.publish(message.topic, message.payload, qos=1, retain=True)
        if info.rc != paho.MQTT_ERR_SUCCESS:
            self._tell(self._over, paho.error_string(info.rc))
        return info.mid

    async def _unless_lost(self, future: "asyncio.Future[Any]") -> Any:
        await asyncio.wait({future, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            raise ConnectionLost(_reason(self.lost))
        return future.result()

    # From here on in paho's thread.

    def _on_connect(self, _: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
        if code.is_failure:
            self._tell(self._over, f"it says: {code}")
        else:
            self._tell(_done, self._opened)

    def _on_disconnect(self, _: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
        self._tell(self._over, f"the connection ended: {code}")

    def _on_publish(self, _: Any, __: Any, mid: int, *___: Any) -> None:
        with self._lock:
            batch = self._waiting.pop(mid, None)
            if batch is None:
                self._early.add(mid)
            done = batch is not None and batch.acknowledged()
            self._on_the_way -= 1
            # Two for one, until the window is full.
            taken = self._take(2)
        if batch and done:
            self._tell(_done, batch.done)
        for message, next_batch in taken:
            self._waiting[self._send(message)] = next_batch

    def _on_subscribe(self, _: Any, __: Any, mid: int, codes: Any, ___: Any) -> None:
        self._tell(self._granted, mid, [code.value for code in codes])

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        self._tell(self._receive, message.topic, message.payload, message.retain)

    def _tell(self, callback: Callable[..., object], *values: object) -> None:
        _call(self._loop, callback, *values)

    # And here in the loop's again.

    def _granted(self, mid: int, codes: Sequence[int]) -> None:
        granted = self._subscribing.setdefault(mid, self._loop.create_future())
        granted.set_result(codes)

    def _over(self, reason: str) -> None:
        for future in (self._opened, self.lost):
            if not future.done():
                future.set_exception(ConnectionLost(reason))
                future.exception()  # it may be that nobody asks

    async def open(self) -> None:
        """Raises ConnectionLost."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await in_daemon_thread(self._connect)
                self._client.loop_start()
                await self._opened
                return
        except TimeoutError:
            reason = "it does not answer"
        except (OSError, ValueError) as error:
            reason = str(error)
        # Out here, so that nobody keeps the socket by the traceback of that error.
        raise ConnectionLost(reason)

    def _connect(self) -> None:
        """In a thread, since it blocks; here, for the reason where it fails."""
        self._client.connect(self._address.host, self._address.port, KEEPALIVE_SECONDS)

    async def close(self) -> None:
        """What is on its way is forgotten."""
        self._client.disconnect()
        await in_daemon_thread(self._client.loop_stop)
        self._over("it was closed")


@asynccontextmanager
async def connected(address: Address, receive: Receive) -> AsyncIterator[Connection]:
    """`receive` is called in the loop with topic, payload and whether the broker had it retained.

    Raises ConnectionLost.
    """
    connection = Connection(address, receive)
    try:
        await connection.open()
        yield connection
    finally:
        await connection.close()


class _Batch:
    """So many messages to be acknowledged."""

    def __init__(self, count: int, done: "asyncio.Future[None]") -> None:
        self.done = done
        self._left = count

    def acknowledged(self) -> bool:
        """One more, with the connection's lock held. Whether it was the last."""
        self._left -= 1
        return not self._left


def _client(address: Address) -> paho.Client:
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"rollcall-{secrets.token_hex(6)}",
        protocol=paho.MQTTv311,
        reconnect_on_failure=False,
    )
    # No window of paho's: for one it looks through all that is on its way, at each message.
    client.max_inflight_messages_set(0)
    client.username_pw_set(address.username, address.password)
    if address.tls:
        client.tls_set_context(tls_context(address))
    client.connect_timeout = CONNECT_SECONDS / 2
    return client


def _call(
    loop: asyncio.AbstractEventLoop, callback: Callable[..., object], *values: object
) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(callback, *values)


def _done(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _reason(lost: "asyncio.Future[None]") -> str:
    return str(lost.exception())
