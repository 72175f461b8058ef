"""Attacks by a device on Mosquitto with the files of Rollcall, and without them."""

from collections.abc import Iterator

import pytest

from domain.mqtt.accounts import mosquitto_hash
from domain.mqtt.topics import topics_of
from tests.mqtt.attacks import ATTACKS, Party, Target
from tests.mqtt.mosquitto.file_broker import BASE, PASSWORD, SERVER, Broker, device


@pytest.fixture(scope="module")
def protected_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("protected"))
    devices = [device(name, password_hash=mosquitto_hash(f"of-{name}")) for name in ("one", "two")]
    broker.files.write([SERVER, *devices])
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def protected(protected_broker: Broker) -> Target:
    return target(protected_broker, protected_broker.port)


def target(broker: Broker, port: int) -> Target:
    """`port`: of the devices."""
    attacker, victim = (
        Party(name, f"of-{name}", port, topics_of(f"{BASE}/{name}")) for name in ("one", "two")
    )
    observer = Party("rollcall", PASSWORD, broker.second_port, topics_of("rollcall"))
    return Target("127.0.0.1", attacker, victim, observer)


@pytest.fixture(scope="module")
def unprotected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A broker that gives every client all rights."""
    broker = Broker(tmp_path_factory.mktemp("unprotected"))
    broker.lines = ("allow_anonymous true", "sys_interval 1", f"listener {broker.second_port}")
    broker.start()
    with broker.client("rollcall") as client:
        client.subscribe("$SYS/#")
        client.wait(lambda: bool(client.received))
    yield target(broker, broker.port)
    broker.stop()


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_blocked(protected: Target, name: str) -> None:
    assert ATTACKS[name](protected) == []


# Mosquitto allows no client to publish there.
@pytest.mark.parametrize("name", sorted(ATTACKS.keys() - {"publish to $SYS"}))
def test_attack_succeeds_on_unprotected_broker(unprotected: Target, name: str) -> None:
    assert ATTACKS[name](unprotected) != []


def test_take_over_succeeds_where_clients_choose_their_client_id(
    protected_broker: Broker,
) -> None:
    """The second port has no `use_username_as_clientid`."""
    second_port = target(protected_broker, protected_broker.second_port)
    assert ATTACKS["take over another's connection"](second_port) == ["two was disconnected"]
    assert ATTACKS["take over another's session"](second_port) == ["a message to two is lost"]
