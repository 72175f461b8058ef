"""`python -m esp_client`: the very code of the boards, on a computer."""

import argparse
import sys
import uuid

from esp_client import http, report
from esp_client.client import Client


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m esp_client", description=__doc__)
    parser.add_argument("--url", required=True, help="the server, as http://127.0.0.1:8000")
    parser.add_argument("--key", default="", help="the enrolment key")
    parser.add_argument("--ca", help="file with the CA's certificate, for https")
    parser.add_argument("--mac", default=f"{uuid.getnode():012x}", help="any usual notation")
    parser.add_argument("--owner", help="left out: the owner of the key")
    parser.add_argument("--place", default="bench")
    parser.add_argument("--latitude", type=float)
    parser.add_argument("--longitude", type=float)
    parser.add_argument("--type", dest="measurement_type", default="temperature")
    parser.add_argument("--model", dest="sensor_model")
    parser.add_argument("--firmware")
    parser.add_argument("--state", default="rollcall-device.json", help="where it keeps its token")
    parser.add_argument("--timeout", type=float, default=15, help="seconds to try for")
    return parser.parse_args()


def main() -> int:
    settings = arguments()
    try:
        http.split(settings.url)
    except ValueError as error:
        sys.exit(f"--url {settings.url}: {error}")
    client = Client(settings, settings.state)
    registered = client.boot(settings.timeout)
    print("\n".join(report.lines(client, registered)))
    return 0 if client.device else 1


if __name__ == "__main__":
    sys.exit(main())
