"""Takes a broker's packets from a stream, in bounded time and in bounded memory."""

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
    """`timeout`: seconds for a packet that has begun; `keepalive`: for one that is left out."""

    def __init__(self, stream: object, keepalive: int, timeout: float) -> None:
        self.stream = stream
        self.keepalive = keepalive
        self.timeout = timeout
        self.limit = Timer(timeout)

    def packet(self, seconds: float) -> tuple:
        """(first byte, body); (0, b"") where none begins within so many seconds.

        The body of a PUBLISH is (topic, payload, packet id), payload None where it is longer than
        MAX_BYTES.
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
        return first, self.exactly(size)

    def length(self) -> int:
        size = 0
        for shift in (0, 7, 14, 21):
            byte = self.exactly(1)[0]
            size |= (byte & 127) << shift
            if byte < 128:
                return size
        raise MqttError("a length without end")

    def message(self, first: int, size: int) -> tuple:
        qos = first >> 1 & 3
        if qos > 1:
            raise MqttError("a message with a QoS that was not asked for")
        whole = size <= MAX_BYTES
        data = self.exactly(size if whole else HEAD_BYTES)
        end = 2 + int.from_bytes(data[:2], "big")
        start = end + 2 * qos
        if len(data) < start:
            raise MqttError("a message that ends within its topic")
        if not whole:
            self.skip(size - HEAD_BYTES)
        return data[2:end].decode(), data[start:] if whole else None, data[end:start]

    def skip(self, size: int) -> None:
        # As long as the broker bears with us, who can't ping it meanwhile.
        self.limit.restart(self.keepalive)
        while size:
            size -= len(self.exactly(min(size, HEAD_BYTES)))

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            left = self.limit.remaining()
            chunk = self.stream.some(size - len(data), left) if left else None
            if not chunk:
                raise MqttError("the broker's packet ends too early")
            data += chunk
        return data
