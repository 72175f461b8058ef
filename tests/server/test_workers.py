"""Several worker processes on one port; one of them runs the broker."""

import re
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.mqtt.observer import Observer
from tests.server.process import ADMIN, ServerProcess
from tests.support.client import BENCH, REGISTER
from tests.support.waiting import WAIT_SECONDS, until, wait_for

COUNT = 2


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    command = (sys.executable, "-m", "server", "serve", "--workers", str(COUNT))
    server = ServerProcess(tmp_path / "data", *command)
    server.start()
    try:
        wait_for(partial(has_database, server, COUNT))
        yield server
    finally:
        server.stop()


def has_database(server: ServerProcess, count: int) -> bool:
    """Return True if at least `count` workers have opened the database so far."""
    return server.output.count("The database is ready.") >= count


def workers(server: ServerProcess) -> list[psutil.Process]:
    assert server.process
    children = psutil.Process(server.process.pid).children()
    return [child for child in children if "postgres" not in child.name()]


def replaced(server: ServerProcess, killed: psutil.Process) -> bool:
    running = workers(server)
    return len(running) == COUNT and killed not in running


def ended(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


def register(server: ServerProcess, number: int) -> Any:
    values = {**BENCH, "mac": f"24:6f:28:03:00:{number:02x}"}
    return server.ask(REGISTER, input=values)["registerDevice"]


async def wait_for_configs(server: ServerProcess, topics: set[str]) -> None:
    """Wait until the broker retains these config topics."""
    [port] = re.findall(r"MQTT at \S+:(\d+)", server.output)
    async with Observer(int(port), "admin", ADMIN) as observer:
        await observer.subscribe("#", 1)
        await until(lambda: topics <= set(observer.latest))


async def test_all_workers_use_the_broker_of_one(server: ServerProcess) -> None:
    [port] = re.findall(r"MQTT at \S+:(\d+)", server.output)
    answers = [register(server, number) for number in range(30)]
    assert {answer["broker"]["port"] for answer in answers} == {int(port)}
    assert server.output.count("Enrolment key") == 1
    await wait_for_configs(server, {answer["device"]["topics"]["config"] for answer in answers})


def test_each_worker_reports_broker_state_in_metrics(server: ServerProcess) -> None:
    """Workers that do not run the broker report it, too."""
    seen = set()
    deadline = time.monotonic() + WAIT_SECONDS
    while len(seen) < COUNT:
        assert time.monotonic() < deadline, seen
        metrics = httpx.get(f"{server.url}/metrics").text
        if "\nrollcall_mqtt_up 1.0" in metrics:
            seen.add('task="MQTT client"' in metrics)
        else:
            assert "\nrollcall_mqtt_up 0.0" in metrics


async def test_killed_worker_is_replaced(server: ServerProcess) -> None:
    topics = register(server, 1)["device"]["topics"]
    for number, killed in enumerate(workers(server), COUNT + 1):
        killed.kill()
        wait_for(partial(replaced, server, killed))
        wait_for(partial(has_database, server, number))
    assert server.ask("{ devices { totalCount } }")["devices"]["totalCount"] == 1
    # The worker that runs the broker was killed, too.
    await wait_for_configs(server, {topics["config"]})


def test_sigterm_ends_all_workers_and_postgres(server: ServerProcess) -> None:
    assert server.process
    running = [*workers(server), psutil.Process(server.postgres_pid)]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(WAIT_SECONDS) == 0
    wait_for(lambda: ended(running))
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_workers_end_when_main_process_is_killed(server: ServerProcess) -> None:
    running = [*workers(server), psutil.Process(server.postgres_pid)]
    server.kill()
    wait_for(lambda: ended(running))


def test_invalid_trusted_documents_are_reported_once(tmp_path: Path) -> None:
    (tmp_path / "x.graphql").write_text("query x { nothing }")
    command = (sys.executable, "-m", "server", "serve", "--workers", "2")
    folder = {"ROLLCALL_TRUSTED_DOCUMENTS": str(tmp_path)}
    server = ServerProcess(tmp_path / "data", *command, **folder)
    with pytest.raises(AssertionError):
        server.start()
    assert server.process
    assert server.process.wait(WAIT_SECONDS) == 1
    assert server.output.count("ROLLCALL_TRUSTED_DOCUMENTS:") == 1
    assert not (tmp_path / "data").exists()
