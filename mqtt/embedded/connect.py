"""Who is let in: decided before amqtt hears of a client.

amqtt clears, or changes, the session of a client id before it looks at the password.
"""

import asyncio
from typing import NoReturn

from amqtt.mqtt.connack import NOT_AUTHORIZED, SERVER_UNAVAILABLE
from amqtt.mqtt.connect import ConnectPacket

from domain.errors import Unavailable
from domain.mqtt.rights import SERVER_RIGHTS, Rights
from mqtt.auth.authenticator import Authenticator, Login
from mqtt.embedded.client import Client
from mqtt.embedded.packet_stream import Malformed, PacketStream
from mqtt.embedded.packets import Refused, read_connect


class ConnectAuthenticator:
    def __init__(self, access: Authenticator, seconds: float) -> None:
        self._access = access
        self._seconds = seconds

    async def admit(self, stream: PacketStream) -> Client:
        """The client of a connection that has just been made.

        Raises Refused, and Malformed for who doesn't send a CONNECT in time.
        """
        try:
            async with asyncio.timeout(self._seconds):
                packet = await stream.packet()
        except TimeoutError as error:
            raise Malformed("no CONNECT in time") from error
        if packet is None:
            raise Malformed("closed before a CONNECT")
        return await self._let_in(await read_connect(packet), stream)

    async def _let_in(self, connect: ConnectPacket, stream: PacketStream) -> Client:
        """A will it may not publish is refused here: else a device would never be told."""
        try:
            async with asyncio.timeout(self._seconds):
                login = await self._login(connect)
                client = Client(connect, stream, login, await self._rights(login))
        except (Unavailable, TimeoutError) as error:
            raise Refused(SERVER_UNAVAILABLE) from error
        if client.will_flag and not client.rights.may_publish(client.will_topic or ""):
            _refuse()
        return client

    async def _login(self, connect: ConnectPacket) -> Login:
        if not connect.username:
            _refuse()
        return await self._access.login(connect.username, connect.password or "") or _refuse()

    async def _rights(self, login: Login) -> Rights:
        if login.token_id is None:
            return SERVER_RIGHTS
        return (await self._access.rights([login])).get(login) or _refuse()


def _refuse() -> NoReturn:
    raise Refused(NOT_AUTHORIZED)
