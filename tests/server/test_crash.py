"""What was answered is there, whatever is killed."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.server.process import Asked, ServerProcess, ask_many, register_many
from tests.support.client import BENCH, REGISTER
from tests.support.waiting import wait_for

COUNT = 500


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path / "data")
    server.start()
    try:
        yield server
    finally:
        server.stop()


async def check_all_there(server: ServerProcess, answered: set[str]) -> None:
    devices = {row["id"] for row in await server.rows("SELECT id FROM devices")}
    registered = await server.rows("SELECT device_id FROM events WHERE kind = 'device_registered'")
    assert answered <= devices
    assert sorted(row["device_id"] for row in registered) == sorted(devices)


async def test_the_server_is_killed_during_registrations(server: ServerProcess) -> None:
    answered = await register_many(server, COUNT, retry=False, halfway=server.kill)
    assert COUNT // 2 <= len(answered) < COUNT
    server.start()
    await check_all_there(server, answered)
    assert server.ask("{ devices { totalCount } }")["devices"]["totalCount"] >= len(answered)


async def test_postgres_is_killed_during_registrations(server: ServerProcess) -> None:
    def kill_postgres() -> None:
        os.kill(server.postgres_pid, signal.SIGKILL)

    answered = await register_many(server, COUNT, retry=True, halfway=kill_postgres)
    assert len(answered) == COUNT
    await check_all_there(server, answered)


CHANGE = """
mutation ($id: ID!, $interval: Int!) {
  updateConfig(input: {deviceId: $id, intervalSeconds: $interval}) { config { version } }
}"""
ACKNOWLEDGE = """
mutation ($version: Int!) {
  acknowledgeConfig(input: {version: $version}) { device { appliedConfig { version } } }
}"""
LOG = "SELECT device_id, after FROM events WHERE kind = '{}'"


async def logged(server: ServerProcess, kind: str, version: str) -> set[tuple[str, int]]:
    """The devices and config versions of a kind of events; none is there twice."""
    events = await server.rows(LOG.format(kind))
    found = [(row["device_id"], json.loads(row["after"])[version]) for row in events]
    assert len(set(found)) == len(found)
    return set(found)


async def test_the_server_is_killed_during_changes_and_reports(server: ServerProcess) -> None:
    """Half of the devices get a new config while the others report theirs."""
    registered: dict[str, str] = {}
    for number in range(COUNT // 5):
        mac = f"24:6f:28:01:{number // 256:02x}:{number % 256:02x}"
        answer = server.ask(REGISTER, input={**BENCH, "mac": mac})["registerDevice"]
        registered[answer["device"]["id"]] = answer["token"]
    ids = list(registered)
    requests = [
        Asked(ACKNOWLEDGE, {"version": 1}, registered[id])
        if number % 2
        else Asked(CHANGE, {"id": id, "interval": 100 + number})
        for number, id in enumerate(ids)
    ]
    answers = await ask_many(server, requests, retry=False, halfway=server.kill)
    assert len(ids) // 2 <= len(answers) < len(ids)
    server.start()
    changed = {(ids[n], 2) for n, data in answers.items() if "updateConfig" in data}
    applied = {(ids[n], 1) for n, data in answers.items() if "acknowledgeConfig" in data}
    assert changed
    assert applied
    rows = await server.rows("SELECT id, config_version, applied_version FROM devices")
    in_log = await logged(server, "config_changed", "version")
    assert changed <= in_log
    assert in_log == {(row["id"], 2) for row in rows if row["config_version"] == 2}
    reported = await logged(server, "config_applied", "appliedVersion")
    assert applied <= reported
    assert reported == {(row["id"], 1) for row in rows if row["applied_version"] == 1}
    past = await server.rows("SELECT device_id, version FROM past_configs")
    assert {(row["device_id"], row["version"] + 1) for row in past} == in_log


def test_a_clean_stop_stops_postgres_too(server: ServerProcess) -> None:
    postgres = psutil.Process(server.postgres_pid)
    assert server.stop() == -signal.SIGTERM
    wait_for(lambda: not postgres.is_running())


def test_postgres_is_stopped_also_after_a_crash_in_between(server: ServerProcess) -> None:
    postgres = psutil.Process(server.postgres_pid)
    server.kill()
    assert postgres.is_running()
    server.start()
    assert server.postgres_pid == postgres.pid
    assert server.stop() == -signal.SIGTERM
    wait_for(lambda: not postgres.is_running())
