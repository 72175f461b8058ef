"""The start of a connection: credentials, first message, subprotocol, origin and address."""

from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from resolvers.access import authenticate
from resolvers.access.authenticate import Credential
from resolvers.services import Services
from server.graphql import service
from server.settings import Settings
from tests.conftest import ADMIN, changed
from tests.events.live.serving import CHANGES, Instance, Socket, dial, instance


@pytest.mark.parametrize("token", [None, "rca_unknown"])
async def test_connection_without_valid_token_closes_with_4401(
    one: Instance, token: str | None
) -> None:
    socket = Socket(await dial(one.url))
    payload = {"Authorization": f"Bearer {token}"} if token else None
    await socket.send({"type": "connection_init", "payload": payload})
    assert (await socket.closing())[0] == 4401


async def test_token_in_handshake_header_is_accepted(one: Instance) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    socket = await Socket.open(one.url, None, additional_headers=headers)
    await socket.connection.close()


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "subscribe", "id": "1", "payload": {"query": CHANGES}}, 4401),
        ({"type": "connection_init", "payload": []}, 4400),
        ({"type": "connection_init", "payload": {"Authorization": 1}}, 4400),
        ({"type": "connection_init", "payload": {"authorization": "Basic eA=="}}, 4401),
    ],
)
async def test_invalid_first_message_closes_with_code(one: Instance, first: Any, code: int) -> None:
    socket = Socket(await dial(one.url))
    await socket.send(first)
    assert (await socket.closing())[0] == code


async def test_subprotocol_negotiation(one: Instance) -> None:
    assert (await Socket(await dial(one.url, subprotocols=None)).closing())[0] == 4406
    connection = await dial(one.url, subprotocols=["graphql-transport-ws", "chat"])
    assert connection.subprotocol == "graphql-transport-ws"
    await connection.close()


async def test_websocket_from_foreign_origin_is_forbidden(settings: Settings) -> None:
    with_cors = changed(settings, cors_origins="https://console.example.com")
    async with instance(with_cors) as one:
        for origin in ("https://evil.example", "null", "http://[", f"http://127.0.0.1:{one.port}1"):
            with pytest.raises(InvalidStatus) as refused:
                await dial(one.url, origin=origin)
            assert refused.value.response.status_code == 403
        for origin in (f"http://127.0.0.1:{one.port}", "https://console.example.com"):
            await (await dial(one.url, origin=origin)).close()


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "asgi"])
@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ([], "127.0.0.1"),
        (["203.0.113.9"], "203.0.113.9"),
        (["198.51.100.7", "203.0.113.9"], "203.0.113.9"),
    ],
)
async def test_client_address_behind_a_proxy(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    forwarded: list[str],
    address: str,
    direct: bool,
) -> None:
    seen = []

    async def identify(services: Services, credential: Credential, address: str | None) -> Any:
        seen.append(address)
        return await authenticate.identify(services, credential, address)

    monkeypatch.setattr(service, "identify", identify)
    headers = [("X-Forwarded-For", each) for each in forwarded]
    async with instance(settings) as one:
        if not direct:
            one.app.live = None
        socket = await Socket.open(one.url, ADMIN, additional_headers=headers)
        await socket.connection.close()
    assert seen == [address]
