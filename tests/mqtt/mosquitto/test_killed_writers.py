"""Writers that are killed: the files stay consistent, and the next writer completes the work."""

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain.mqtt.accounts import Account
from domain.mqtt.rights import device_rights
from tests.mqtt.mosquitto.file_broker import (
    HASH,
    SERVER,
    Broker,
    device,
    many,
    without_head,
    written,
)

KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from mqtt.mosquitto.files import MosquittoFiles
files = MosquittoFiles(Path(sys.argv[1]))
before, after = pickle.load(sys.stdin.buffer)
steps_left = int(sys.argv[2])
def die(event, arguments):
    global steps_left
    if event in ("open", "os.rename"):
        steps_left -= 1
        if steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
files.write(before)
if steps_left:
    sys.addaudithook(die)
    files.write(after)
    sys.exit()
print("ready", flush=True)
while True:
    files.write(after)
    files.write(before)
"""


def before_and_after() -> tuple[list[Account], list[Account]]:
    """Accounts are added, removed, unchanged, or get a new password and new rights."""
    new = HASH.replace("$7$1$", "$7$2$")
    unchanged = list(many(300))
    before = [
        *unchanged,
        *(device(f"old-{n}") for n in range(300)),
        device("moved"),
        device("kept"),
    ]
    moved = Account("moved", new, device_rights(["acme/rome/temperature/moved"], ()))
    after = [
        moved,
        *unchanged,
        device("kept", "acme/+/+/+"),
        *(device(f"new-{n}") for n in range(300)),
    ]
    return before, after


def check_files_are_complete_and_consistent(
    folder: Path, before: list[Account], after: list[Account]
) -> None:
    acl, passwords = (without_head(folder / name) for name in ("acl", "passwords"))
    rights = [written(folder.parent, accounts)[1] for accounts in (before, after)]
    logins = [{f"{a.username}:{a.password_hash}" for a in accounts} for accounts in (before, after)]
    in_both = logins[0] & logins[1]
    assert acl in rights
    assert passwords.endswith("\n")
    assert in_both <= set(passwords.split()) <= logins[rights.index(acl)] | in_both


def writer(folder: Path, accounts: object, steps: int) -> "subprocess.Popen[bytes]":
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(steps)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin
    process.stdin.write(pickle.dumps(accounts))
    process.stdin.close()
    return process


def test_writer_killed_at_each_step_leaves_consistent_files(tmp_path: Path) -> None:
    before, after = before_and_after()
    folder, steps, killed = tmp_path / "files", 0, True
    while killed:
        steps += 1
        with writer(folder, (before, after), steps) as process:
            killed = process.wait() == -signal.SIGKILL
        check_files_are_complete_and_consistent(folder, before, after)
    assert steps > 10
    assert without_head(folder / "acl") == written(tmp_path, after)[1]


def test_writer_killed_at_any_time_leaves_consistent_files(tmp_path: Path) -> None:
    before, after = before_and_after()
    folder = tmp_path / "files"
    for attempt in range(8):
        with writer(folder, (before, after), 0) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.013 * attempt)
            process.kill()
        check_files_are_complete_and_consistent(folder, before, after)


# Forks for each input: the step at which the child is killed, and the accounts to write.
KILLED_IN_FORK = """
import os, pickle, signal, sys
from mqtt.mosquitto.files import MosquittoFiles
arguments_of_writer = pickle.load(sys.stdin.buffer)
folder = str(arguments_of_writer[0])
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
    MosquittoFiles(*arguments_of_writer).write(accounts)
while True:
    step, accounts = pickle.load(sys.stdin.buffer)
    if not (child := os.fork()):
        write(step, accounts)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
"""


@pytest.fixture
def killed_writer(broker: Broker) -> Iterator[Callable[[int, list[Account]], bool]]:
    """A function that runs a writer and kills it at a step. True if the writer reached the step."""
    command = [sys.executable, "-c", KILLED_IN_FORK]
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


def test_next_writer_completes_the_work_of_a_killed_writer(
    broker: Broker, killed_writer: Callable[[int, list[Account]], bool]
) -> None:
    """Also if another program, such as a backup, reads the files in between."""
    step, killed = 0, True
    while killed:
        step += 1
        before, after = ([SERVER, device(f"{name}-{step}")] for name in ("old", "new"))
        broker.files.write(before)
        killed = killed_writer(step, after)
        for path in (broker.files.passwords, broker.files.acl):
            path.read_bytes()
        broker.writer().write(after)
        assert broker.accepts(f"new-{step}"), step
        assert not broker.accepts(f"old-{step}"), step
    assert step > 10
