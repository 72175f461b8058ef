"""Connections, rights and queued messages of clients when Mosquitto reloads its files."""

import resource
import time
from pathlib import Path

import pytest

from domain.mqtt.accounts import Account, mosquitto_hash
from domain.mqtt.rights import Rights
from tests.mqtt.mosquitto.file_broker import BASE, HASH, SERVER, Broker, device, many
from tests.support.waiting import wait_for


def test_reload_accepts_new_and_disconnects_removed_accounts(broker: Broker) -> None:
    other = mosquitto_hash("another-password")
    with broker.client("one") as removed, broker.client("two") as renewed:
        assert removed.connected
        assert renewed.connected
        assert not broker.accepts("three")
        broker.files.write([SERVER, device("two", password_hash=other), device("three")])
        wait_for(lambda: removed.ended and renewed.ended)
    assert broker.accepts("three")
    assert broker.accepts("two", "another-password")
    assert not broker.accepts("two")
    assert not broker.accepts("one")


def test_reload_keeps_connections_of_unchanged_accounts(broker: Broker) -> None:
    with broker.client("rollcall") as server, broker.client("one") as one:
        one.subscribe(f"{BASE}/one/config")
        connects = broker.log.read_text().count(" as one ")
        broker.files.write([device("new"), SERVER, device("one"), device("two")])
        assert broker.accepts("new")
        server.sent(f"{BASE}/one/config", "still here")
        one.wait(lambda: bool(one.received))
        assert not one.ended
        assert not server.ended
        assert broker.log.read_text().count(" as one ") == connects == 1


def test_changed_rights_apply_to_open_connections(broker: Broker) -> None:
    source = f"{BASE}/two"
    broker.files.write([SERVER, device("one", source), device("two")])
    with broker.client("rollcall") as server, broker.client("one") as one:
        for filter in (source, f"{BASE}/one/config"):
            one.subscribe(filter)
        server.subscribe(f"{BASE}/#")
        server.sent(source, "1")
        one.wait(lambda: len(one.received) == 1)
        broker.files.write(
            [SERVER, Account("one", HASH, Rights((), (f"{BASE}/one/config",))), device("two")]
        )
        one.alive()
        one.sent(f"{BASE}/one", "no longer")
        server.sent(source, "2")
        server.sent(f"{BASE}/one/config", "3")
        one.wait(lambda: len(one.received) == 2)
        broker.files.write([SERVER, device("one", source), device("two")])
        one.alive()
        one.sent(f"{BASE}/one", "again")
        server.sent(source, "4")
        one.wait(lambda: len(one.received) == 3)
        assert [payload for _, payload in one.received] == ["1", "3", "4"]
        server.wait(lambda: (source, "4") in server.received)
        assert "no longer" not in str(server.received)
        assert (f"{BASE}/one", "again") in server.received


def test_wider_subscription_receives_only_allowed_topics(broker: Broker) -> None:
    """Mosquitto 2.0 grants every subscription, and checks the right for each message."""
    broker.files.write([SERVER, device("one", "acme/paris/+/+")])
    allowed = {"acme/paris/temperature/x", "acme/paris/humidity/y", f"{BASE}/one/config"}
    denied = {f"{BASE}/x/config", f"{BASE}/x/state", "acme/rome/temperature/x", "acme/paris/x"}
    with broker.client("rollcall") as server:
        for filter in ("acme/paris/+/+", "#", "acme/#", "+/+/+/+", "acme/+/+/+/config"):
            with broker.client("one") as one:
                assert one.subscribe(filter)
                one.subscribe(f"{BASE}/one/config")
                for topic in sorted(denied | allowed, key=lambda topic: topic in allowed):
                    server.sent(topic, "x", retain=True)
                server.sent(f"{BASE}/one/config", "end")
                one.wait(lambda: (f"{BASE}/one/config", "end") in one.received)
                wide = filter != "acme/+/+/+/config"
                assert one.topics() == (allowed if wide else {f"{BASE}/one/config"})


def test_will_of_removed_account_is_not_published(broker: Broker) -> None:
    """Rollcall must therefore publish `offline` itself when it revokes a device's token."""
    status = f"{BASE}/one/status"
    with broker.client("rollcall") as server:
        server.subscribe(f"{BASE}/#")
        one = broker.client("one")
        one.client.will_set(status, "offline", 1, retain=True)
        assert one.connect()
        one.sent(status, "online", retain=True)
        broker.files.write([SERVER, device("two")])
        one.wait(lambda: False)
        one.stop()
        server.sent(f"{BASE}/end", "")
        server.wait(lambda: (f"{BASE}/end", "") in server.received)
        assert [payload for _, payload in server.received] == ["online", ""]


def test_queued_messages_survive_a_reload(broker: Broker) -> None:
    config = f"{BASE}/one/config"
    with broker.client("one", clean=False) as one:
        one.subscribe(config)
    with broker.client("rollcall") as server:
        server.sent(config, "before")
        broker.files.write([SERVER, device("one"), device("three")])
        server.alive()
        server.sent(config, "after")
    with broker.client("one", clean=False) as one:
        assert one.session_present
        one.wait(lambda: one.received == [(config, "before"), (config, "after")])


def test_reload_with_twenty_thousand_devices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker(tmp_path)
    broker.files.write([SERVER])
    broker.start()
    try:
        with broker.client("rollcall") as server:
            began = time.monotonic()
            broker.files.write([SERVER, *many(20_000)])
            wrote = time.monotonic() - began
            assert server.alive()
            answered = time.monotonic() - began
        assert broker.accepts(f"{19_999:032x}")
    finally:
        broker.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with capsys.disabled():
        print(  # noqa: T201
            f"\n20,000 accounts: written in {wrote:.1f} s, the broker responds again after"
            f" {answered:.1f} s; peak memory of this process {peak} MB"
        )
