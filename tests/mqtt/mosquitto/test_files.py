"""The password and ACL files for Mosquitto, with a real Mosquitto."""

import os
import pickle
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from domain.mqtt.accounts import Account, mosquitto_hash
from domain.mqtt.rights import Rights, admin_rights, device_rights
from domain.mqtt.topics import topics_of
from mqtt.mosquitto.files import MosquittoFiles
from tests.mqtt.attacks import ATTACKS, Party, Target
from tests.mqtt.mosquitto.file_broker import BASE, HASH, PASSWORD, SERVER, Broker, device, many
from tests.support.waiting import wait_for


def written(folder: Path, accounts: Iterable[Account]) -> tuple[str, str]:
    files = MosquittoFiles(folder)
    files.write(accounts)
    return without_head(files.passwords), without_head(files.acl)


def without_head(path: Path) -> str:
    """Return the text without the first line, which names the generation."""
    return path.read_text().partition("\n")[2]


def test_content_of_password_and_acl_files(tmp_path: Path) -> None:
    passwords, acl = written(
        tmp_path,
        [
            SERVER,
            Account("admin", HASH, admin_rights(None)),
            device("one", "acme/rome/+/+"),
            Account("nothing", HASH, Rights()),
        ],
    )
    assert passwords == "".join(f"{n}:{HASH}\n" for n in ("rollcall", "admin", "one", "nothing"))
    assert acl.splitlines() == [
        "user rollcall",
        "topic readwrite #",
        "topic read $SYS/#",
        "user admin",
        "topic read #",
        "topic read $SYS/#",
        "user one",
        "topic write acme/paris/temperature/one",
        "topic write acme/paris/temperature/one/state",
        "topic write acme/paris/temperature/one/status",
        "topic read acme/paris/temperature/one/config",
        "topic read acme/rome/+/+",
        "user nothing",
    ]


def test_unchanged_files_are_not_replaced(tmp_path: Path) -> None:
    files = MosquittoFiles(tmp_path)
    assert files.write([SERVER, device("one")])
    before = [path.stat().st_ino for path in (files.passwords, files.acl)]
    assert not files.write([SERVER, device("one")])
    assert [path.stat().st_ino for path in (files.passwords, files.acl)] == before
    assert files.write([SERVER, device("one", "acme/rome/+/+")])
    assert files.acl.stat().st_ino != before[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acl", "passwords"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to any group")
def test_files_are_readable_only_for_owner_and_group_of_the_folder(tmp_path: Path) -> None:
    os.chown(tmp_path, -1, 12345)
    files = MosquittoFiles(tmp_path)
    previous = os.umask(0)
    try:
        files.write([SERVER])
    finally:
        os.umask(previous)
    for path in (files.passwords, files.acl):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert path.stat().st_gid == 12345


@pytest.mark.parametrize(
    "account",
    [
        *(
            Account(name, HASH, Rights())
            for name in ("", "a b", "a\nb", "a:b", "#a", "a\t", "\ud800")
        ),
        *(
            Account("one", HASH, Rights((topic,), ()))
            for topic in ("", "a b", "a\nuser admin", "a\rb", "a\0", "a/#/b", "a+", "/" * 201)
        ),
        Account("one", HASH, Rights((), (" a",))),
        Account("one", "", Rights()),
        Account("one", f"{HASH}\ntwo:{HASH}", Rights()),
        SERVER,
    ],
)
def test_account_with_invalid_characters_is_rejected(tmp_path: Path, account: Account) -> None:
    before = written(tmp_path, [SERVER])
    with pytest.raises(ValueError, match=r"Mosquitto|two accounts"):
        written(tmp_path, [SERVER, device("two"), account])
    assert (without_head(tmp_path / "passwords"), without_head(tmp_path / "acl")) == before


def test_topic_with_200_levels_is_accepted(broker: Broker) -> None:
    broker.files.write([SERVER, Account("deep", HASH, Rights(("/" * 200,), ()))])
    assert broker.accepts("deep")
    assert "rror" not in broker.log.read_text()


def test_reload_accepts_new_and_disconnects_removed_accounts(broker: Broker) -> None:
    other = mosquitto_hash("another-password")
    with broker.client("one") as removed, broker.client("two") as renewed:
        assert removed.connected
        assert renewed.connected
        assert not broker.accepts("three")
        broker.files.write([SERVER, device("two", password_hash=other), device("three")])
        wait_for(lambda: removed.ended and renewed.ended)
    assert broker.accepts("three")
    assert broker.accepts("two", "another-password")
    assert not broker.accepts("two")
    assert not broker.accepts("one")


def test_reload_keeps_connections_of_unchanged_accounts(broker: Broker) -> None:
    with broker.client("rollcall") as server, broker.client("one") as one:
        one.subscribe(f"{BASE}/one/config")
        connects = broker.log.read_text().count(" as one ")
        broker.files.write([device("new"), SERVER, device("one"), device("two")])
        assert broker.accepts("new")
        server.sent(f"{BASE}/one/config", "still here")
        one.wait(lambda: bool(one.received))
        assert not one.ended
        assert not server.ended
        assert broker.log.read_text().count(" as one ") == connects == 1


def test_changed_rights_apply_to_open_connections(broker: Broker) -> None:
    source = f"{BASE}/two"
    broker.files.write([SERVER, device("one", source), device("two")])
    with broker.client("rollcall") as server, broker.client("one") as one:
        for filter in (source, f"{BASE}/one/config"):
            one.subscribe(filter)
        server.subscribe(f"{BASE}/#")
        server.sent(source, "1")
        one.wait(lambda: len(one.received) == 1)
        broker.files.write(
            [SERVER, Account("one", HASH, Rights((), (f"{BASE}/one/config",))), device("two")]
        )
        one.alive()
        one.sent(f"{BASE}/one", "no longer")
        server.sent(source, "2")
        server.sent(f"{BASE}/one/config", "3")
        one.wait(lambda: len(one.received) == 2)
        broker.files.write([SERVER, device("one", source), device("two")])
        one.alive()
        one.sent(f"{BASE}/one", "again")
        server.sent(source, "4")
        one.wait(lambda: len(one.received) == 3)
        assert [payload for _, payload in one.received] == ["1", "3", "4"]
        server.wait(lambda: (source, "4") in server.received)
        assert "no longer" not in str(server.received)
        assert (f"{BASE}/one", "again") in server.received


def test_wider_subscription_receives_only_allowed_topics(broker: Broker) -> None:
    """Mosquitto 2.0 grants every subscription, and checks the right for each message."""
    broker.files.write([SERVER, device("one", "acme/paris/+/+")])
    allowed = {"acme/paris/temperature/x", "acme/paris/humidity/y", f"{BASE}/one/config"}
    denied = {f"{BASE}/x/config", f"{BASE}/x/state", "acme/rome/temperature/x", "acme/paris/x"}
    with broker.client("rollcall") as server:
        for filter in ("acme/paris/+/+", "#", "acme/#", "+/+/+/+", "acme/+/+/+/config"):
            with broker.client("one") as one:
                assert one.subscribe(filter)
                one.subscribe(f"{BASE}/one/config")
                for topic in sorted(denied | allowed, key=lambda topic: topic in allowed):
                    server.sent(topic, "x", retain=True)
                server.sent(f"{BASE}/one/config", "end")
                one.wait(lambda: (f"{BASE}/one/config", "end") in one.received)
                wide = filter != "acme/+/+/+/config"
                assert one.topics() == (allowed if wide else {f"{BASE}/one/config"})


def test_will_of_removed_account_is_not_published(broker: Broker) -> None:
    """Rollcall must therefore publish `offline` itself when it revokes a device's token."""
    status = f"{BASE}/one/status"
    with broker.client("rollcall") as server:
        server.subscribe(f"{BASE}/#")
        one = broker.client("one")
        one.client.will_set(status, "offline", 1, retain=True)
        assert one.connect()
        one.sent(status, "online", retain=True)
        broker.files.write([SERVER, device("two")])
        one.wait(lambda: False)
        one.stop()
        server.sent(f"{BASE}/end", "")
        server.wait(lambda: (f"{BASE}/end", "") in server.received)
        assert [payload for _, payload in server.received] == ["online", ""]


def test_queued_messages_survive_a_reload(broker: Broker) -> None:
    config = f"{BASE}/one/config"
    with broker.client("one", clean=False) as one:
        one.subscribe(config)
    with broker.client("rollcall") as server:
        server.sent(config, "before")
        broker.files.write([SERVER, device("one"), device("three")])
        server.alive()
        server.sent(config, "after")
    with broker.client("one", clean=False) as one:
        assert one.session_present
        one.wait(lambda: one.received == [(config, "before"), (config, "after")])


@pytest.fixture
def unprivileged() -> Iterator[Broker]:
    """Mosquitto as a separate user that reads the files by its group, as on Debian."""
    if os.geteuid() != 0:
        pytest.skip("only root may start Mosquitto as another user")
    with TemporaryDirectory(dir="/tmp") as name:
        broker = Broker(Path(name))
        shutil.chown(name, "mosquitto", "mosquitto")
        broker.files.write([SERVER, device("one")])
        broker.user = "mosquitto"
        broker.start()
        yield broker
        broker.stop()


def test_mosquitto_reads_files_as_unprivileged_user(unprivileged: Broker) -> None:
    unprivileged.files.write([SERVER, device("two")])
    assert unprivileged.accepts("two")
    assert not unprivileged.accepts("one")


def test_files_that_mosquitto_can_not_read_are_not_installed(unprivileged: Broker) -> None:
    """If the ACL file is not readable on reload, Mosquitto 2.0 gives every client all rights."""
    before = unprivileged.files.acl.read_text()
    shutil.chown(unprivileged.folder, "root", "root")
    for mode in (0o700, 0o755):
        unprivileged.folder.chmod(mode)
        with pytest.raises(PermissionError, match="could not read files in"):
            unprivileged.files.write([SERVER, device("two")])
    assert unprivileged.files.acl.read_text() == before
    assert "Reloading" not in unprivileged.log.read_text()


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


def test_reload_with_twenty_thousand_devices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broker = Broker(tmp_path)
    broker.files.write([SERVER])
    broker.start()
    try:
        with broker.client("rollcall") as server:
            began = time.monotonic()
            broker.files.write([SERVER, *many(20_000)])
            wrote = time.monotonic() - began
            assert server.alive()
            answered = time.monotonic() - began
        assert broker.accepts(f"{19_999:032x}")
    finally:
        broker.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with capsys.disabled():
        print(  # noqa: T201
            f"\n20,000 accounts: written in {wrote:.1f} s, the broker responds again after"
            f" {answered:.1f} s; peak memory of this process {peak} MB"
        )


@pytest.fixture(scope="module")
def protected_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("protected"))
    devices = [device(name, password_hash=mosquitto_hash(f"of-{name}")) for name in ("one", "two")]
    broker.files.write([SERVER, *devices])
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def protected(protected_broker: Broker) -> Target:
    return target(protected_broker, protected_broker.port)


def target(broker: Broker, port: int) -> Target:
    """`port`: of the devices."""
    attacker, victim = (
        Party(name, f"of-{name}", port, topics_of(f"{BASE}/{name}")) for name in ("one", "two")
    )
    observer = Party("rollcall", PASSWORD, broker.second_port, topics_of("rollcall"))
    return Target("127.0.0.1", attacker, victim, observer)


@pytest.fixture(scope="module")
def unprotected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A broker that gives every client all rights."""
    broker = Broker(tmp_path_factory.mktemp("unprotected"))
    broker.lines = ("allow_anonymous true", "sys_interval 1", f"listener {broker.second_port}")
    broker.start()
    with broker.client("rollcall") as client:
        client.subscribe("$SYS/#")
        client.wait(lambda: bool(client.received))
    yield target(broker, broker.port)
    broker.stop()


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_blocked(protected: Target, name: str) -> None:
    assert ATTACKS[name](protected) == []


# Mosquitto allows no client to publish there.
@pytest.mark.parametrize("name", sorted(ATTACKS.keys() - {"publish to $SYS"}))
def test_attack_succeeds_on_unprotected_broker(unprotected: Target, name: str) -> None:
    assert ATTACKS[name](unprotected) != []


def test_take_over_succeeds_where_clients_choose_their_client_id(
    protected_broker: Broker,
) -> None:
    """The second port has no `use_username_as_clientid`."""
    second_port = target(protected_broker, protected_broker.second_port)
    assert ATTACKS["take over another's connection"](second_port) == ["two was disconnected"]
    assert ATTACKS["take over another's session"](second_port) == ["a message to two is lost"]


def test_password_hash_has_the_format_of_mosquitto_passwd(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "one", PASSWORD], check=True)
    shape = re.compile(r"\$7\$(?:1|101)\$[0-9A-Za-z+/]{16}\$[0-9A-Za-z+/]{86}==")
    assert shape.fullmatch(passwords.read_text().strip().removeprefix("one:"))
    assert shape.fullmatch(HASH)
