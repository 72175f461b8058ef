"""Confirmed changes are in the database after the server or PostgreSQL was killed."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.server.process import GraphQLRequest, ServerProcess, register_many, send_many
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


async def check_devices_and_events(server: ServerProcess, confirmed: set[str]) -> None:
    devices = {row["id"] for row in await server.rows("SELECT id FROM devices")}
    registered = await server.rows("SELECT device_id FROM events WHERE kind = 'device_registered'")
    assert confirmed <= devices
    assert sorted(row["device_id"] for row in registered) == sorted(devices)


async def test_killed_server_keeps_confirmed_registrations(server: ServerProcess) -> None:
    confirmed = await register_many(server, COUNT, retry=False, halfway=server.kill)
    assert COUNT // 2 <= len(confirmed) < COUNT
    server.start()
    await check_devices_and_events(server, confirmed)
    assert server.ask("{ devices { totalCount } }")["devices"]["totalCount"] >= len(confirmed)


async def test_registrations_are_retried_after_postgres_is_killed(server: ServerProcess) -> None:
    def kill_postgres() -> None:
        os.kill(server.postgres_pid, signal.SIGKILL)

    confirmed = await register_many(server, COUNT, retry=True, halfway=kill_postgres)
    assert len(confirmed) == COUNT
    await check_devices_and_events(server, confirmed)


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
    """Return device and config version of each event of a kind; assert that they are unique."""
    events = await server.rows(LOG.format(kind))
    found = [(row["device_id"], json.loads(row["after"])[version]) for row in events]
    assert len(set(found)) == len(found)
    return set(found)


async def test_killed_server_keeps_confirmed_configs_and_acknowledgements(
    server: ServerProcess,
) -> None:
    """Half of the devices get a new config while the others acknowledge theirs."""
    registered: dict[str, str] = {}
    for number in range(COUNT // 5):
        mac = f"24:6f:28:01:{number // 256:02x}:{number % 256:02x}"
        answer = server.ask(REGISTER, input={**BENCH, "mac": mac})["registerDevice"]
        registered[answer["device"]["id"]] = answer["token"]
    ids = list(registered)
    requests = [
        GraphQLRequest(ACKNOWLEDGE, {"version": 1}, registered[id])
        if number % 2
        else GraphQLRequest(CHANGE, {"id": id, "interval": 100 + number})
        for number, id in enumerate(ids)
    ]
    results = await send_many(server, requests, retry=False, halfway=server.kill)
    assert len(ids) // 2 <= len(results) < len(ids)
    server.start()
    changed = {(ids[n], 2) for n, data in results.items() if "updateConfig" in data}
    applied = {(ids[n], 1) for n, data in results.items() if "acknowledgeConfig" in data}
    assert changed
    assert applied
    rows = await server.rows("SELECT id, config_version, applied_version FROM devices")
    changed_in_log = await logged(server, "config_changed", "version")
    assert changed <= changed_in_log
    assert changed_in_log == {(row["id"], 2) for row in rows if row["config_version"] == 2}
    applied_in_log = await logged(server, "config_applied", "appliedVersion")
    assert applied <= applied_in_log
    assert applied_in_log == {(row["id"], 1) for row in rows if row["applied_version"] == 1}
    replaced = await server.rows("SELECT device_id, version FROM past_configs")
    assert {(row["device_id"], row["version"] + 1) for row in replaced} == changed_in_log


def test_clean_stop_stops_postgres(server: ServerProcess) -> None:
    postgres = psutil.Process(server.postgres_pid)
    assert server.stop() == -signal.SIGTERM
    wait_for(lambda: not postgres.is_running())


def test_clean_stop_stops_postgres_after_an_earlier_crash(server: ServerProcess) -> None:
    postgres = psutil.Process(server.postgres_pid)
    server.kill()
    assert postgres.is_running()
    server.start()
    assert server.postgres_pid == postgres.pid
    assert server.stop() == -signal.SIGTERM
    wait_for(lambda: not postgres.is_running())
