"""Unmodified npm clients with automatic persisted queries against a real server."""

import json
from pathlib import Path
from typing import Any

import pytest

from server.settings import Settings
from tests.conftest import ADMIN, changed
from tests.events.live.serving import Instance, instance
from tests.events.live.test_clients import FOLDER, started
from tests.support.npm import npm_installed

CLIENTS = ["apollo", "urql"]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_installed(FOLDER, tmp_path_factory.mktemp("npm"))


async def results(clients: Path, *command: str) -> list[Any]:
    ended = await started(clients, "persisted.mjs", *command)
    output, errors = await ended.communicate()
    assert ended.returncode == 0, errors.decode()
    return [json.loads(line) for line in output.splitlines()]


def without_types(data: Any) -> Any:
    return {key: value for key, value in data.items() if key != "__typename"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_admin_client_sends_its_document_once(
    client: str, method: str, one: Instance, clients: Path
) -> None:
    first, *others = await results(clients, client, one.url, ADMIN, method, "3")
    again = "POST" if client == "apollo" else method
    assert first["sent"] == [f"{method} hash 200", f"{again} hash+text 200"]
    assert [each["sent"] for each in others] == [[f"{method} hash 200"]] * 2
    for each in (first, *others):
        assert without_types(each["data"]) == {"device": None, "me": None}
        assert "error" not in each
    [elsewhere] = await results(clients, client, one.url, ADMIN, method, "1")
    assert elsewhere["sent"] == [f"{method} hash 200"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_device_client_falls_back_to_text(client: str, one: Instance, clients: Path) -> None:
    token = (await one.api.register(ADMIN))["token"]
    first, second = await results(clients, client, one.url, token, "POST", "2")
    assert first["sent"] == ["POST hash 200", "POST text 200"]
    assert second["sent"] == ["POST text 200"]
    assert first["data"]["me"]["id"] == second["data"]["me"]["id"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_client_reports_error_if_only_trusted_documents_are_allowed(
    client: str, settings: Settings, clients: Path
) -> None:
    async with instance(changed(settings, trusted_only="everyone")) as one:
        [result] = await results(clients, client, one.url, ADMIN, "POST", "1")
    assert result["sent"] == ["POST hash 200", "POST text 403"]
    assert result["error"]
