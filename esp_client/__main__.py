"""Run the code of the boards on a computer: `python -m esp_client`."""

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
    parser.add_argument("--mac", help="any usual notation; default: of this computer")
    parser.add_argument("--owner", help="default: the owner of the key")
    parser.add_argument("--place", default="bench")
    parser.add_argument("--latitude", type=float)
    parser.add_argument("--longitude", type=float)
    parser.add_argument("--type", dest="measurement_type", default="temperature")
    parser.add_argument("--model", dest="sensor_model")
    parser.add_argument("--firmware")
    parser.add_argument(
        "--state", default="rollcall-device.json", help="file for its token; one for each device"
    )
    parser.add_argument("--timeout", type=float, default=15, help="seconds to try to register")
    parser.add_argument("--run", action="store_true", help="run at the broker until Ctrl-C")
    parser.add_argument("--seed", type=int, help="of the simulated sensor; default: random")
    parser.add_argument("--keepalive", type=int, default=60, help="seconds")
    return parser.parse_args()


def run(settings: argparse.Namespace, client: Client) -> None:
    """Run the device until the process is interrupted or terminated."""
    plugin = Simulated(settings.measurement_type, settings.seed)
    device = Device(settings, settings.state, plugin, log, client)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: device.stop())
    device.run()


def check_state(client: Client, settings: argparse.Namespace) -> None:
    """Exit if the file is another device's, since its token authenticates as that device."""
    digits = "".join(filter(str.isalnum, settings.mac))
    try:
        id = hashlib.sha256(bytes.fromhex(digits)).hexdigest()[:32]
    except ValueError:
        return  # the server reports what is wrong with it
    if client.device and client.device["id"] != id:
        sys.exit(
            f"--state {settings.state} is the file of another device ({client.device['id']}): "
            "use another file for this one."
        )


def log(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    settings = arguments()
    try:
        http.split(settings.url)
    except ValueError as error:
        sys.exit(f"--url {settings.url}: {error}")
    os.umask(0o077)  # the file has the token
    given_mac = settings.mac
    settings.mac = given_mac or f"{uuid.getnode():012x}"
    client = Client(settings, settings.state)
    if given_mac:
        check_state(client, settings)
    registered = client.boot(settings.timeout)
    log("\n".join(report.lines(client, registered)))
    if settings.run:
        run(settings, client)
    return 0 if client.device else 1


if __name__ == "__main__":
    sys.exit(main())
