"""`make demo`: a server, its broker and a dozen devices, in one terminal. Stop it with Ctrl-C."""

import argparse
import signal
import tempfile
import threading
from pathlib import Path

from demo.cast import HEATING, LATE, ROOM, SENSORS, Actor, Role
from demo.screen import Screen
from demo.server import Server, serving
from demo.watching import Watching
from domain.devices.identity import device_id, parse_mac

INTERVAL_SECONDS = 5
LATE_SECONDS = 25

WELCOME = """Rollcall is at {url}, its MQTT broker at {host}:{port}.
Administrator's token: {token}
(MQTT Explorer: user admin, that token as password.)"""
YOUR_TURN = """Your turn: open {url}/graphiql, put the token in,
and run the tab UpdateConfig: it makes "Paris temperature" send every 10 seconds.
Change the number, and watch here how the device takes it."""
STRANGER = """A sensor that nobody has told the heating about joins in the living room."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", type=float, help="ends by itself after so long")
    parser.add_argument("--late", type=float, default=LATE_SECONDS, help="when the stranger joins")
    chosen = parser.parse_args()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    screen = Screen()
    screen.tell("Starting a server with its own PostgreSQL and MQTT broker ...")
    with tempfile.TemporaryDirectory(prefix="rollcall-demo-") as folder:
        with serving(Path(folder)) as server:
            play(server, Path(folder), screen, over, chosen)
        screen.tell("The end. Nothing of it is left.")


def play(
    server: Server, folder: Path, screen: Screen, over: threading.Event, chosen: argparse.Namespace
) -> None:
    host, port = server.mqtt
    screen.tell(WELCOME.format(url=server.url, host=host, port=port, token=server.token))
    key = server.change("createToken", "secret", kind="ENROL", owner="Acme")["secret"]
    watching = Watching(server, screen.say)
    watching.start()
    actors: list[Actor] = []

    def enter(*roles: Role) -> None:
        for role in roles:
            actor = Actor(role, server.url, key, folder, screen.say)
            actors.append(actor)
            actor.start()

    try:
        enter(*SENSORS, HEATING)
        if over.wait(4):
            return
        _instruct(server)
        screen.tell(YOUR_TURN.format(url=server.url))
        if over.wait(chosen.late):
            return
        screen.tell(STRANGER)
        enter(LATE)
        if over.wait(2):
            return
        server.change("updateConfig", "config { version }", deviceId=_id(LATE), intervalSeconds=5)
        over.wait(chosen.seconds)
    finally:
        screen.quiet = True
        for actor in actors:
            actor.stop()
        watching.stop()


def _instruct(server: Server) -> None:
    """What an administrator does: how often each sends, and whom the heating hears."""
    for role in (*SENSORS, HEATING):
        values = {"deviceId": _id(role), "intervalSeconds": INTERVAL_SECONDS}
        server.change("updateConfig", "config { version }", **values)
    listens = {"listenerId": _id(HEATING), "place": ROOM, "measurementType": "temperature"}
    server.change("linkDevice", "link { filter }", **listens)


def _id(role: Role) -> str:
    return device_id(parse_mac(role.mac))


if __name__ == "__main__":
    main()
