"""Starts a server for a benchmark or a test."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.waiting import WAIT_SECONDS

ADMIN = "an-admin-token-for-load-tests"


@dataclass(frozen=True)
class Serving:
    """A server process. `output`: the file with its stdout and stderr."""

    output: Path
    process: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        return self.process.pid

    def kill(self) -> None:
        """Kill it with SIGKILL, and wait until it has ended."""
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(
    database_url: str,
    *,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = (sys.executable, "-m", "server", "serve"),
    **settings: str,
) -> Iterator[Serving]:
    """Run a server in a separate process, without rate limits or limits per token.

    `settings`: environment variables in lower case and without the prefix ROLLCALL_;
    `environment`: other variables. The caller may kill the server.
    """
    variables = {
        "ROLLCALL_DATABASE_URL": database_url,
        "ROLLCALL_ADMIN_TOKEN": ADMIN,
        "ROLLCALL_PORT": "0",
        "ROLLCALL_RATE_LIMITS": "off",
        "ROLLCALL_MQTT": "off",
        "ROLLCALL_MAX_CONNECTIONS_PER_TOKEN": "10000",
        "ROLLCALL_MAX_SUBSCRIPTIONS_PER_TOKEN": "10000",
        **{f"ROLLCALL_{name.upper()}": value for name, value in settings.items()},
        **(environment or {}),
    }
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        output = Path(folder) / "output"
        with output.open("w") as file:
            process = subprocess.Popen(
                command,
                stdout=file,
                stderr=file,
                env={**os.environ, **variables},
            )
        try:
            yield Serving(output, process)
        finally:
            process.terminate()
            process.wait(WAIT_SECONDS)


async def ready(output: Path) -> str:
    """Wait until the server is ready; return its GraphQL URL."""
    async with asyncio.timeout(WAIT_SECONDS), httpx.AsyncClient(timeout=WAIT_SECONDS) as client:
        while True:
            words = output.read_text().split()  # noqa: ASYNC240
            url = next((word for word in words if word.startswith("http://")), None)
            with suppress(httpx.TransportError):
                if url and (await client.get(f"{url}/readyz")).is_success:
                    return f"{url}/graphql"
            await asyncio.sleep(0.05)
