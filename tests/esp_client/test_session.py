"""A device at a real broker, seen by an ordinary MQTT client."""

from pathlib import Path

from tests.esp_client.neighbour import Neighbour
from tests.esp_client.running import BASE, DEVICE, ID, Probe, running
from tests.esp_client.wire import wire
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_for

CONFIG, STATE, STATUS = DEVICE["topics"]["config"], f"{BASE}/state", f"{BASE}/status"
IN_FORCE = b'{"v":3,"fw":"1.2.0"}'


def config(version: int, **values: object) -> dict[str, object]:
    return {"v": version, "interval": 30, "qos": 1, "at": 1764000000, **values}


def test_it_announces_itself_and_says_good_bye(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    with running(tmp_path, broker.port) as device:
        neighbour.wait(STATUS, b"online")
        neighbour.wait(STATE, IN_FORCE)
        late = Neighbour(broker.port)
        late.wait(STATUS, b"online")
        late.wait(STATE, IN_FORCE)
        late.close()
        device.says("connected to 127.0.0.1:")
    neighbour.wait(STATUS, b"offline")
    assert f"as {ID} (p2, c1, k60, u'{ID}')" in broker.log.read_text()


def test_a_killed_connection_leaves_the_last_will_and_is_made_anew(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    with wire(broker.port) as between, running(tmp_path, between.port):
        neighbour.wait(STATE, IN_FORCE)
        between.cut()
        neighbour.wait(STATUS, b"offline")
        neighbour.wait(STATUS, b"online", 2)
        neighbour.wait(STATE, IN_FORCE, 2)


def test_a_dead_connection_is_noticed(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    with (
        wire(broker.port) as between,
        running(tmp_path, between.port, keepalive=2, patience=0.5) as device,
    ):
        device.says("connected")
        between.dead = True
        device.says("no broker: the broker has fallen silent")
        between.dead = False
        neighbour.wait(STATE, IN_FORCE, 2)


def test_a_config_is_stored_then_acknowledged(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    plugin = Probe()
    with running(tmp_path, broker.port, plugin) as device:
        neighbour.publish(CONFIG, config(7, qos=2, set={"offset": 0.5}), retain=True)
        neighbour.wait(STATE, b'{"v":7,"fw":"1.2.0"}')
        stored = device.stored
        assert stored["device"]["config"] == {"version": 7, "intervalSeconds": 30, "qos": 2}
        assert stored["device"]["topics"] == DEVICE["topics"]
        assert stored["set"] == {"offset": 0.5}
        assert plugin.configs[-1] == {"v": 7, "interval": 30, "qos": 2, "set": {"offset": 0.5}}
        assert "config v7 applied" in device.lines


def test_an_old_version_changes_nothing(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    with running(tmp_path, broker.port) as device:
        neighbour.wait(STATE, IN_FORCE)
        for version in (2, 1):
            neighbour.publish(CONFIG, config(version), retain=True)
        for payload in (
            b"",
            b"{",
            b"[]",
            b"[" * 2000,
            b'{"v":true}',
            b'{"v":99999999999}',
            b"\xff",
        ):
            neighbour.publish(CONFIG, payload)
        neighbour.publish(CONFIG, config(4), retain=True)
        neighbour.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
        assert neighbour.payloads(STATE) == [IN_FORCE, b'{"v":4,"fw":"1.2.0"}']
        assert [line for line in device.lines if line.endswith("applied")] == ["config v4 applied"]


def test_the_version_in_force_is_acknowledged_again_where_it_is_told_again(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    """Not where it is only what the broker had retained."""
    neighbour.publish(CONFIG, config(3), retain=True)
    with running(tmp_path, broker.port, Probe("21")):
        neighbour.wait(STATE, IN_FORCE)
        # It measures when it has looked at what was retained.
        wait_for(lambda: bool(neighbour.payloads(BASE)))
        neighbour.publish(CONFIG, config(3), retain=True)
        neighbour.wait(STATE, IN_FORCE, 2)
        neighbour.wait(STATUS, b"online", 2)
        neighbour.publish(CONFIG, config(4), retain=True)
        neighbour.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
        assert neighbour.payloads(STATE).count(IN_FORCE) == 2


def test_settings_are_taken_also_where_the_desk_told_the_version(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    plugin = Probe()
    neighbour.publish(CONFIG, config(3, set={"low": 18}), retain=True)
    with running(tmp_path, broker.port, plugin) as device:
        neighbour.wait(STATE, IN_FORCE, 2)
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


def test_wrong_values_are_refused_and_change_nothing(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    with running(tmp_path, broker.port) as device:
        for version, (values, error) in enumerate(WRONG, 4):
            neighbour.publish(CONFIG, config(version, **values), retain=True)
            neighbour.wait(STATE, b'{"v":%d,"error":"%s"}' % (version, error))
        assert device.stored["device"] == DEVICE


def test_a_plugin_can_refuse_a_config(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    plugin = Probe()
    plugin.refuses = {8: "x" * 500}
    with running(tmp_path, broker.port, plugin) as device:
        neighbour.publish(CONFIG, config(8), retain=True)
        neighbour.wait(STATE, b'{"v":8,"error":"%s"}' % (b"x" * 200))
        assert device.stored["device"] == DEVICE


def test_it_hears_what_it_is_to_hear_and_not_itself(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    plugin = Probe(21.5)
    other = "acme/paris/temperature/other"
    with running(tmp_path, broker.port, plugin) as device:
        listening = config(4, listen=["acme/paris/temperature/+"], interval=1)
        neighbour.publish(CONFIG, listening, retain=True)
        neighbour.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
        plugin.values = [22.5]
        neighbour.wait(BASE, b"22.5")
        for payload in (b"19.5", b"raise", b"20.5"):
            neighbour.publish(other, payload)
        wait_for(lambda: len(plugin.messages) >= 3)
        assert plugin.messages == [(other, b"19.5"), (other, b"raise"), (other, b"20.5")]
        assert f"heard {other} 19.5" in device.lines
        neighbour.publish(CONFIG, config(5, listen=["acme/rome/#"]), retain=True)
        neighbour.wait(STATE, b'{"v":5,"fw":"1.2.0"}')
        neighbour.publish(other, b"lost")
        neighbour.publish("acme/rome/temperature/other", b"25")
        wait_for(lambda: len(plugin.messages) >= 4)
        assert plugin.messages[3:] == [("acme/rome/temperature/other", b"25")]


def test_it_subscribes_again_when_the_broker_is_back(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    plugin = Probe()
    with running(tmp_path, broker.port, plugin):
        neighbour.publish(CONFIG, config(4, listen=["acme/paris/temperature/+"]), retain=True)
        neighbour.wait(STATE, b'{"v":4,"fw":"1.2.0"}')
        broker.kill()
        broker.start()
        neighbour.wait(STATE, b'{"v":4,"fw":"1.2.0"}', 2)
        neighbour.wait(STATUS, b"online", 2)
        neighbour.publish("acme/paris/temperature/other", b"19.5")
        wait_for(lambda: bool(plugin.messages))
        neighbour.publish(CONFIG, config(5), retain=True)
        neighbour.wait(STATE, b'{"v":5,"fw":"1.2.0"}')


def test_measurements_with_the_qos_of_the_config(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    plugin = Probe(OSError("no sensor"))
    with running(tmp_path, broker.port, plugin) as device:
        device.says("the plug-in can't read: no sensor")
        for qos, value, sent in (
            (0, 3, b"3"),
            (1, {"t": 21.5}, b'{"t":21.5}'),
            (2, b"\x01", b"\x01"),
        ):
            plugin.values = [value]
            neighbour.publish(CONFIG, config(4 + qos, interval=1, qos=qos), retain=True)
            neighbour.wait(BASE, sent)
            assert [item for item in neighbour.heard if item[0] == BASE][-1] == (BASE, sent, qos)
        assert neighbour.payloads(BASE) == [b"3", b'{"t":21.5}', b"\x01"]


def test_an_undelivered_measurement_comes_later(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    class Fatal(Probe):
        """Its first measurement ends the connection."""

        def read(self) -> str | None:
            value, self.values = self.values[:1], []
            between.dead = bool(value)
            return value[0] if value else None

    with wire(broker.port) as between, running(tmp_path, between.port, Fatal("kept")):
        wait_for(lambda: between.dead)
        between.cut()
        between.dead = False
        neighbour.wait(BASE, b"kept")
        assert between.connections == 2


def test_a_move_is_confirmed_on_the_new_topic(
    broker: Mosquitto, neighbour: Neighbour, tmp_path: Path
) -> None:
    new = f"acme/rome/temperature/{ID}"
    with wire(broker.port) as between, running(tmp_path, between.port) as device:
        neighbour.publish(CONFIG, config(6, topic=new), retain=True)
        neighbour.wait(f"{new}/state", b'{"v":6,"fw":"1.2.0"}')
        assert neighbour.payloads(f"{new}/status") == [b"online"]
        assert neighbour.payloads(STATUS) == [b"online"]
        assert b'{"v":6,"fw":"1.2.0"}' not in neighbour.payloads(STATE)
        assert device.stored["device"]["topics"] == {
            "data": new,
            "config": f"{new}/config",
            "state": f"{new}/state",
            "status": f"{new}/status",
            "listen": [],
        }
        neighbour.publish(f"{new}/config", config(7, topic=new))
        neighbour.wait(f"{new}/state", b'{"v":7,"fw":"1.2.0"}')
        assert between.connections == 2
        between.cut()
        neighbour.wait(f"{new}/status", b"offline")
        assert neighbour.payloads(STATUS) == [b"online"]
