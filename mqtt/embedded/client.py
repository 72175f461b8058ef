"""A client that was let in."""

import asyncio

from amqtt.mqtt.connect import ConnectPacket
from amqtt.session import ApplicationMessage, Session

from domain.mqtt.rights import Rights
from mqtt.auth.authenticator import Login
from mqtt.embedded.packet_stream import PacketStream

# MQTT 3.1.1, section 3.1.2.10
SILENT_KEEP_ALIVES = 1.5


class Client(Session):
    """A session of amqtt, with whose it is and what that one may do.

    Its `client_id` begins with the user name: nobody comes by the session of somebody else.
    `filters`: what it is subscribed to, with the QoS. `unreleased`: packet ids of QoS 2 messages
    that were taken and await PUBREL. `gone`: set when the connection is over and its will sent.
    """

    client_id: str

    def __init__(
        self, connect: ConnectPacket, stream: PacketStream, login: Login, rights: Rights
    ) -> None:
        super().__init__()
        self.stream, self.login, self.rights = stream, login, rights
        self.client_id = f"{of_user(login.username)}{connect.client_id}"
        self.clean_session = connect.clean_session_flag
        self.will_flag, self.will_retain = connect.will_flag, connect.will_retain_flag
        self.will_topic, self.will_message = connect.will_topic, connect.will_message
        self.will_qos = connect.will_qos
        # `keep_alive` stays 0: amqtt's own timer only ever cuts a packet in two.
        self.silent_seconds = connect.keep_alive * SILENT_KEEP_ALIVES
        self.filters: dict[str, int] = {}
        self.unreleased: set[int] = set()
        self.ask_after = 0.0
        self.gone = asyncio.Event()

    @property
    def connected(self) -> bool:
        return bool(self.transitions.state == "connected")

    def resume(self, former: "Client") -> None:
        self.parent = 1
        self.filters, self.unreleased = former.filters, former.unreleased
        self.retained_messages = former.retained_messages

    def keep(self, message: ApplicationMessage, limit: int) -> None:
        """For when it comes back, if it asked for that. Over the limit, what is new is dropped."""
        if not self.clean_session and message.qos and self.retained_messages.qsize() < limit:
            self.retained_messages.put_nowait(message)

    def is_silent(self, now: float) -> bool:
        return 0 < self.silent_seconds < now - self.stream.heard_at


def of_user(username: str) -> str:
    """How the client ids of a user name begin. Neither part can hold a NUL."""
    return f"{username}\0"
