"""Servers that are started to be measured or attacked."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.waiting import WAIT_SECONDS

ADMIN = "an-admin-token-for-load-tests"


@dataclass(frozen=True)
class Serving:
    """`output`: the file that what it says goes to."""

    output: Path
    process: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """At once, in the middle of whatever it does."""
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(
    database_url: str, *, outside: Mapping[str, str] | None = None, **settings: str
) -> Iterator[Serving]:
    """A server in a process of its own, without limits for one token or address.

    `settings`: environment variables without their prefix, in lower case; `outside`: others. Kill
    it if you like.
    """
    environment = {
        "ROLLCALL_DATABASE_URL": database_url,
        "ROLLCALL_ADMIN_TOKEN": ADMIN,
        "ROLLCALL_PORT": "0",
        "ROLLCALL_RATE_LIMITS": "off",
        "ROLLCALL_MQTT": "off",
        "ROLLCALL_MAX_CONNECTIONS_PER_TOKEN": "10000",
        "ROLLCALL_MAX_SUBSCRIPTIONS_PER_TOKEN": "10000",
        **{f"ROLLCALL_{name.upper()}": value for name, value in settings.items()},
        **(outside or {}),
    }
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        output = Path(folder) / "output"
        with output.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "server", "serve"],
                stdout=file,
                stderr=file,
                env={**os.environ, **environment},
            )
        try:
            yield Serving(output, process)
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS)


async def ready(output: Path) -> str:
    """The server's GraphQL address, once it answers."""
    async with asyncio.timeout(WAIT_SECONDS), httpx.AsyncClient(timeout=WAIT_SECONDS) as client:
        while True:
            words = output.read_text().split()  # noqa: ASYNC240
            url = next((word for word in words if word.startswith("http://")), None)
            with suppress(httpx.TransportError):
                if url and (await client.get(f"{url}/readyz")).is_success:
                    return f"{url}/graphql"
            await asyncio.sleep(0.05)
