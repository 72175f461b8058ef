"""The MQTT session of a device with a real broker."""

from pathlib import Path

from tests.esp_client.mqtt.proxy import tcp_proxy
from tests.esp_client.observer import Observer
from tests.esp_client.running import BASE, DEVICE, ID, Probe, running
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_for

CONFIG, STATE, STATUS = DEVICE["topics"]["config"], f"{BASE}/state", f"{BASE}/status"
ACKNOWLEDGED = b'{"v":3,"fw":"1.2.0"}'


def config(version: int, **values: object) -> dict[str, object]:
    return {"v": version, "interval": 30, "qos": 1, "at": 1764000000, **values}


def test_publishes_online_state_and_offline(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    with running(tmp_path, broker.port) as device:
        observer.wait(STATUS, b"online")
        observer.wait(STATE, ACKNOWLEDGED)
        late = Observer(broker.port)
        late.wait(STATUS, b"online")
        late.wait(STATE, ACKNOWLEDGED)
        late.close()
        device.wait_for_line("connected to 127.0.0.1:")
    observer.wait(STATUS, b"offline")
    assert f"as {ID} (p2, c1, k60, u'{ID}')" in broker.log.read_text()


def test_closed_connection_triggers_last_will_and_reconnect(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    with tcp_proxy(broker.port) as proxy, running(tmp_path, proxy.port):
        observer.wait(STATE, ACKNOWLEDGED)
        proxy.disconnect()
        observer.wait(STATUS, b"offline")
        observer.wait(STATUS, b"online", 2)
        observer.wait(STATE, ACKNOWLEDGED, 2)


def test_silent_connection_is_noticed_by_ping(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    with (
        tcp_proxy(broker.port) as proxy,
        running(tmp_path, proxy.port, keepalive=2, patience=0.5) as device,
    ):
        device.wait_for_line("connected")
        proxy.silent = True
        device.wait_for_line("no broker: the broker does not reply to a ping")
        proxy.silent = False
        observer.wait(STATE, ACKNOWLEDGED, 2)


def test_config_is_stored_then_acknowledged(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    plugin = Probe()
    with running(tmp_path, broker.port, plugin) as device:
        observer.publish(CONFIG, config(7, qos=2, set={"offset": 0.5}), retain=True)
        observer.wait(STATE, b'{"v":7,"fw":"1.2.0"}')
        stored = device.stored
        assert stored["device"]["config"] == {"version": 7, "intervalSeconds": 30, "qos": 2}
        assert stored["device"]["topics"] == DEVICE["topics"]
        assert stored["set"] == {"offset": 0.5}
        assert plugin.configs[-1] == {"v": 7, "interval": 30, "qos": 2, "set": {"offset": 0.5}}
        assert "config v7 applied" in device.lines


def test_old_version_and_invalid_payload_change_nothing(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    with running(tmp_path, broker.port) as device:
        observer.wait(STATE, ACKNOWLEDGED)
        for version in (2, 1):
            observer.publish(CONFIG, config(version), retain=True)
        for payload in (
            b"",
            b"{",
            b"[]",
            b"[" * 2000,
            b'{"v":true}',
            b'{"v":99999999999}',
            b"\xff",
        ):
            observer.publish(CONFIG, payload)
        observer.publish(CONFIG, config(4), retain=True)
        observer.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
        assert observer.payloads(STATE) == [ACKNOWLEDGED, b'{"v":4,"fw":"1.2.0"}']
        assert [line for line in device.lines if line.endswith("applied")] == ["config v4 applied"]


def test_applied_version_is_acknowledged_again_when_published_again(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    """A retained config with the applied version is not acknowledged again."""
    observer.publish(CONFIG, config(3), retain=True)
    with running(tmp_path, broker.port, Probe("21")):
        observer.wait(STATE, ACKNOWLEDGED)
        # The first measurement follows the processing of retained messages.
        wait_for(lambda: bool(observer.payloads(BASE)))
        observer.publish(CONFIG, config(3), retain=True)
        observer.wait(STATE, ACKNOWLEDGED, 2)
        observer.wait(STATUS, b"online", 2)
        observer.publish(CONFIG, config(4), retain=True)
        observer.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
        assert observer.payloads(STATE).count(ACKNOWLEDGED) == 2


def test_set_values_are_applied_also_for_version_known_from_server(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    plugin = Probe()
    observer.publish(CONFIG, config(3, set={"low": 18}), retain=True)
    with running(tmp_path, broker.port, plugin) as device:
        observer.wait(STATE, ACKNOWLEDGED, 2)
        assert [config["set"] for config in plugin.configs] == [{}, {"low": 18}]
        assert device.stored["set"] == {"low": 18}


INTERVAL = b"interval must be 1 to 604800 seconds"
QOS = b"qos must be 0, 1 or 2"
LISTEN = b"listen must be a list of topic filters"
TOPIC = b"topic must be a topic name"
WRONG: list[tuple[dict[str, object], bytes]] = [
    ({"interval": 0}, INTERVAL),
    ({"interval": 604801}, INTERVAL),
    ({"interval": "60"}, INTERVAL),
    ({"qos": 3}, QOS),
    ({"qos": None}, QOS),
    ({"listen": "a/b"}, LISTEN),
    ({"listen": ["a/#/b"]}, LISTEN),
    ({"listen": ["a/b+"]}, LISTEN),
    ({"listen": [""]}, LISTEN),
    ({"listen": ["a\x01b"]}, LISTEN),
    ({"listen": ["a\ud800b"]}, LISTEN),
    ({"listen": [None]}, LISTEN),
    ({"topic": "acme/+"}, TOPIC),
    ({"topic": ""}, TOPIC),
    ({"set": []}, b"set must be an object"),
]


def test_invalid_values_are_rejected_and_change_nothing(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    with running(tmp_path, broker.port) as device:
        for version, (values, error) in enumerate(WRONG, 4):
            observer.publish(CONFIG, config(version, **values), retain=True)
            observer.wait(STATE, b'{"v":%d,"error":"%s"}' % (version, error))
        assert device.stored["device"] == DEVICE


def test_plugin_can_reject_a_config(broker: Mosquitto, observer: Observer, tmp_path: Path) -> None:
    plugin = Probe()
    plugin.errors = {8: "x" * 500}
    with running(tmp_path, broker.port, plugin) as device:
        observer.publish(CONFIG, config(8), retain=True)
        observer.wait(STATE, b'{"v":8,"error":"%s"}' % (b"x" * 200))
        assert device.stored["device"] == DEVICE


def test_receives_messages_of_its_sources_but_not_its_own(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    plugin = Probe(21.5)
    other = "acme/paris/temperature/other"
    with running(tmp_path, broker.port, plugin) as device:
        listening = config(4, listen=["acme/paris/temperature/+"], interval=1)
        observer.publish(CONFIG, listening, retain=True)
        observer.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
        plugin.values = [22.5]
        observer.wait(BASE, b"22.5")
        for payload in (b"19.5", b"raise", b"20.5"):
            observer.publish(other, payload)
        wait_for(lambda: len(plugin.messages) >= 3)
        assert plugin.messages == [(other, b"19.5"), (other, b"raise"), (other, b"20.5")]
        assert f"received {other} 19.5" in device.lines
        observer.publish(CONFIG, config(5, listen=["acme/rome/#"]), retain=True)
        observer.wait(STATE, b'{"v":5,"fw":"1.2.0"}')
        observer.publish(other, b"lost")
        observer.publish("acme/rome/temperature/other", b"25")
        wait_for(lambda: len(plugin.messages) >= 4)
        assert plugin.messages[3:] == [("acme/rome/temperature/other", b"25")]


def test_subscribes_again_after_broker_restart(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    plugin = Probe()
    with running(tmp_path, broker.port, plugin):
        observer.publish(CONFIG, config(4, listen=["acme/paris/temperature/+"]), retain=True)
        observer.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
        broker.kill()
        broker.start()
        observer.wait(STATE, b'{"v":4,"fw":"1.2.0"}', 2)
        observer.wait(STATUS, b"online", 2)
        observer.publish("acme/paris/temperature/other", b"19.5")
        wait_for(lambda: bool(plugin.messages))
        observer.publish(CONFIG, config(5), retain=True)
        observer.wait(STATE, b'{"v":5,"fw":"1.2.0"}')


def test_measurements_use_the_qos_of_the_config(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    plugin = Probe(OSError("no sensor"))
    with running(tmp_path, broker.port, plugin) as device:
        device.wait_for_line("the plug-in can't read: no sensor")
        for qos, value, sent in (
            (0, 3, b"3"),
            (1, {"t": 21.5}, b'{"t":21.5}'),
            (2, b"\x01", b"\x01"),
        ):
            plugin.values = [value]
            observer.publish(CONFIG, config(4 + qos, interval=1, qos=qos), retain=True)
            observer.wait(BASE, sent)
            assert [item for item in observer.received if item[0] == BASE][-1] == (BASE, sent, qos)
        assert observer.payloads(BASE) == [b"3", b'{"t":21.5}', b"\x01"]


def test_unacknowledged_measurement_is_sent_after_reconnect(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    class Disconnecting(Probe):
        """A plug-in whose first measurement makes the proxy drop all data."""

        def read(self) -> str | None:
            value, self.values = self.values[:1], []
            proxy.silent = bool(value)
            return value[0] if value else None

    with tcp_proxy(broker.port) as proxy, running(tmp_path, proxy.port, Disconnecting("21.5")):
        wait_for(lambda: proxy.silent)
        proxy.disconnect()
        proxy.silent = False
        observer.wait(BASE, b"21.5")
        assert proxy.connections == 2


def test_move_is_acknowledged_on_the_new_topic(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    new = f"acme/rome/temperature/{ID}"
    with tcp_proxy(broker.port) as proxy, running(tmp_path, proxy.port) as device:
        observer.publish(CONFIG, config(6, topic=new), retain=True)
        observer.wait(f"{new}/state", b'{"v":6,"fw":"1.2.0"}')
        assert observer.payloads(f"{new}/status") == [b"online"]
        assert observer.payloads(STATUS) == [b"online"]
        assert b'{"v":6,"fw":"1.2.0"}' not in observer.payloads(STATE)
        assert device.stored["device"]["topics"] == {
            "data": new,
            "config": f"{new}/config",
            "state": f"{new}/state",
            "status": f"{new}/status",
            "listen": [],
        }
        observer.publish(f"{new}/config", config(7, topic=new))
        observer.wait(f"{new}/state", b'{"v":7,"fw":"1.2.0"}')
        assert proxy.connections == 2
        proxy.disconnect()
        observer.wait(f"{new}/status", b"offline")
        assert observer.payloads(STATUS) == [b"online"]
