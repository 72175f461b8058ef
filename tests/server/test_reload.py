"""SIGHUP: the trusted documents and their routes are read again.

From a closed terminal, it ends the server.
"""

import os
import pty
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import psutil
import pytest

from tests.server.process import ADMIN, ServerProcess
from tests.support.waiting import WAIT_SECONDS, wait_for

OLD, NEW, INVALID = "{ me { id } }", "{ fleet { total } }", "{ nothing }"
READ_AGAIN = "were read again"
HEADERS = {"Authorization": f"Bearer {ADMIN}"}
# With a controlling terminal, and with SIGHUP ignored, as by nohup, or not.
IN_TERMINAL = """
import os, signal, sys
os.setsid()
os.open(sys.argv[1], os.O_RDWR)
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[2]))
os.execv(sys.executable, [sys.executable, "-m", "server", "serve", "--workers", sys.argv[3]])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "own.graphql").write_text(OLD)
    return folder


@pytest.fixture
def start(tmp_path: Path, folder: Path) -> Iterator[Callable[[int], ServerProcess]]:
    servers: list[ServerProcess] = []

    def start(workers: int) -> ServerProcess:
        command = (sys.executable, "-m", "server", "serve", "--workers", str(workers))
        settings = {"ROLLCALL_TRUSTED_DOCUMENTS": str(folder)}
        servers.append(ServerProcess(tmp_path / "data", *command, **settings))
        servers[-1].start()
        wait_for(lambda: servers[-1].output.count("The database is ready.") == workers)
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def ask(server: ServerProcess, document: str = "own") -> Any:
    response = httpx.post(f"{server.url}/graphql", json={"documentId": document}, headers=HEADERS)
    answer = response.json()
    return answer.get("data") or answer["errors"][0]["extensions"]["code"]


def reload(server: ServerProcess, expected: str, count: int = 1) -> None:
    assert server.process
    before = server.output.count(expected)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.output.count(expected) == before + count)


def test_sighup_reads_documents_and_routes_again(
    start: Callable[[int], ServerProcess], folder: Path
) -> None:
    server = start(1)
    assert ask(server) == {"me": None}
    (folder / "own.graphql").write_text(NEW)
    (folder / "other.graphql").write_text(OLD)
    (folder / "routes.toml").write_text('"GET /total" = "own"')
    reload(server, READ_AGAIN)
    assert ask(server) == {"fleet": {"total": 0}}
    assert ask(server, "other") == {"me": None}
    assert httpx.get(f"{server.url}/total", headers=HEADERS).json() == {"total": 0}
    assert "/total" in httpx.get(f"{server.url}/openapi.json").json()["paths"]
    (folder / "other.graphql").unlink()
    (folder / "routes.toml").unlink()
    reload(server, READ_AGAIN)
    assert ask(server, "other") == "DOCUMENT_NOT_FOUND"
    assert httpx.get(f"{server.url}/total", headers=HEADERS).status_code == 404
    assert httpx.get(f"{server.url}/devices", headers=HEADERS).status_code == 200


@pytest.mark.parametrize("fault", ["document", "route", "folder"])
def test_invalid_documents_are_logged_and_change_nothing(
    start: Callable[[int], ServerProcess], folder: Path, fault: str
) -> None:
    server = start(1)
    match fault:
        case "document":
            (folder / "own.graphql").write_text(INVALID)
        case "route":
            (folder / "own.graphql").write_text(NEW)
            (folder / "routes.toml").write_text('"GET /total" = "missing"')
        case "folder":
            folder.rename(folder.with_name("moved"))
    reload(server, "stay in force")
    lines = [line for line in server.output.splitlines() if "ROLLCALL_TRUSTED_DOCUMENTS" in line]
    assert [("error" in line, "stay in force" in line) for line in lines] == [(True, True)]
    assert "Traceback" not in server.output
    assert ask(server) == {"me": None}


def test_sighup_reaches_all_workers(start: Callable[[int], ServerProcess], folder: Path) -> None:
    server = start(2)
    (folder / "own.graphql").write_text(NEW)
    reload(server, READ_AGAIN, 3)
    assert all(ask(server) == {"fleet": {"total": 0}} for _ in range(20))


def test_replaced_worker_keeps_the_documents_in_force(
    start: Callable[[int], ServerProcess], folder: Path
) -> None:
    server = start(2)
    (folder / "own.graphql").write_text(NEW)
    reload(server, READ_AGAIN, 3)
    (folder / "own.graphql").write_text(INVALID)
    reload(server, "stay in force")
    assert server.process
    children = psutil.Process(server.process.pid).children()
    next(child for child in children if "postgres" not in child.name()).kill()
    wait_for(lambda: server.output.count("The database is ready.") == 3)
    assert all(ask(server) == {"fleet": {"total": 0}} for _ in range(20))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("handler", ["SIG_DFL", "SIG_IGN"])
def test_closed_terminal_ends_the_server_unless_it_ignores_that(
    tmp_path: Path, handler: str, workers: int
) -> None:
    terminal, side = pty.openpty()
    command = (sys.executable, "-c", IN_TERMINAL, os.ttyname(side), handler, str(workers))
    server = ServerProcess(tmp_path / "data", *command)
    try:
        server.start()
        os.close(side)
        assert server.process
        # A signal of an operator is no closed terminal.
        reload(server, READ_AGAIN, 1 if workers == 1 else 3)
        postgres = psutil.Process(server.postgres_pid)
        os.close(terminal)
        if handler == "SIG_IGN":
            wait_for(lambda: server.output.count(READ_AGAIN) > workers)
            assert server.alive()
        else:
            assert server.process.wait(WAIT_SECONDS) == (-signal.SIGTERM if workers == 1 else 0)
            wait_for(lambda: not postgres.is_running())
    finally:
        server.stop()


def test_sighup_does_not_disturb_running_requests(
    start: Callable[[int], ServerProcess], folder: Path
) -> None:
    """Its body is sent after the reload, by a client that has found the route before."""
    (folder / "routes.toml").write_text('"POST /own" = "own"')
    (folder / "own.graphql").write_text("query ($a: Boolean!) { me @include(if: $a) { id } }")
    server = start(1)
    found: list[httpx.Response] = []
    begun, changed = Event(), Event()

    def body() -> Iterator[bytes]:
        yield b'{"a": '
        begun.set()
        changed.wait(WAIT_SECONDS)
        yield b"true}"

    request = partial(httpx.post, f"{server.url}/own", content=body(), timeout=WAIT_SECONDS)
    headers = {**HEADERS, "Content-Type": "application/json"}
    thread = Thread(target=lambda: found.append(request(headers=headers)))
    thread.start()
    begun.wait(WAIT_SECONDS)
    (folder / "own.graphql").write_text(NEW)
    reload(server, READ_AGAIN)
    changed.set()
    thread.join()
    # The root field is null for an administrator.
    assert (found[0].status_code, found[0].json()["errors"][0]["code"]) == (404, "NOT_FOUND")
    assert httpx.post(f"{server.url}/own", headers=headers).json() == {"total": 0}
