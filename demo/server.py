"""Starts the demo's server and sends GraphQL requests to it."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """`mqtt`: host and port of the broker. `token`: an admin token."""

    url: str
    mqtt: tuple[str, int]
    token: str

    def execute(self, query: str, **variables: Any) -> Any:
        with self._post(query, variables, "application/json") as response:
            result = json.load(response)
        assert "errors" not in result, result
        return result["data"]

    def mutate(self, mutation: str, fields: str, **values: Any) -> Any:
        """Run a mutation with one input, and return its payload."""
        kind = mutation[0].upper() + mutation[1:] + "Input"
        query = (
            f"mutation ($input: {kind}!) {{ "
            f"{mutation}(input: $input) {{ {fields} errors {{ message }} }} }}"
        )
        payload = self.execute(query, input=values)[mutation]
        assert not payload["errors"], payload
        return payload

    def subscribe(self, query: str) -> Iterator[Any]:
        """Yield the data of a subscription's events until the server stops."""
        with (
            suppress(OSError, HTTPException),
            self._post(query, {}, "text/event-stream") as stream,
        ):
            for line in stream:
                if line.startswith(b"data: {") and (data := json.loads(line[6:]).get("data")):
                    yield data

    def _post(self, query: str, variables: dict[str, Any], accept: str) -> Any:
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "Accept": accept,
            },
        )
        return urllib.request.urlopen(request)


@contextmanager
def start_server(folder: Path) -> Iterator[Server]:
    """Run a server with all its data in a folder. Exits the process if it can't start."""
    output, token = folder / "server.log", f"demo-{secrets.token_hex(8)}"
    environment = {
        **os.environ,
        "ROLLCALL_DATA_DIR": str(folder / "data"),
        "ROLLCALL_ADMIN_TOKEN": token,
        "ROLLCALL_RATE_LIMITS": "off",
    }
    command = [sys.executable, "-m", "server", "serve"]
    with output.open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        yield _wait_for_start(server, output, token)
    finally:
        server.terminate()
        server.wait(30)


def _wait_for_start(server: "subprocess.Popen[bytes]", output: Path, token: str) -> Server:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(output.read_text())
        words = output.read_text().split()
        if "MQTT" in words:
            url = next(word for word in words if word.startswith("http://"))
            host, _, port = words[words.index("MQTT") + 2].rpartition(":")
            if _ready(url):
                return Server(url, (host, int(port)), token)
        time.sleep(0.1)
    sys.exit(f"The server did not start:\n{output.read_text()}")


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
