"""An authenticated client and its MQTT session."""

import asyncio

from amqtt.mqtt.connect import ConnectPacket
from amqtt.session import ApplicationMessage, Session

from domain.mqtt.rights import Rights
from mqtt.auth.authenticator import Login
from mqtt.embedded.packet_stream import PacketStream

# Keep-alive periods without a packet (MQTT 3.1.1, section 3.1.2.10).
SILENT_KEEP_ALIVES = 1.5


class Client(Session):
    """An amqtt session with its user and that user's rights.

    `client_id` begins with the user name, so no user can take over another user's session.
    `filters`: subscribed topic filters and their QoS. `unreleased`: packet ids of accepted QoS 2
    messages that wait for PUBREL. `closed`: set when the connection ended and its will was sent.
    """

    client_id: str

    def __init__(
        self, connect: ConnectPacket, stream: PacketStream, login: Login, rights: Rights
    ) -> None:
        super().__init__()
        self.stream, self.login, self.rights = stream, login, rights
        self.client_id = f"{user_prefix(login.username)}{connect.client_id}"
        self.clean_session = connect.clean_session_flag
        self.will_flag, self.will_retain = connect.will_flag, connect.will_retain_flag
        self.will_topic, self.will_message = connect.will_topic, connect.will_message
        self.will_qos = connect.will_qos
        # `keep_alive` stays 0: amqtt's own timer would cut a packet in two.
        self.idle_seconds = connect.keep_alive * SILENT_KEEP_ALIVES
        self.filters: dict[str, int] = {}
        self.unreleased: set[int] = set()
        self.next_lookup_at = 0.0
        self.closed = asyncio.Event()

    @property
    def connected(self) -> bool:
        return bool(self.transitions.state == "connected")

    def resume(self, former: "Client") -> None:
        self.parent = 1
        self.filters, self.unreleased = former.filters, former.unreleased
        self.retained_messages = former.retained_messages

    def queue_message(self, message: ApplicationMessage, limit: int) -> None:
        """Queue for the next connection of a persistent session. A full queue drops the message."""
        if not self.clean_session and message.qos and self.retained_messages.qsize() < limit:
            self.retained_messages.put_nowait(message)

    def is_idle(self, now: float) -> bool:
        return 0 < self.idle_seconds < now - self.stream.last_packet_at


def user_prefix(username: str) -> str:
    """The start of all client ids of a user. Neither part can contain a NUL."""
    return f"{username}\0"
