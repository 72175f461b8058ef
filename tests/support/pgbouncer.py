"""A real PgBouncer in front of a PostgreSQL cluster, on a free port."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server.process import wait_for
from tests.support.ports import free_port
from tests.support.postgres import (
    PASSWORD,
    QUOTED,
    STOP_SECONDS,
    USER,
    Cluster,
    as_account,
    give_to_account,
    missing,
)


class PgBouncer:
    """`settings`: override the defaults of PgBouncer."""

    def __init__(self, folder: Path, cluster: Cluster, **settings: str) -> None:
        self.command = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if self.command is None:
            missing("pgbouncer")
        self.folder = folder
        self.cluster = cluster
        self.port = free_port()
        self.settings = settings
        self.log = folder / "pgbouncer.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{QUOTED}@127.0.0.1:{self.port}/rollcall"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        give_to_account(self.folder)
        users = self.folder / "users.txt"
        users.write_text(f'"{USER}" "{PASSWORD}"\n')
        options = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": str(users),
            **self.settings,
        }
        lines = [f"{name} = {value}" for name, value in options.items()]
        database = f"rollcall = host=127.0.0.1 port={self.cluster.port}"
        config = self.folder / "pgbouncer.ini"
        config.write_text("\n".join(["[databases]", database, "[pgbouncer]", *lines]) + "\n")
        assert self.command
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                as_account(self.command, str(config)), stdout=log, stderr=log, cwd="/"
            )
        pg_isready = str(self.cluster.bin / "pg_isready")
        command = [pg_isready, "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_for(lambda: subprocess.run(command, check=False, timeout=10).returncode == 0)

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)


@contextmanager
def pgbouncer(folder: Path, cluster: Cluster, **settings: str) -> Iterator[PgBouncer]:
    bouncer = PgBouncer(folder, cluster, **settings)
    bouncer.start()
    try:
        yield bouncer
    finally:
        bouncer.stop()
