"""Start of the server: printed tokens, settings, plain uvicorn, and an unavailable database."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import notifier
import schema
from db.embedded import EmbeddedPostgres
from server.transport.listen import reachable
from tests.server.process import ADMIN, ServerProcess
from tests.support.client import BENCH, REGISTER
from tests.support.ports import free_port
from tests.support.waiting import WAIT_SECONDS, wait_for

ROOT = Path(__file__).parent.parent.parent


def test_packages_are_imported_from_this_checkout() -> None:
    for package in (schema, notifier):
        assert package.__file__
        assert Path(package.__file__).parent.parent == ROOT


def test_tokens_are_printed_only_at_first_start(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", ROLLCALL_ADMIN_TOKEN="")
    server.start()
    admin, key = re.findall(r"rc[ae]_\S+", server.output)
    query = {"query": "{ tokens { nodes { kind } } }"}
    headers = {"Authorization": f"Bearer {admin}"}
    response = httpx.post(f"{server.url}/graphql", json=query, headers=headers)
    assert [t["kind"] for t in response.json()["data"]["tokens"]["nodes"]] == ["ADMIN", "ENROL"]
    assert key.startswith("rce_")

    # Commands work while the server runs, and do not stop its database.
    created = rollcall(server, "tokens", "create", "--kind", "viewer", "--owner", "Acme")
    assert created.stdout.startswith("rcv_")
    assert "viewer  Acme" in rollcall(server, "tokens", "list").stdout
    assert rollcall(server, "tokens", "revoke", "3").returncode == 0
    unknown = rollcall(server, "tokens", "revoke", "99")
    assert unknown.returncode == 1
    assert unknown.stderr.splitlines()[-1] == "There is no such token."
    assert server.ready()

    server.stop()
    server.start()
    assert re.findall(r"rc[ae]_\S+", server.output) == []
    server.stop()
    assert "revoked" in rollcall(server, "tokens", "list").stdout


def rollcall(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        env={**server.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_SECONDS,
        cwd=ROOT,
    )


def test_health_check_works_before_database_is_available(tmp_path: Path) -> None:
    """The server responds to health checks while it waits for its database."""
    absent = f"postgresql://rollcall@127.0.0.1:{free_port()}/rollcall"
    server = ServerProcess(tmp_path / "data", ROLLCALL_DATABASE_URL=absent)
    server.wait_for_database = False
    server.start()
    try:
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        ready = httpx.get(f"{server.url}/readyz")
        assert (ready.status_code, ready.text) == (503, "The database is not available.\n")
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1:80"),
        ("0.0.0.0", "127.0.0.1:80"),
        ("::", "[::1]:80"),
        ("::1", "[::1]:80"),
        ("iot.example.com", "iot.example.com:80"),
    ],
)
def test_reachable_address_of_listen_host(host: str, shown: str) -> None:
    assert reachable(host, 80) == shown


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_page_is_served_at_the_printed_address(tmp_path: Path) -> None:
    for host in ("::1", "::", "0.0.0.0"):
        server = ServerProcess(tmp_path / "data", ROLLCALL_HOST=host)
        server.start()
        try:
            page = httpx.get(server.url, follow_redirects=True, headers={"Accept": "text/html"})
            assert "<html" in page.text
        finally:
            server.stop()


def test_restart_logs_no_warning_about_lost_messages(tmp_path: Path) -> None:
    """The embedded broker is empty at each start; this is not reported as lost messages."""
    server = ServerProcess(tmp_path / "data")
    server.start()
    server.ask(REGISTER, input=BENCH)
    wait_for(lambda: undelivered(server) == 0)
    server.stop()
    server.start()
    wait_for(lambda: "Connected to the MQTT broker" in server.output)
    server.ask(REGISTER, input={**BENCH, "mac": "24:6f:28:aa:bb:dd"})
    wait_for(lambda: undelivered(server) == 0)
    server.stop()
    assert "lost messages" not in server.output
    assert "[warning" not in server.output


def undelivered(server: ServerProcess) -> int:
    """Count in the database, because metrics are updated only every 15 seconds."""
    [row] = asyncio.run(server.rows("SELECT count(*) FROM config_outbox"))
    return int(row[0])


def test_new_admin_token_setting_replaces_the_former_one(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    server.start()
    assert "rca_" not in server.output
    server.stop()
    server.environment["ROLLCALL_ADMIN_TOKEN"] = "another-admin-token"
    server.start()
    for token, status in ((ADMIN, 401), ("another-admin-token", 200)):
        response = httpx.post(
            f"{server.url}/graphql",
            json={"query": "{ me { id } }"},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert response.status_code == status
    server.stop()


def test_runs_under_plain_uvicorn(tmp_path: Path) -> None:
    uvicorn = (sys.executable, "-m", "uvicorn", "--factory", "server.app:create_app")
    server = ServerProcess(tmp_path / "data", *uvicorn, "--port", str(free_port()))
    server.start()
    assert server.ask("{ devices { totalCount } }") == {"devices": {"totalCount": 0}}
    assert server.stop() == -signal.SIGTERM


def test_invalid_settings_are_reported(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", ROLLCALL_PORT="many", ROLLCALL_DATABASE_URL="mysql:/")
    ended = rollcall(server, "serve")
    assert ended.returncode == 2
    assert "ROLLCALL_PORT: " in ended.stderr
    assert "ROLLCALL_DATABASE_URL: Give a URL such as" in ended.stderr


@pytest.mark.parametrize("setting", ["ROLLCALL_PORT", "ROLLCALL_MQTT_PORT"])
def test_port_in_use_is_reported(tmp_path: Path, setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = rollcall(ServerProcess(tmp_path / "data", **{setting: port}), "serve")
    assert ended.returncode == 1
    assert setting in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()


def test_database_that_starts_late_stops_and_restarts(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    url = postgres.start()
    postgres.stop()
    server = ServerProcess(tmp_path / "data", ROLLCALL_DATABASE_URL=url)
    server.wait_for_database = False
    server.start()
    for _ in range(2):
        # Without this, a background task could be the first to notice that it is unavailable.
        wait_for(lambda: "database" in httpx.get(f"{server.url}/readyz").text)
        response = httpx.post(f"{server.url}/graphql", json={"query": "{ me { id } }"})
        assert response.status_code == 503
        assert response.json()["errors"][0]["extensions"]["code"] == "DATABASE_UNAVAILABLE"
        assert int(response.headers["retry-after"]) > 0
        postgres.start()
        wait_for(server.ready)
        assert server.ask("{ devices { totalCount } }") == {"devices": {"totalCount": 0}}
        postgres.stop()
        wait_for(lambda: not server.ready())
    server.stop()
    assert not (tmp_path / "data").exists()
