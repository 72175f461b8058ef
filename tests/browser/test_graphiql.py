"""GraphiQL in a real browser without network access, against a server process."""

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
def run_scenario(
    folder: Path, chromium: str, server: ServerProcess, tmp_path: Path
) -> Callable[..., None]:
    """Return a function that runs one of scenarios.mjs and performs the steps it requests."""

    def run(name: str, url: str = "", **steps: Callable[[], None]) -> None:
        environment = {
            "SCREENSHOT": str(tmp_path / f"{name}.png"),
            "FAILURE": str(tmp_path / f"{name}-failed.png"),
            **os.environ,
            "CHROMIUM": chromium,
        }
        node = subprocess.Popen(
            ["node", "scenarios.mjs", name, url or server.url, ADMIN],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert node.stdin
        assert node.stdout
        output = []
        with node:
            for line in node.stdout:
                output.append(line)
                if line.startswith("step: "):
                    steps[line.removeprefix("step: ").strip().replace(" ", "_")]()
                    node.stdin.write("done\n")
                    node.stdin.flush()
        assert node.returncode == 0, f"see {environment['FAILURE']}\n{''.join(output)}"

    return run


@pytest.mark.parametrize(
    "name",
    [
        "first_visit",
        "fleet",
        "prepared_tabs_are_restored",
        "unknown_token",
        "live_config_changes",
        "refused_subscription_shows_hint",
        "phone",
        "rest_routes",
        "other_hosts_are_unreachable",
    ],
)
def test_browser_scenario(name: str, run_scenario: Callable[..., None]) -> None:
    run_scenario(name)


def test_introspection_in_production_requires_token(
    run_scenario: Callable[..., None], server: ServerProcess, tmp_path: Path
) -> None:
    production = ServerProcess(server.data_dir, ROLLCALL_ENV="production")
    production.log = tmp_path / "production.log"
    production.start()
    run_scenario("schema_requires_token", production.url)
    production.stop()


def test_subscription_replays_missed_changes_after_server_restart(
    run_scenario: Callable[..., None], server: ServerProcess, tmp_path: Path
) -> None:
    def stop_the_server() -> None:
        server.stop()

    def change_the_config_and_start_the_server() -> None:
        other = ServerProcess(server.data_dir)
        other.log = tmp_path / "other.log"
        other.start()
        changed = other.ask(CHANGE, input={"deviceId": DEVICE, "intervalSeconds": 20})
        assert changed["updateConfig"]["errors"] == []
        other.stop()
        server.start()

    run_scenario(
        "missed_changes_after_restart",
        stop_the_server=stop_the_server,
        change_the_config_and_start_the_server=change_the_config_and_start_the_server,
    )
