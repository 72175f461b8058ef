"""Authenticates a connection before amqtt handles it.

amqtt itself clears or changes the session of a client id before it checks the password.
"""

import asyncio
from typing import NoReturn

from amqtt.mqtt.connack import NOT_AUTHORIZED, SERVER_UNAVAILABLE
from amqtt.mqtt.connect import ConnectPacket

from domain.errors import Unavailable
from domain.mqtt.rights import SERVER_RIGHTS, Rights
from mqtt.auth.authenticator import Authenticator, Login
from mqtt.embedded.client import Client
from mqtt.embedded.limits import BrokerLimits
from mqtt.embedded.packet_stream import Malformed, PacketStream
from mqtt.embedded.packets import Refused, read_connect


class ConnectAuthenticator:
    def __init__(self, access: Authenticator, limits: BrokerLimits) -> None:
        self._access = access
        self._seconds = limits.connect_seconds
        self._max_bytes = limits.connect_bytes

    async def authenticate(self, stream: PacketStream) -> Client:
        """Read CONNECT from a new connection and return its client.

        Raises Refused if access is denied, Malformed if no valid CONNECT arrives in time.
        """
        try:
            async with asyncio.timeout(self._seconds):
                packet = await stream.packet(self._max_bytes)
        except TimeoutError as error:
            raise Malformed("no CONNECT in time") from error
        if packet is None:
            raise Malformed("closed before a CONNECT")
        return await self._authenticate(await read_connect(packet), stream)

    async def _authenticate(self, connect: ConnectPacket, stream: PacketStream) -> Client:
        """Refuse a will without the right to publish it: MQTT has no later way to report that."""
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
