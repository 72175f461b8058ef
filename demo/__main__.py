"""Run a server, its MQTT broker and a dozen devices in one terminal. Stop with Ctrl-C."""

import argparse
import signal
import tempfile
import threading
from pathlib import Path

from demo.devices import HEATING, LATE_SENSOR, ROOM, SENSORS, DeviceSpec, SimulatedDevice
from demo.screen import Screen
from demo.server import Server, start_server
from demo.watcher import Watcher
from domain.devices.identity import device_id, parse_mac

INTERVAL_SECONDS = 5
LATE_SECONDS = 25

WELCOME = """Rollcall is at {url}, its MQTT broker at {host}:{port}.
Admin token: {token}
(MQTT Explorer: user admin, that token as password.)"""
YOUR_TURN = """Your turn: open {url}/graphiql, enter the token,
and run the tab UpdateConfig: it makes "Paris temperature" send every 10 seconds.
Change the number, and watch here how the device applies it."""
LATE_SENSOR_JOINS = """A new sensor joins in the living room. The heating's link covers the whole
room, so it receives the new sensor without a further change."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", type=float, help="stop after this many seconds")
    parser.add_argument(
        "--late", type=float, default=LATE_SECONDS, help="seconds until the new sensor joins"
    )
    options = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    screen = Screen()
    screen.announce("Starting a server with an embedded PostgreSQL and MQTT broker ...")
    with tempfile.TemporaryDirectory(prefix="rollcall-demo-") as folder:
        with start_server(Path(folder)) as server:
            run(server, Path(folder), screen, stopped, options)
        screen.announce("The demo has ended. It leaves no files behind.")


def run(
    server: Server,
    folder: Path,
    screen: Screen,
    stopped: threading.Event,
    options: argparse.Namespace,
) -> None:
    host, port = server.mqtt
    screen.announce(WELCOME.format(url=server.url, host=host, port=port, token=server.token))
    key = server.mutate("createToken", "secret", kind="ENROL", owner="Acme")["secret"]
    watcher = Watcher(server, screen.log)
    watcher.start()
    devices: list[SimulatedDevice] = []

    def start_devices(*specs: DeviceSpec) -> None:
        for spec in specs:
            device = SimulatedDevice(spec, server.url, key, folder, screen.log)
            devices.append(device)
            device.start()

    try:
        start_devices(*SENSORS, HEATING)
        if stopped.wait(4):
            return
        _configure(server)
        screen.announce(YOUR_TURN.format(url=server.url))
        if stopped.wait(options.late):
            return
        screen.announce(LATE_SENSOR_JOINS)
        start_devices(LATE_SENSOR)
        if stopped.wait(2):
            return
        values = {"deviceId": _id(LATE_SENSOR), "intervalSeconds": INTERVAL_SECONDS}
        server.mutate("updateConfig", "config { version }", **values)
        stopped.wait(options.seconds)
    finally:
        screen.quiet = True
        for device in devices:
            device.stop()
        watcher.stop()


def _configure(server: Server) -> None:
    """Set the interval of each device, and link the heating to the room's temperature sensors."""
    for spec in (*SENSORS, HEATING):
        values = {"deviceId": _id(spec), "intervalSeconds": INTERVAL_SECONDS}
        server.mutate("updateConfig", "config { version }", **values)
    link = {"listenerId": _id(HEATING), "place": ROOM, "measurementType": "temperature"}
    server.mutate("linkDevice", "link { filter }", **link)


def _id(spec: DeviceSpec) -> str:
    return device_id(parse_mac(spec.mac))


if __name__ == "__main__":
    main()
