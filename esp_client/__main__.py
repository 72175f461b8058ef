"""`python -m esp_client`: the very code of the boards, on a computer."""

import argparse
import hashlib
import os
import signal
import sys
import uuid

from esp_client import http, report
from esp_client.client import Client
from esp_client.device import Device
from esp_client.simulated import Simulated


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m esp_client", description=__doc__)
    parser.add_argument("--url", required=True, help="the server, as http://127.0.0.1:8000")
    parser.add_argument("--key", default="", help="the enrolment key")
    parser.add_argument("--ca", help="file with the CA's certificate, for https")
    parser.add_argument("--mac", help="any usual notation; left out: of this computer")
    parser.add_argument("--owner", help="left out: the owner of the key")
    parser.add_argument("--place", default="bench")
    parser.add_argument("--latitude", type=float)
    parser.add_argument("--longitude", type=float)
    parser.add_argument("--type", dest="measurement_type", default="temperature")
    parser.add_argument("--model", dest="sensor_model")
    parser.add_argument("--firmware")
    parser.add_argument(
        "--state", default="rollcall-device.json", help="the file of its token; one for each device"
    )
    parser.add_argument("--timeout", type=float, default=15, help="seconds to try for")
    parser.add_argument("--run", action="store_true", help="goes on at the broker; stop: Ctrl-C")
    parser.add_argument("--seed", type=int, help="of the simulated sensor; left out: at random")
    parser.add_argument("--keepalive", type=int, default=60, help="seconds")
    return parser.parse_args()


def run(settings: argparse.Namespace, client: Client) -> None:
    """Until it is interrupted or terminated."""
    plugin = Simulated(settings.measurement_type, settings.seed)
    device = Device(settings, settings.state, plugin, say, client)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: device.stop())
    device.run()


def check_state(client: Client, settings: argparse.Namespace) -> None:
    """Else this device would act as the other one."""
    digits = "".join(filter(str.isalnum, settings.mac))
    try:
        id = hashlib.sha256(bytes.fromhex(digits)).hexdigest()[:32]
    except ValueError:
        return  # the server says what is wrong with it
    if client.device and client.device["id"] != id:
        sys.exit(
            f"--state {settings.state} is the file of another device ({client.device['id']}): "
            "give this one a file of its own."
        )


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    settings = arguments()
    try:
        http.split(settings.url)
    except ValueError as error:
        sys.exit(f"--url {settings.url}: {error}")
    os.umask(0o077)  # the file has the token
    given = settings.mac
    settings.mac = given or f"{uuid.getnode():012x}"
    client = Client(settings, settings.state)
    if given:
        check_state(client, settings)
    registered = client.boot(settings.timeout)
    say("\n".join(report.lines(client, registered)))
    if settings.run:
        run(settings, client)
    return 0 if client.device else 1


if __name__ == "__main__":
    sys.exit(main())
