"""A permanent error ends the start with exit status 1, one line, and no process left."""

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.process import ServerProcess, wait_for
from tests.support.pgbouncer import pgbouncer
from tests.support.ports import free_port
from tests.support.postgres import PASSWORD, QUOTED, USER, Cluster

END_SECONDS = 60
UNKNOWN_DATABASE = "no-such-database"


@pytest.fixture
def bad_url(
    request: pytest.FixtureRequest, server: Cluster, url: str, tmp_path: Path
) -> Iterator[str]:
    """A URL with which a start fails permanently."""
    name, place = url.rpartition("/")[2], url.rpartition("/")[0]
    with _prepared(request.param, server, name, tmp_path) as prepared:
        yield {
            "password": url.replace(QUOTED, "wrong"),
            "database": f"{place}/{UNKNOWN_DATABASE}",
            "newer": url,
            "encoding": f"{place}/latin",
            "pooler": prepared or "",
            "certificate": f"{url}?sslmode=require",
        }[request.param]


@contextmanager
def _prepared(case: str, server: Cluster, name: str, folder: Path) -> Iterator[str | None]:
    if case == "newer":
        server.sql("CREATE TABLE alembic_version (version_num text)", name)
        server.sql("INSERT INTO alembic_version VALUES ('9999')", name)
        server.sql(f"ALTER TABLE alembic_version OWNER TO {USER}", name)
    if case == "encoding":
        server.sql(f"CREATE DATABASE latin OWNER {USER} ENCODING LATIN1 TEMPLATE template0")
        yield None
        server.sql("DROP DATABASE latin WITH (FORCE)")
        return
    if case == "pooler":
        with pgbouncer(folder / "bouncer", server, pool_mode="transaction") as pooler:
            yield pooler.url
        return
    yield None


MESSAGES = {
    "password": "refuses the password",
    "database": "There is no such database",
    "newer": "newer version of Rollcall",
    "encoding": "encoding LATIN1",
    "pooler": "pool_mode = session",
    "certificate": "does not speak TLS",
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("bad_url", "message"), MESSAGES.items(), indirect=["bad_url"], ids=MESSAGES
)
def test_permanent_error_ends_server_start(
    tmp_path: Path, bad_url: str, message: str, workers: int
) -> None:
    command = (sys.executable, "-m", "server", "serve", "--workers", str(workers))
    server = ServerProcess(tmp_path / "data", *command, ROLLCALL_DATABASE_URL=bad_url)
    server.begin()
    try:
        assert server.process
        assert server.process.wait(END_SECONDS) == 1, server.output
    finally:
        server.kill()
    assert server.output.count(message) == 1, server.output
    assert "Traceback" not in server.output
    assert PASSWORD not in server.output
    assert QUOTED not in server.output
    [line] = [line for line in server.output.splitlines() if message in line]
    assert not re.match(r"\d{4}-", line), "a plain line without the time stamp of the log"


@pytest.mark.parametrize("bad_url", ["password"], indirect=True)
def test_permanent_error_ends_plain_uvicorn(tmp_path: Path, bad_url: str) -> None:
    uvicorn = (sys.executable, "-m", "uvicorn", "--factory", "server.app:create_app")
    command = (*uvicorn, "--port", str(free_port()))
    server = ServerProcess(tmp_path / "data", *command, ROLLCALL_DATABASE_URL=bad_url)
    server.begin()
    try:
        assert server.process
        assert server.process.wait(END_SECONDS) == -signal.SIGTERM, server.output
    finally:
        server.kill()
    assert server.output.count("refuses the password") == 1
    assert "Traceback" not in server.output


def test_transient_errors_are_retried_and_logged_once(
    tmp_path: Path, server: Cluster, url: str
) -> None:
    """The database is stopped, then runs, then rejects the password that was changed."""
    program = ServerProcess(tmp_path / "data", ROLLCALL_DATABASE_URL=url)
    program.wait_for_database = False
    server.stop()
    try:
        program.start()
        wait_for(lambda: "The database is not available" in program.output)
        server.start()
        wait_for(program.ready)
        reasons = re.findall(r"not available, trying again: (.*?) *\[rollcall", program.output)
        assert len(reasons) == len(set(reasons)), reasons
        assert server.address in reasons[0]
        # After the first connection, no error ends the process.
        server.sql(f"ALTER ROLE {USER} PASSWORD 'another'")
        server.restart()
        wait_for(lambda: "refuses the password" in program.output)
        assert not program.ready()
        server.sql(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")
        wait_for(program.ready)
        assert program.stop() == -signal.SIGTERM
    finally:
        server.sql(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")
        program.kill()
    assert "Traceback" not in program.output
