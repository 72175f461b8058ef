"""Whatever happens to a reload, Mosquitto has read the newest files in the end."""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from domain.mqtt.accounts import Account
from mqtt.address import Address
from mqtt.mosquitto import reload as mosquitto_reload
from mqtt.mosquitto.files import MosquittoFiles
from mqtt.mosquitto.probe import Answer, Probe, new_name
from tests.mqtt.certificates import Certificates
from tests.mqtt.mosquitto.file_broker import PASSWORD, SERVER, Broker, device, many
from tests.mqtt.mosquitto.load import busy
from tests.server.process import wait_for

NOBODY = ("", "no number", "999999999")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosquitto_reload, "PAUSES_SECONDS", (0.0, 0.05))
    monkeypatch.setattr(mosquitto_reload, "START_SECONDS", 0.2)


@pytest.mark.parametrize("content", [None, *NOBODY])
def test_where_no_broker_runs_the_files_are_written(tmp_path: Path, content: str | None) -> None:
    broker = Broker(tmp_path)
    if content is not None:
        broker.pid_file.write_text(content)
    assert broker.files.write([SERVER])


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("content", [None, *NOBODY, "another process"])
def test_a_broker_that_the_pid_file_does_not_name(broker: Broker, content: str | None) -> None:
    """It can't be told, and that is not passed over."""
    pid = broker.pid_file.read_text()
    if content is None:
        broker.pid_file.unlink()
    else:
        number = str(os.getpid()) if content == "another process" else content
        broker.pid_file.write_text(number)
    with pytest.raises(TimeoutError, match="names no Mosquitto"):
        broker.files.write([SERVER, device("new")])
    broker.pid_file.write_text(pid)
    assert not broker.files.write([SERVER, device("new")])
    assert broker.lets_in("new")


def test_another_process_is_not_taken_for_mosquitto(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(str(os.getpid()))
    told: list[int] = []
    previous = signal.signal(signal.SIGHUP, lambda number, _: told.append(number))
    try:
        MosquittoFiles(tmp_path, tmp_path / "pid").write([SERVER])
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert told == []


@pytest.mark.usefixtures("impatient")
def test_a_broker_that_is_not_where_the_server_connects(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.files.write([SERVER])
    broker.start()
    elsewhere = Address("127.0.0.1", 1, username="rollcall", password=PASSWORD)
    try:
        with pytest.raises(TimeoutError, match=r"does not answer at 127\.0\.0\.1:1"):
            MosquittoFiles(tmp_path, broker.pid_file, elsewhere).write([SERVER, device("new")])
        assert broker.lets_in("new")
    finally:
        broker.stop()


@pytest.mark.usefixtures("impatient")
def test_a_broker_that_reads_other_files(broker: Broker, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with pytest.raises(TimeoutError, match="does its configuration name them"):
        MosquittoFiles(folder, broker.pid_file, broker.address).write([SERVER])


@pytest.mark.usefixtures("impatient")
def test_a_broker_that_has_lost_its_acl_file(tmp_path: Path) -> None:
    """Mosquitto 2.0 lets every client do everything then."""
    broker = Broker(tmp_path)
    broker.files.write([SERVER])
    link = tmp_path / "link"
    link.symlink_to(broker.files.acl)
    broker.lines = (*broker.lines[:-2], f"acl_file {link}")
    broker.start()
    try:
        link.unlink()
        with pytest.raises(TimeoutError, match="lets every client do everything"):
            broker.files.write([SERVER, device("new")])
        link.symlink_to(broker.files.acl)
        assert not broker.files.write([SERVER, device("new")])
    finally:
        broker.stop()


def test_a_listener_that_checks_no_passwords_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker(tmp_path)
    acl = broker.files.acl
    broker.lines = (f"listener {broker.second_port}", "allow_anonymous true", f"acl_file {acl}")
    broker.files.write([SERVER])
    broker.start()
    try:
        broker.files.write([SERVER, device("new")])
        assert "checks no passwords" in caplog.text
    finally:
        broker.stop()


@pytest.mark.parametrize("identity", [False, True])
def test_over_tls(
    tmp_path: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture, identity: bool
) -> None:
    """`identity`: the certificate says who it is, and any password will do."""
    broker = Broker(tmp_path)
    certificate, key = certificates.made("broker")
    tls = [f"cafile {certificates.ca}", f"certfile {certificate}", f"keyfile {key}"]
    if identity:
        tls += ["require_certificate true", "use_identity_as_username true"]
    broker.lines = (*broker.lines[:2], *tls, *broker.lines[2:])
    own = dict(zip(("certificate", "key"), certificates.made("rollcall"), strict=True))
    broker.address = replace(broker.address, tls=True, ca=certificates.ca, **own)
    files = broker.writer()
    files.write([SERVER])
    broker.start()
    try:
        for name in ("one", "two"):
            files.write([SERVER, device(name)])
            assert broker.lets_in(name)
        assert caplog.text.count("checks no passwords") == int(identity)
    finally:
        broker.stop()


def test_a_probe_may_connect_and_nothing_else(broker: Broker) -> None:
    name = broker.files.acl.read_text().partition("\n")[0].removeprefix("# ")
    probe = Probe(broker.address)
    assert probe.ask(name) is Answer.READ
    assert probe.ask(new_name()) is Answer.UNREAD
    with broker.client(name, probe._password(name)) as client:
        client.subscribe("#")
        with broker.client("rollcall") as server:
            server.sent("acme/secret", "secret")
        client.subscribe("nobody/uses/this")
        assert client.received == []
    broker.stop()
    assert probe.ask(name) is Answer.UNREACHABLE


def test_no_change_is_lost_while_the_broker_still_reloads(tmp_path: Path) -> None:
    """As after logrotate. Mosquitto 2.0 forgets a SIGHUP during a reload, a second long here."""
    broker = Broker(tmp_path)
    broker.files.write([SERVER, *many(8_000)])
    broker.start()
    try:
        broker.reload()
        wait_for(lambda: "Reloading" in broker.log.read_text())
        broker.files.write([SERVER, device("new")])
        assert broker.lets_in("new")
    finally:
        broker.stop()


def test_a_broker_that_just_starts_survives_a_change(tmp_path: Path) -> None:
    """A SIGHUP would end Mosquitto 2.0 until it has read its files."""
    broker = Broker(tmp_path)
    broker.files.write([SERVER, *many(8_000)])
    broker.launch()
    try:
        wait_for(lambda: broker.pid_file.exists() and broker.pid_file.read_text().strip() != "")
        broker.files.write([SERVER, device("new")])
        assert broker.lets_in("new")
    finally:
        broker.stop()


# Forks for each line: a step to be killed at, and the accounts to write.
KILLED = """
import os, pickle, signal, sys
from mqtt.mosquitto.files import MosquittoFiles
place = pickle.load(sys.stdin.buffer)
folder = str(place[0])
def write(step, accounts):
    steps_left = step
    def die(event, arguments):
        nonlocal steps_left
        opened = event == "open" and folder in str(arguments[0])
        if opened or event in ("os.rename", "socket.connect"):
            steps_left -= 1
            if steps_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(die)
    MosquittoFiles(*place).write(accounts)
while True:
    step, accounts = pickle.load(sys.stdin.buffer)
    if not (child := os.fork()):
        write(step, accounts)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
"""


@pytest.fixture
def mortal(broker: Broker) -> Iterator[Callable[[int, list[Account]], bool]]:
    """A writer that is killed at a step; whether it had so many."""
    command = [sys.executable, "-c", KILLED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout
        pickle.dump((broker.folder, broker.pid_file, broker.address), stdin)

        def killed(step: int, accounts: list[Account]) -> bool:
            pickle.dump((step, accounts), stdin)
            stdin.flush()
            return int(stdout.readline()) == -signal.SIGKILL

        yield killed
        process.kill()


def test_what_a_killed_writer_has_left_undone_is_done_by_the_next(
    broker: Broker, mortal: Callable[[int, list[Account]], bool]
) -> None:
    """Also if somebody, such as a backup, has read the files meanwhile."""
    step, killed = 0, True
    while killed:
        step += 1
        before, after = ([SERVER, device(f"{name}-{step}")] for name in ("old", "new"))
        broker.files.write(before)
        killed = mortal(step, after)
        for path in (broker.files.passwords, broker.files.acl):
            path.read_bytes()
        broker.writer().write(after)
        assert broker.lets_in(f"new-{step}"), step
        assert not broker.lets_in(f"old-{step}"), step
    assert step > 10


def test_nothing_is_signalled_that_has_been_read(broker: Broker) -> None:
    after = [SERVER, device("one"), device("late")]
    broker.files.write(after)
    for _ in range(3):
        assert not broker.files.write(after)
        assert not broker.writer().write(after)
    assert broker.lets_in("late")
    assert broker.log.read_text().count("Reloading") == 1


@contextmanager
def meanwhile(act: Callable[[], object], pause: float) -> Iterator[None]:
    """Again and again, after a random pause up to `pause`."""
    ended = threading.Event()
    failed: list[BaseException] = []

    def repeat() -> None:
        try:
            while not ended.wait(random.uniform(0, pause)):
                act()
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert not failed


NEWCOMERS = 20


def newcomers_are_let_in(broker: Broker, files: MosquittoFiles, name: str = "new") -> None:
    for number in range(NEWCOMERS):
        files.write([SERVER, *many(200), device(f"{name}-{number}")])
        assert broker.lets_in(f"{name}-{number}"), number


def test_newcomers_on_a_busy_machine_whose_broker_is_often_told_to_reload(broker: Broker) -> None:
    with busy(), meanwhile(broker.reload, 0.05):
        newcomers_are_let_in(broker, broker.files)


def test_a_broker_that_is_killed_and_started_all_the_time(broker: Broker) -> None:
    def again() -> None:
        broker.kill()
        broker.start()

    with meanwhile(again, 0.1):
        for number in range(NEWCOMERS):
            broker.files.write([SERVER, *many(200), device(f"new-{number}")])
    assert broker.lets_in(f"new-{NEWCOMERS - 1}")


def test_two_writers_at_once(broker: Broker) -> None:
    """Each finds its own accounts in force when it is done, whoever comes next."""
    files, number = broker.writer(), iter(range(1_000_000))

    def other() -> None:
        files.write([SERVER, *many(200), device(f"other-{next(number)}")])

    with meanwhile(other, 0.01):
        for count in range(NEWCOMERS):
            broker.files.write([SERVER, *many(200), device(f"new-{count}")])
    broker.files.write([SERVER, device("last")])
    assert broker.lets_in("last")
