"""MQTT 3.1.1 over a stream, with limits on time and size."""

# MicroPython has no name for the type of a function.
# mypy: disable-error-code="operator"

from esp_client import packets
from esp_client.clock import Timer
from esp_client.packets import MqttError
from esp_client.reader import Reader

REFUSALS = (
    "does not speak MQTT 3.1.1",
    "refuses this client id",
    "is not available",
    "refuses this user name or password",
    "does not authorize this device",
)


class Connection:
    """`on_message(topic, payload)` is called for every message; payload None: too long for the
    reader. It must not publish. `timeout`: seconds that the broker may take to reply. `keepalive`:
    seconds, at least 2.

    All methods may raise MqttError, OSError or ValueError. The connection is then unusable.
    """

    def __init__(self, stream: object, keepalive: int, timeout: float, on_message: object) -> None:
        self.stream = stream
        self.keepalive = keepalive
        self.timeout = timeout
        self.on_message = on_message
        self.reader = Reader(stream, keepalive, timeout)
        self.last = 0
        self.pinged = False
        self.quiet = Timer(keepalive / 2)  # since the broker's last packet
        self.idle = Timer(keepalive / 2)  # since the client's last packet
        self.due = Timer(timeout)

    def connect(self, client: str, user: str, password: str, will: tuple) -> None:
        """`will`: (topic, message)."""
        self.write(packets.connect(client, user, password, self.keepalive, will))
        code = self.reply(packets.CONNACK, b"", 2)[1]
        if code:
            reason = REFUSALS[code - 1] if code <= len(REFUSALS) else "refuses, code " + str(code)
            error = MqttError("the broker " + reason)
            error.refused = code in (4, 5)
            raise error

    def subscribe(self, filters: list) -> list:
        """Returns the filters that the broker refuses."""
        number = self.number()
        self.write(packets.subscribe(filters, number))
        codes = self.reply(packets.SUBACK, number, 2 + len(filters))[2:]
        return [name for name, code in zip(filters, codes) if code == 0x80]  # noqa: B905

    def unsubscribe(self, filters: list) -> None:
        number = self.number()
        self.write(packets.unsubscribe(filters, number))
        self.reply(packets.UNSUBACK, number, 2)

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """With QoS 1 or 2, wait until the broker has it."""
        number = self.number() if qos else b""
        self.write(packets.publish(topic, payload, qos, retain, number))
        if qos == 1:
            self.reply(packets.PUBACK, number, 2)
        elif qos == 2:
            self.reply(packets.PUBREC, number, 2)
            self.write(packets.packet(packets.PUBREL, number))
            self.reply(packets.PUBCOMP, number, 2)

    def disconnect(self) -> None:
        self.write(packets.packet(packets.DISCONNECT))

    def wait(self, seconds: float) -> None:
        """Receive at most one packet, and keep the connection alive with pings."""
        self.receive(seconds)
        if self.pinged:
            if not self.due.remaining():
                raise MqttError("the broker does not reply to a ping")
        elif not (self.quiet.remaining() and self.idle.remaining()):
            self.write(packets.packet(packets.PINGREQ))
            self.pinged = True
            self.due.restart(min(self.timeout, self.keepalive / 2))

    def number(self) -> bytes:
        """The next packet id, 1 to 65535."""
        self.last = self.last % 65535 + 1
        return self.last.to_bytes(2, "big")

    def write(self, data: bytes) -> None:
        self.stream.write(data)
        self.idle.restart(self.keepalive / 2)

    def reply(self, first: int, number: bytes, size: int) -> bytes:
        """The body of the reply to a packet; other packets that arrive first are processed."""
        timer = Timer(self.timeout)
        while timer.remaining():
            found, body = self.receive(timer.remaining())
            if found == first and body.startswith(number):
                if len(body) != size:
                    raise MqttError("a reply of wrong length")
                return body
        raise MqttError("the broker does not reply")

    def receive(self, seconds: float) -> tuple:
        """(first byte, body) of a packet; (0, b"") if none begins within `seconds`."""
        first, body = self.reader.packet(seconds)
        if first:
            self.pinged = False
            self.quiet.restart(self.keepalive / 2)
        if first & 0xF0 == packets.PUBLISH:
            topic, payload, number = body
            self.on_message(topic, payload)
            if number:
                self.write(packets.packet(packets.PUBACK, number))
            body = b""
        return first, body
