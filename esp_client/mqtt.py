"""MQTT 3.1.1 over a stream: bounded in time and in size, whatever the broker does."""

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
    """`heard(topic, payload)` gets every message; payload None: longer than the reader takes.
    It must not publish. `timeout`: seconds that the broker may take for an answer. `keepalive`:
    seconds, at least 2.

    Everything raises MqttError, OSError or ValueError, after which the connection is of no use.
    """

    def __init__(self, stream: object, keepalive: int, timeout: float, heard: object) -> None:
        self.stream = stream
        self.keepalive = keepalive
        self.timeout = timeout
        self.heard = heard
        self.reader = Reader(stream, keepalive, timeout)
        self.last = 0
        self.pinged = False
        self.quiet = Timer(keepalive / 2)  # since the broker sent something
        self.idle = Timer(keepalive / 2)  # since this side did
        self.due = Timer(timeout)

    def connect(self, client: str, user: str, password: str, will: tuple) -> None:
        """`will`: (topic, message)."""
        self.write(packets.connect(client, user, password, self.keepalive, will))
        code = self.answer(packets.CONNACK, b"", 2)[1]
        if code:
            reason = REFUSALS[code - 1] if code <= len(REFUSALS) else "refuses, code " + str(code)
            error = MqttError("the broker " + reason)
            error.refused = code in (4, 5)
            raise error

    def subscribe(self, filters: list) -> list:
        """The filters that the broker refuses."""
        number = self.number()
        self.write(packets.subscribe(filters, number))
        codes = self.answer(packets.SUBACK, number, 2 + len(filters))[2:]
        return [name for name, code in zip(filters, codes) if code == 0x80]  # noqa: B905

    def unsubscribe(self, filters: list) -> None:
        number = self.number()
        self.write(packets.unsubscribe(filters, number))
        self.answer(packets.UNSUBACK, number, 2)

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Returns when the broker has it, with QoS 1 or 2."""
        number = self.number() if qos else b""
        self.write(packets.publish(topic, payload, qos, retain, number))
        if qos == 1:
            self.answer(packets.PUBACK, number, 2)
        elif qos == 2:
            self.answer(packets.PUBREC, number, 2)
            self.write(packets.packet(packets.PUBREL, number))
            self.answer(packets.PUBCOMP, number, 2)

    def disconnect(self) -> None:
        self.write(packets.packet(packets.DISCONNECT))

    def wait(self, seconds: float) -> None:
        """Takes one packet at most, and sees to it that both sides know of each other."""
        self.receive(seconds)
        if self.pinged:
            if not self.due.remaining():
                raise MqttError("the broker has fallen silent")
        elif not (self.quiet.remaining() and self.idle.remaining()):
            self.write(packets.packet(packets.PINGREQ))
            self.pinged = True
            self.due.restart(min(self.timeout, self.keepalive / 2))

    def number(self) -> bytes:
        """The next packet's id, 1 to 65535."""
        self.last = self.last % 65535 + 1
        return self.last.to_bytes(2, "big")

    def write(self, data: bytes) -> None:
        self.stream.write(data)
        self.idle.restart(self.keepalive / 2)

    def answer(self, first: int, number: bytes, size: int) -> bytes:
        """The body of the answer to a packet; what else arrives before it is dealt with."""
        timer = Timer(self.timeout)
        while timer.remaining():
            found, body = self.receive(timer.remaining())
            if found == first and body.startswith(number):
                if len(body) != size:
                    raise MqttError("an answer of wrong length")
                return body
        raise MqttError("the broker does not answer")

    def receive(self, seconds: float) -> tuple:
        """(first byte, body) of a packet; (0, b"") where none begins within so many seconds."""
        first, body = self.reader.packet(seconds)
        if first:
            self.pinged = False
            self.quiet.restart(self.keepalive / 2)
        if first & 0xF0 == packets.PUBLISH:
            topic, payload, number = body
            self.heard(topic, payload)
            if number:
                self.write(packets.packet(packets.PUBACK, number))
            body = b""
        return first, body
