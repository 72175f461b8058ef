"""The MQTT client works in a process with over a thousand open descriptors."""

import os
import resource
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from domain.mqtt.messages import RetainedMessage
from mqtt.address import Address
from mqtt.client.connection import connected
from mqtt.client.paho_poll import wait
from tests.mqtt.embedded.broker import PASSWORD, Users, served
from tests.support.waiting import until

# select() supports descriptors up to 1,023.
MANY = 1_100


@pytest.fixture
def many_open() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * MANY:
        pytest.skip(f"needs {2 * MANY} descriptors, the system gives {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * MANY), hard))
    descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(MANY)]
    yield
    for number in descriptors:
        os.close(number)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_open")
async def test_connection_publishes_and_receives() -> None:
    received: list[tuple[str, bytes]] = []
    async with served(Users()) as broker:
        address = Address("127.0.0.1", broker.port, username="admin", password=PASSWORD)

        def receive(topic: str, payload: bytes, _: bool) -> None:
            received.append((topic, payload))

        async with connected(address, receive) as connection:
            await connection.subscribe("#")
            await connection.publish(
                [RetainedMessage(f"ann/hall/light/{n}", b"1") for n in range(200)]
            )
            await connection.subscribe("ann/#")
            await until(lambda: not connection.lost.done())


@pytest.mark.usefixtures("many_open")
def test_wait_behaves_as_select() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert one.fileno() >= MANY
        assert wait([one], [], [], 0.01) == ([], [], [])
        assert wait([one], [one], [], 5) == ([], [one], [])
        threading.Timer(0.05, other.send, [b"x"]).start()
        assert wait([one], [], [], 30) == ([one], [], [])
        other.close()
        assert wait([one], [], [], 5) == ([one], [], [])
        one.close()
        with pytest.raises(ValueError, match="negative"):
            wait([one], [], [], 0)
    assert hasattr(select, "poll")
