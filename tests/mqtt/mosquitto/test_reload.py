"""Reloads of Mosquitto: after any failure it finally reads the newest files."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mqtt.address import Address
from mqtt.mosquitto import reload as mosquitto_reload
from mqtt.mosquitto.files import MosquittoFiles
from mqtt.mosquitto.probe import Answer, Probe, new_name
from tests.mqtt.certificates import Certificates
from tests.mqtt.mosquitto.file_broker import PASSWORD, SERVER, Broker, device, many
from tests.mqtt.mosquitto.load import busy
from tests.server.process import wait_for

NO_PROCESS = ("", "no number", "999999999")


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mosquitto_reload, "PAUSES_SECONDS", (0.0, 0.05))
    monkeypatch.setattr(mosquitto_reload, "START_SECONDS", 0.2)


@pytest.mark.parametrize("content", [None, *NO_PROCESS])
def test_files_are_written_without_a_running_broker(tmp_path: Path, content: str | None) -> None:
    broker = Broker(tmp_path)
    if content is not None:
        broker.pid_file.write_text(content)
    assert broker.files.write([SERVER])


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize("content", [None, *NO_PROCESS, "another process"])
def test_write_fails_if_pid_file_does_not_name_the_broker(
    broker: Broker, content: str | None
) -> None:
    """The broker can't be signalled, so the write fails and is repeated later."""
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
    assert broker.accepts("new")


def test_other_process_in_pid_file_gets_no_signal(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(str(os.getpid()))
    signals: list[int] = []
    previous = signal.signal(signal.SIGHUP, lambda number, _: signals.append(number))
    try:
        MosquittoFiles(tmp_path, tmp_path / "pid").write([SERVER])
    finally:
        signal.signal(signal.SIGHUP, previous)
    assert signals == []


@pytest.mark.usefixtures("short_timeouts")
def test_write_fails_if_broker_does_not_answer_at_its_address(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.files.write([SERVER])
    broker.start()
    elsewhere = Address("127.0.0.1", 1, username="rollcall", password=PASSWORD)
    try:
        with pytest.raises(TimeoutError, match=r"does not answer at 127\.0\.0\.1:1"):
            MosquittoFiles(tmp_path, broker.pid_file, elsewhere).write([SERVER, device("new")])
        assert broker.accepts("new")
    finally:
        broker.stop()


@pytest.mark.usefixtures("short_timeouts")
def test_write_fails_if_broker_reads_other_files(broker: Broker, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with pytest.raises(TimeoutError, match="Check that its configuration names them"):
        MosquittoFiles(folder, broker.pid_file, broker.address).write([SERVER])


@pytest.mark.usefixtures("short_timeouts")
def test_write_fails_if_acl_file_is_missing(tmp_path: Path) -> None:
    """Without its ACL file, Mosquitto 2.0 gives every client all rights."""
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


def test_listener_without_password_check_is_logged(
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


def tls_broker(folder: Path, certificates: Certificates, *, identity: bool) -> Broker:
    broker = Broker(folder)
    certificate, key = certificates.create("broker")
    tls = [f"cafile {certificates.ca}", f"certfile {certificate}", f"keyfile {key}"]
    if identity:
        tls += ["require_certificate true", "use_identity_as_username true"]
    broker.lines = (*broker.lines[:2], *tls, *broker.lines[2:])
    client = dict(zip(("certificate", "key"), certificates.create("rollcall"), strict=True))
    broker.address = replace(broker.address, tls=True, ca=certificates.ca, **client)
    return broker


@pytest.mark.parametrize("identity", [False, True])
def test_reload_is_confirmed_over_tls(
    tmp_path: Path, certificates: Certificates, caplog: pytest.LogCaptureFixture, identity: bool
) -> None:
    """`identity`: the user name is from the certificate, and passwords are not checked."""
    broker = tls_broker(tmp_path, certificates, identity=identity)
    files = broker.writer()
    files.write([SERVER])
    broker.start()
    try:
        for name in ("one", "two"):
            files.write([SERVER, device(name)])
            if identity:
                # Without passwords the writer can't see when Mosquitto has read them.
                wait_for(partial(broker.accepts, name))
            assert broker.accepts(name)
        assert caplog.text.count("checks no passwords") == int(identity)
    finally:
        broker.stop()


def test_probe_account_has_no_rights(broker: Broker) -> None:
    name = broker.files.acl.read_text().partition("\n")[0].removeprefix("# ")
    probe = Probe(broker.address)
    assert probe.ask(name) is Answer.READ
    assert probe.ask(new_name()) is Answer.UNREAD
    with broker.client(name, probe._password(name)) as client:
        client.subscribe("#")
        with broker.client("rollcall") as server:
            server.sent("acme/secret", "secret")
        client.subscribe("no/such/topic")
        assert client.received == []
    broker.stop()
    assert probe.ask(name) is Answer.UNREACHABLE


def test_write_during_a_reload_is_not_lost(tmp_path: Path) -> None:
    """Mosquitto 2.0 loses a SIGHUP during a reload, which takes a second here."""
    broker = Broker(tmp_path)
    broker.files.write([SERVER, *many(8_000)])
    broker.start()
    try:
        broker.reload()
        wait_for(lambda: "Reloading" in broker.log.read_text())
        broker.files.write([SERVER, device("new")])
        assert broker.accepts("new")
    finally:
        broker.stop()


def test_broker_that_is_starting_survives_a_write(tmp_path: Path) -> None:
    """A SIGHUP before it has read its files would end Mosquitto 2.0."""
    broker = Broker(tmp_path)
    broker.files.write([SERVER, *many(8_000)])
    broker.launch()
    try:
        wait_for(lambda: broker.pid_file.exists() and broker.pid_file.read_text().strip() != "")
        broker.files.write([SERVER, device("new")])
        assert broker.accepts("new")
    finally:
        broker.stop()


def test_write_during_start_is_read_without_password_check(
    tmp_path: Path, certificates: Certificates
) -> None:
    """The probe can't see which files it has read, and no signal may be sent during its start."""
    broker = tls_broker(tmp_path, certificates, identity=True)
    files = broker.writer()
    files.write([SERVER, *many(8_000)])
    broker.launch()
    try:
        wait_for(lambda: broker.pid_file.exists() and broker.pid_file.read_text().strip() != "")
        files.write([SERVER, device("new")])
        wait_for(partial(broker.accepts, "new"))
    finally:
        broker.stop()


def test_unchanged_files_cause_no_reload(broker: Broker) -> None:
    after = [SERVER, device("one"), device("late")]
    broker.files.write(after)
    for _ in range(3):
        assert not broker.files.write(after)
        assert not broker.writer().write(after)
    assert broker.accepts("late")
    assert broker.log.read_text().count("Reloading") == 1


@contextmanager
def meanwhile(act: Callable[[], object], pause: float) -> Iterator[None]:
    """Call `act` repeatedly in a thread. `pause`: the maximum of random pauses, in seconds."""
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


NEW_DEVICES = 20


def new_devices_are_accepted(broker: Broker, files: MosquittoFiles, name: str = "new") -> None:
    for number in range(NEW_DEVICES):
        files.write([SERVER, *many(200), device(f"{name}-{number}")])
        assert broker.accepts(f"{name}-{number}"), number


def test_new_devices_are_accepted_on_a_busy_machine_with_frequent_reloads(broker: Broker) -> None:
    with busy(), meanwhile(broker.reload, 0.05):
        new_devices_are_accepted(broker, broker.files)


def test_broker_that_restarts_repeatedly_reads_newest_files(broker: Broker) -> None:
    def restart() -> None:
        broker.kill()
        broker.start()

    with meanwhile(restart, 0.1):
        for number in range(NEW_DEVICES):
            broker.files.write([SERVER, *many(200), device(f"new-{number}")])
    assert broker.accepts(f"new-{NEW_DEVICES - 1}")


def test_two_concurrent_writers(broker: Broker) -> None:
    """After its write, each writer's accounts are in force until the other writer's next write."""
    files, number = broker.writer(), iter(range(1_000_000))

    def other() -> None:
        files.write([SERVER, *many(200), device(f"other-{next(number)}")])

    with meanwhile(other, 0.01):
        for count in range(NEW_DEVICES):
            broker.files.write([SERVER, *many(200), device(f"new-{count}")])
    broker.files.write([SERVER, device("last")])
    assert broker.accepts("last")
