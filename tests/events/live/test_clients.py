"""Unmodified npm clients and audits against a real server."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from server.settings import Settings
from tests.conftest import ADMIN
from tests.events.live.serving import Instance, change_config, instance
from tests.support.npm import npm_installed
from tests.support.waiting import WAIT_SECONDS, until

FOLDER = Path(__file__).parents[2] / "clients"


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_installed(FOLDER, tmp_path_factory.mktemp("npm"))


async def started(clients: Path, *command: str, **environment: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        "node", *command, cwd=clients, stdout=pipe, stderr=pipe, env={**os.environ, **environment}
    )


async def test_graphql_over_http_audits_pass(one: Instance, clients: Path) -> None:
    ended = await started(clients, "audits.mjs", one.url)
    output, errors = await ended.communicate()
    assert output.decode() == "61 audits\n", errors.decode()


@pytest.mark.parametrize("protocol", ["ws", "sse"])
async def test_npm_client_receives_changes_and_resumes(
    protocol: str, settings: Settings, clients: Path
) -> None:
    """The server stops, and another one starts on the same port."""
    async with instance(settings) as one:
        port = one.port
        device = (await one.api.register(ADMIN))["device"]["id"]
        process = await started(clients, "subscribe.mjs", protocol, one.url, ADMIN, "6")
        assert process.stdout
        await until(lambda: one.subscriptions == 1)
        for interval in (11, 12, 13):
            await change_config(one.api, device, interval)
        lines = [await process.stdout.readline() for _ in range(3)]
    async with instance(settings) as elsewhere:
        await change_config(elsewhere.api, device, 14)
    async with instance(settings, port) as one:
        await until(lambda: one.subscriptions == 1)
        for interval in (15, 16):
            await change_config(one.api, device, interval)
        async with asyncio.timeout(WAIT_SECONDS):
            output, errors = await process.communicate()
    lines += output.splitlines()
    changes = [json.loads(line) for line in lines]
    assert [change["config"]["version"] for change in changes] == list(range(2, 8)), errors
    assert {change["device"]["id"] for change in changes} == {device}
    assert process.returncode == 0, errors


@pytest.mark.parametrize("protocol", ["ws", "sse"])
async def test_npm_client_reports_invalid_token(
    protocol: str, one: Instance, clients: Path
) -> None:
    command = ("subscribe.mjs", protocol, one.url, "rca_unknown", "1")
    ended = await started(clients, *command, RETRIES="0")
    _, errors = await ended.communicate()
    assert ended.returncode == 1
    assert ("4401" if protocol == "ws" else "401") in errors.decode()
