"""Rollcall and Mercurius on the same database, one after the other: `make bench-quick`.

Both have the same schema, as far as it is measured, and do the same work: a token is looked up for
each request, and a registration inserts a device, its token and its event durably. wrk makes the
load.
"""

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from sqlalchemy import text

from bench.fleet_of_a_million import LEVELS, fill
from bench.serving import ADMIN, ready, serving
from db.database import Database
from db.embedded import EmbeddedPostgres
from db.migrate import migrate
from domain.tokens import hash_secret
from tests.mosquitto import free_port

HERE = Path(__file__).parent
# Key of the enrolment that is measured; its hash is put into the database.
KEY = "rce_000000000000000000000000"
TOKENS = """
INSERT INTO tokens (kind, hash, device_id, created_at, created_by, confirmed_at, mqtt_hash)
SELECT 'device', sha256(convert_to('rcd_' || lpad(n::text, 24, '0'), 'UTF8')), md5(n::text),
    now(), 'bench', now(), 'x' FROM generate_series(1, CAST(:count AS int)) n
"""
ENROL = (
    "INSERT INTO tokens (kind, hash, created_at, created_by) VALUES ('enrol', :hash, now(), 'x')"
)
PATTERNS = {
    "rate": re.compile(r"Requests/sec:\s+([\d.]+)"),
    "p50": re.compile(r"50%\s+([\d.]+)(us|ms|s)"),
    "p99": re.compile(r"99%\s+([\d.]+)(us|ms|s)"),
}
# Ours and theirs.
COLUMNS = f"{'p50, ms':>16}{'p99, ms':>16}{'MB':>12}"
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Figures:
    """`rate` a second; `p50` and `p99` in ms; `megabytes` of the process, afterwards."""

    rate: float
    p50: float
    p99: float
    megabytes: float
    wrong: str


@dataclass(frozen=True)
class Subject:
    name: str
    url: str
    pid: int


class Load:
    def __init__(self, devices: int, seconds: int) -> None:
        self._devices = devices
        self._seconds = seconds
        self._base = 0x300000000000

    def __call__(self, subject: Subject, operation: str, dialect: str, connections: int) -> Figures:
        self._base += 10_000_000
        environment = {
            **os.environ,
            "OPERATION": operation,
            "DIALECT": dialect,
            "TOKEN": KEY if operation == "register" else ADMIN,
            "DEVICES": str(self._devices),
            "BASE": str(self._base),
        }
        command = ["wrk", "-t1", f"-c{connections}", f"-d{self._seconds}", "--latency"]
        ended = subprocess.run(
            [*command, "-s", str(HERE / "load.lua"), subject.url],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        told = {name: pattern.search(ended.stdout) for name, pattern in PATTERNS.items()}
        assert all(told.values()), ended.stdout
        times = [float(told[n][1]) * MILLISECONDS[told[n][2]] for n in ("p50", "p99")]  # type: ignore[index]
        rate = float(told["rate"][1])  # type: ignore[index]
        return Figures(rate, *times, _megabytes(subject.pid), ended.stderr.strip())


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def mercurius(database_url: str, folder: Path) -> Iterator[Subject]:
    target = folder / "mercurius"
    shutil.copytree(HERE / "mercurius", target, ignore=shutil.ignore_patterns("node_modules"))
    install = ["npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts", "--silent"]
    subprocess.run(install, cwd=target, check=True)
    port = free_port()
    parts = urlsplit(database_url)
    host = parse_qs(parts.query)["host"][0]
    environment = {
        **os.environ,
        "NODE_ENV": "production",
        "PORT": str(port),
        "DATABASE_URL": f"postgresql://postgres@{host.replace('/', '%2F')}/postgres",
    }
    with (folder / "mercurius.log").open("w") as log:
        process = subprocess.Popen(
            [shutil.which("node") or "node", "server.mjs"],
            cwd=target,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _until_it_answers(url)
        yield Subject("Mercurius (JIT)", url, process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


async def prepared(url: str, devices: int) -> None:
    database = Database(url, statement_seconds=None)
    await migrate(database)
    async with database.begin() as session:
        for statement in filter(str.strip, LEVELS.split(";")):
            await session.execute(text(statement))
    await fill(database, 1, devices)
    async with database.begin() as session:
        await session.execute(text(TOKENS), {"count": devices})
        await session.execute(text(ENROL), {"hash": hash_secret(KEY)})
        await session.execute(text("DELETE FROM undelivered"))
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))
    await database.close()


def measured(
    subject: Subject, load: Load, dialects: tuple[str, ...], connections: tuple[int, ...]
) -> dict[tuple[str, int], Figures]:
    found = {}
    for operation in ("boot", "list", "register"):
        for dialect in dialects if operation != "list" else ("plain",):
            load(subject, operation, dialect, 16)
            for count in connections:
                found[f"{operation}, {dialect}", count] = load(subject, operation, dialect, count)
    return found


def table(ours: dict[tuple[str, int], Figures], theirs: dict[tuple[str, int], Figures]) -> str:
    lines = [
        f"{'':18}{'connections':>12}{'Rollcall/s':>12}{'Mercurius/s':>13}{'ratio':>7}" + COLUMNS
    ]
    for (what, count), mine in ours.items():
        other = theirs[f"{what.partition(',')[0]}, plain", count]
        lines.append(
            f"{what:18}{count:>12}{mine.rate:>12,.0f}{other.rate:>13,.0f}"
            f"{mine.rate / other.rate:>7.2f}{mine.p50:>8.1f}{other.p50:>8.1f}"
            f"{mine.p99:>8.1f}{other.p99:>8.1f}{mine.megabytes:>6.0f}{other.megabytes:>6.0f}"
        )
        lines += [f"  {figures.wrong}" for figures in (mine, other) if figures.wrong]
    return "\n".join(lines)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, nargs="*", default=[16, 64])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-") as folder:
        postgres = EmbeddedPostgres(Path(folder))
        try:
            url = postgres.start()
            await prepared(url, chosen.devices)
            load, counts = Load(chosen.devices, chosen.seconds), tuple(chosen.connections)
            with serving(url) as server:
                # It puts its administrator's token into the database.
                await ready(server.output)
            with mercurius(url, Path(folder)) as subject:
                theirs = measured(subject, load, ("plain",), counts)
            with serving(url) as server:
                address = (await ready(server.output)).removesuffix("/graphql")
                subject = Subject("Rollcall", address, server.pid)
                ours = measured(subject, load, ("trusted", "plain"), counts)
            print(table(ours, theirs))
        finally:
            postgres.stop()


if __name__ == "__main__":
    asyncio.run(main())
