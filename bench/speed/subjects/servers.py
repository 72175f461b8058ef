"""Starts the servers that are compared: each one process on the same database."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from bench.serving import ADMIN
from bench.speed.load import Subject
from tests.support.mosquitto import free_port

HERE = Path(__file__).parent
OPERATIONS = ("boot", "list", "register", "change")

Start = Callable[[str, Path], AbstractContextManager[Subject]]


@contextmanager
def rollcall(database_url: str, folder: Path) -> Iterator[Subject]:
    port = free_port()
    environment = {
        "ROLLCALL_DATABASE_URL": database_url,
        "ROLLCALL_ADMIN_TOKEN": ADMIN,
        "ROLLCALL_PORT": str(port),
        "ROLLCALL_RATE_LIMITS": "off",
        "ROLLCALL_MQTT": "off",
        # Off, since no other subject looks for overdue configs.
        "ROLLCALL_CONFIG_OVERDUE_INTERVALS": "0",
        "ROLLCALL_MAX_CONNECTIONS_PER_TOKEN": "10000",
        "ROLLCALL_MAX_SUBSCRIPTIONS_PER_TOKEN": "10000",
    }
    command = [sys.executable, "-m", "server", "serve"]
    with _process(command, port, environment, folder / "rollcall.log") as (url, pid):
        yield Subject("Rollcall", url, pid, ("trusted", "plain"), OPERATIONS)


@contextmanager
def bare(database_url: str, folder: Path) -> Iterator[Subject]:
    app, log = "bench.speed.subjects.bare:create", folder / "bare.log"
    with _uvicorn(app, database_url, log) as (url, pid):
        yield Subject("bare limit", url, pid, ("trusted",), OPERATIONS[:3])


@contextmanager
def tutorial(database_url: str, folder: Path) -> Iterator[Subject]:
    app, log = "bench.speed.subjects.tutorial:create", folder / "tutorial.log"
    with _uvicorn(app, database_url, log) as (url, pid):
        yield Subject("tutorial", url, pid, ("plain",), OPERATIONS)


@contextmanager
def mercurius(database_url: str, folder: Path) -> Iterator[Subject]:
    with _node("mercurius.mjs", database_url, folder) as (url, pid):
        yield Subject("Mercurius", url, pid, ("plain",), OPERATIONS)


@contextmanager
def yoga(database_url: str, folder: Path) -> Iterator[Subject]:
    with _node("yoga.mjs", database_url, folder) as (url, pid):
        yield Subject("yoga", url, pid, ("plain",), OPERATIONS)


def _uvicorn(app: str, database_url: str, log: Path) -> AbstractContextManager[tuple[str, int]]:
    port = free_port()
    options = ["--no-access-log", "--log-level", "warning", "--port", str(port)]
    command = [sys.executable, "-m", "uvicorn", "--factory", app, *options]
    return _process(command, port, {"DATABASE_URL": database_url}, log)


@contextmanager
def _node(script: str, database_url: str, folder: Path) -> Iterator[tuple[str, int]]:
    target, port = folder / "node", free_port()
    if not target.exists():
        shutil.copytree(HERE / "node", target, ignore=shutil.ignore_patterns("node_modules"))
        install = ["npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts", "--silent"]
        subprocess.run(install, cwd=target, check=True)
    host = parse_qs(urlsplit(database_url).query)["host"][0].replace("/", "%2F")
    environment = {
        "NODE_ENV": "production",
        "PORT": str(port),
        "DATABASE_URL": f"postgresql://postgres@{host}/postgres",
    }
    command = [shutil.which("node") or "node", str(target / script)]
    with _process(command, port, environment, folder / f"{script}.log") as started:
        yield started


@contextmanager
def _process(
    command: list[str], port: int, environment: Mapping[str, str], log: Path
) -> Iterator[tuple[str, int]]:
    """Yields URL and process id of a server that responds."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=output, stderr=output
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while not _responds(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command} does not respond: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _responds(url: str) -> bool:
    try:
        httpx.get(f"{url}/readyz")
    except httpx.TransportError:
        return False
    return True
