"""The device client as a program on a computer, with a real server."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from esp_client.simulated import Simulated
from tests.esp_client.observer import Observer
from tests.esp_client.running import BASE, store_registration
from tests.server.process import ADMIN, ServerProcess
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import WAIT_SECONDS, wait_for

ID = "ec42179b76a53de03a9ace42975a4fc6"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("end_to_end") / "data")
    server.start()
    yield server
    server.stop()


def device(
    server: ServerProcess, folder: Path, *more: str, key: str = ADMIN
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "esp_client", "--url", server.url, "--key", key]
    command += ["--owner", "Acme", "--state", str(folder / "device.json"), *more]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=WAIT_SECONDS
    )


def test_register_change_config_and_restart(server: ServerProcess, tmp_path: Path) -> None:
    first = device(server, tmp_path, "--mac", "24:6f:28:aa:bb:cc")
    assert first.returncode == 0, first.stdout
    assert f"topic data    acme/bench/temperature/{ID}" in first.stdout
    assert "interval      60 s" in first.stdout

    change = f'mutation {{ updateConfig(input: {{deviceId: "{ID}", intervalSeconds: 10}}) '
    server.ask(change + "{ device { inSync } } }")
    query = f'{{ device(id: "{ID}") {{ inSync appliedConfig {{ version }} }} }}'
    assert server.ask(query)["device"] == {"inSync": False, "appliedConfig": {"version": 1}}

    second = device(server, tmp_path, "--mac", "246F.28AA.BBCC")
    assert "outcome       KNOWN" in second.stdout
    assert "interval      10 s" in second.stdout
    assert f"topic data    acme/bench/temperature/{ID}" in second.stdout
    assert server.ask(query)["device"] == {"inSync": True, "appliedConfig": {"version": 2}}
    assert server.ask("{ devices { totalCount } }")["devices"]["totalCount"] == 1


def test_wrong_enrolment_key_is_reported(server: ServerProcess, tmp_path: Path) -> None:
    ended = device(server, tmp_path, "--timeout", "0", key="rce_wrong")
    assert ended.returncode == 1
    assert "No config yet: the server does not know this token or key" in ended.stdout


def test_state_file_of_another_device_is_rejected(server: ServerProcess, tmp_path: Path) -> None:
    first = device(server, tmp_path, "--mac", "24:6f:28:aa:bb:cd")
    assert first.returncode == 0
    state = tmp_path / "device.json"
    assert state.stat().st_mode & 0o077 == 0
    before = state.read_text()
    second = device(server, tmp_path, "--mac", "24:6f:28:aa:bb:ce")
    assert second.returncode == 1
    assert "device.json is the file of another device" in second.stderr
    assert state.read_text() == before


def test_stored_config_is_used_without_a_server(server: ServerProcess, tmp_path: Path) -> None:
    device(server, tmp_path, "--mac", "24:6f:28:aa:bb:cd")
    ended = device(server, tmp_path, "--timeout", "0", "--url", "http://127.0.0.1:1")
    assert ended.returncode == 0
    assert ended.stdout.startswith("Stored config in use")


def test_runs_with_a_broker_until_sigterm(
    broker: Mosquitto, observer: Observer, tmp_path: Path
) -> None:
    store_registration(tmp_path, broker.port)
    command = [sys.executable, "-m", "esp_client", "--url", "http://127.0.0.1:1", "--run"]
    command += ["--state", str(tmp_path / "device.json"), "--timeout", "0", "--seed", "7"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: bool(observer.payloads(BASE)))
        assert observer.payloads(BASE) == [str(Simulated("temperature", 7).read()).encode()]
        process.terminate()
        output, _ = process.communicate(timeout=WAIT_SECONDS)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert f"connected to 127.0.0.1:{broker.port}" in output
    observer.wait(f"{BASE}/status", b"offline")
