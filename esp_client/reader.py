"""Reads a broker's packets from a stream, with limits on time and memory."""

from esp_client import packets
from esp_client.clock import Timer
from esp_client.packets import MqttError

MAX_BYTES = 2048
HEAD_BYTES = 512
EXPECTED = (
    packets.CONNACK,
    packets.PUBACK,
    packets.PUBREC,
    packets.PUBCOMP,
    packets.SUBACK,
    packets.UNSUBACK,
    packets.PINGRESP,
)


class Reader:
    """`timeout`: seconds for a packet that has begun. `keepalive`: seconds to skip a long one."""

    def __init__(self, stream: object, keepalive: int, timeout: float) -> None:
        self.stream = stream
        self.keepalive = keepalive
        self.timeout = timeout
        self.limit = Timer(timeout)

    def packet(self, seconds: float) -> tuple:
        """(first byte, body); (0, b"") if none begins within `seconds`.

        The body of a PUBLISH is (topic, payload, packet id); payload None: the message is longer
        than MAX_BYTES.
        """
        start = self.stream.some(1, seconds)
        if start is None:
            return 0, b""
        if not start:
            raise MqttError("the broker closed the connection")
        self.limit.restart(self.timeout)
        first, size = start[0], self.length()
        if first & 0xF0 == packets.PUBLISH:
            return first, self.message(first, size)
        if first not in EXPECTED or size > MAX_BYTES:
            raise MqttError("not a packet for a client: " + hex(first))
        return first, self.read(size)

    def length(self) -> int:
        size = 0
        for shift in (0, 7, 14, 21):
            byte = self.read(1)[0]
            size |= (byte & 127) << shift
            if byte < 128:
                return size
        raise MqttError("an invalid packet length")

    def message(self, first: int, size: int) -> tuple:
        qos = first >> 1 & 3
        if qos > 1:
            raise MqttError("a message with a QoS that was not subscribed")
        fits = size <= MAX_BYTES
        data = self.read(size if fits else HEAD_BYTES)
        end = 2 + int.from_bytes(data[:2], "big")
        start = end + 2 * qos
        if len(data) < start:
            raise MqttError("a message that ends within its topic")
        if not fits:
            self.skip(size - HEAD_BYTES)
        return data[2:end].decode(), data[start:] if fits else None, data[end:start]

    def skip(self, size: int) -> None:
        # The client can't ping meanwhile, so the broker waits no longer than the keep-alive.
        self.limit.restart(self.keepalive)
        while size:
            size -= len(self.read(min(size, HEAD_BYTES)))

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            left = self.limit.remaining()
            chunk = self.stream.some(size - len(data), left) if left else None
            if not chunk:
                raise MqttError("the broker's packet ends too early")
            data += chunk
        return data
