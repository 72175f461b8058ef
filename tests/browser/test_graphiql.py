"""GraphiQL in a real browser with the network closed, against a server as a user starts it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.process import ADMIN, ServerProcess
from tests.support.client import BENCH, REGISTER
from tests.support.npm import npm_installed
from tests.support.ports import free_port

FOLDER = Path(__file__).parent
FLEET = [
    ("24:6f:28:aa:bb:cc", "Paris", "temperature", "BME280"),
    ("24:6f:28:aa:bb:cd", "Paris", "humidity", "SHT31"),
    ("24:6f:28:aa:bb:ce", "Berlin", "co2", "SCD41"),
    ("24:6f:28:aa:bb:cf", "Lyon", "temperature", "DS18B20"),
]
DEVICE = "ec42179b76a53de03a9ace42975a4fc6"
CHANGE = """mutation ($input: UpdateConfigInput!) {
    updateConfig(input: $input) { config { version } errors { message } }
}"""


@pytest.fixture(scope="module")
def chromium() -> str:
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing")
        pytest.skip("chromium is not installed")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm_installed(FOLDER, tmp_path_factory.mktemp("browser"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("fleet") / "data"
    server = ServerProcess(data, ROLLCALL_PORT=str(free_port()))
    server.start()
    for mac, place, type, model in FLEET:
        where = {"location": {"place": place}, "measurementType": type}
        server.ask(REGISTER, input={**BENCH, **where, "mac": mac, "sensorModel": model})
    yield server
    server.stop()


@pytest.fixture
def visit(
    folder: Path, chromium: str, server: ServerProcess, tmp_path: Path
) -> Callable[..., None]:
    """Runs one of visits.mjs, and does what it asks for by `please ...`."""

    def run(name: str, url: str = "", **pleased: Callable[[], None]) -> None:
        environment = {
            "SCREENSHOT": str(tmp_path / f"{name}.png"),
            "FAILURE": str(tmp_path / f"{name}-failed.png"),
            **os.environ,
            "CHROMIUM": chromium,
        }
        visiting = subprocess.Popen(
            ["node", "visits.mjs", name, url or server.url, ADMIN],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert visiting.stdin
        assert visiting.stdout
        said = []
        with visiting:
            for line in visiting.stdout:
                said.append(line)
                if line.startswith("please "):
                    pleased[line.removeprefix("please ").strip().replace(" ", "_")]()
                    visiting.stdin.write("done\n")
                    visiting.stdin.flush()
        assert visiting.returncode == 0, f"see {environment['FAILURE']}\n{''.join(said)}"

    return run


@pytest.mark.parametrize(
    "name",
    [
        "first_visit",
        "fleet",
        "prepared_tabs_come_back",
        "unknown_token",
        "changes_as_they_happen",
        "a_refused_connection_is_explained",
        "phone",
        "rest_routes",
        "the_network_is_closed",
    ],
)
def test_a_visit(name: str, visit: Callable[..., None]) -> None:
    visit(name)


def test_where_the_schema_is_not_shown_to_all(
    visit: Callable[..., None], server: ServerProcess, tmp_path: Path
) -> None:
    production = ServerProcess(server.data_dir, ROLLCALL_ENV="production")
    production.log = tmp_path / "production.log"
    production.start()
    visit("schema_for_those_with_a_token", production.url)
    production.stop()


def test_what_happened_while_the_server_was_away_comes_when_it_is_back(
    visit: Callable[..., None], server: ServerProcess, tmp_path: Path
) -> None:
    def stop_the_server() -> None:
        server.stop()

    def change_it_elsewhere_and_start_the_server() -> None:
        other = ServerProcess(server.data_dir)
        other.log = tmp_path / "other.log"
        other.start()
        changed = other.ask(CHANGE, input={"deviceId": DEVICE, "intervalSeconds": 20})
        assert changed["updateConfig"]["errors"] == []
        other.stop()
        server.start()

    visit(
        "changes_while_the_server_was_away",
        stop_the_server=stop_the_server,
        change_it_elsewhere_and_start_the_server=change_it_elsewhere_and_start_the_server,
    )
