"""Mosquitto's files, obeyed by a real Mosquitto."""

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
from tests.mqtt.attempts import ATTEMPTS, Party, Target
from tests.mqtt.mosquitto.file_broker import BASE, HASH, PASSWORD, SERVER, Broker, device, many
from tests.support.waiting import wait_for


def written(folder: Path, accounts: Iterable[Account]) -> tuple[str, str]:
    files = MosquittoFiles(folder)
    files.write(accounts)
    return without_head(files.passwords), without_head(files.acl)


def without_head(path: Path) -> str:
    """All but the line that names its generation."""
    return path.read_text().partition("\n")[2]


def test_the_files(tmp_path: Path) -> None:
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


def test_files_that_say_the_same_are_left_alone(tmp_path: Path) -> None:
    files = MosquittoFiles(tmp_path)
    assert files.write([SERVER, device("one")])
    before = [path.stat().st_ino for path in (files.passwords, files.acl)]
    assert not files.write([SERVER, device("one")])
    assert [path.stat().st_ino for path in (files.passwords, files.acl)] == before
    assert files.write([SERVER, device("one", "acme/rome/+/+")])
    assert files.acl.stat().st_ino != before[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["acl", "passwords"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to any group")
def test_the_folders_group_may_read_them_and_nobody_else(tmp_path: Path) -> None:
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
def test_an_account_that_could_break_the_files_is_refused(tmp_path: Path, account: Account) -> None:
    before = written(tmp_path, [SERVER])
    with pytest.raises(ValueError, match=r"Mosquitto|two accounts"):
        written(tmp_path, [SERVER, device("two"), account])
    assert (without_head(tmp_path / "passwords"), without_head(tmp_path / "acl")) == before


def test_deep_topics_pass(broker: Broker) -> None:
    broker.files.write([SERVER, Account("deep", HASH, Rights(("/" * 200,), ()))])
    assert broker.lets_in("deep")
    assert "rror" not in broker.log.read_text()


def test_a_reload_lets_in_who_is_new_and_ends_who_is_gone(broker: Broker) -> None:
    other = mosquitto_hash("another-password")
    with broker.client("one") as gone, broker.client("two") as renewed:
        assert gone.connected
        assert renewed.connected
        assert not broker.lets_in("three")
        broker.files.write([SERVER, device("two", password_hash=other), device("three")])
        wait_for(lambda: gone.ended and renewed.ended)
    assert broker.lets_in("three")
    assert broker.lets_in("two", "another-password")
    assert not broker.lets_in("two")
    assert not broker.lets_in("one")


def test_who_does_not_change_stays_connected(broker: Broker) -> None:
    with broker.client("rollcall") as server, broker.client("one") as one:
        one.subscribe(f"{BASE}/one/config")
        connects = broker.log.read_text().count(" as one ")
        broker.files.write([device("new"), SERVER, device("one"), device("two")])
        assert broker.lets_in("new")
        server.sent(f"{BASE}/one/config", "still here")
        one.wait(lambda: bool(one.received))
        assert not one.ended
        assert not server.ended
        assert broker.log.read_text().count(" as one ") == connects == 1


def test_rights_shrink_and_grow_without_a_new_connection(broker: Broker) -> None:
    heard = f"{BASE}/two"
    broker.files.write([SERVER, device("one", heard), device("two")])
    with broker.client("rollcall") as server, broker.client("one") as one:
        for filter in (heard, f"{BASE}/one/config"):
            one.subscribe(filter)
        server.subscribe(f"{BASE}/#")
        server.sent(heard, "1")
        one.wait(lambda: len(one.received) == 1)
        broker.files.write(
            [SERVER, Account("one", HASH, Rights((), (f"{BASE}/one/config",))), device("two")]
        )
        one.alive()
        one.sent(f"{BASE}/one", "no longer")
        server.sent(heard, "2")
        server.sent(f"{BASE}/one/config", "3")
        one.wait(lambda: len(one.received) == 2)
        broker.files.write([SERVER, device("one", heard), device("two")])
        one.alive()
        one.sent(f"{BASE}/one", "again")
        server.sent(heard, "4")
        one.wait(lambda: len(one.received) == 3)
        assert [payload for _, payload in one.received] == ["1", "3", "4"]
        server.wait(lambda: (heard, "4") in server.received)
        assert "no longer" not in str(server.received)
        assert (f"{BASE}/one", "again") in server.received


def test_a_filter_gives_what_it_says_and_wider_ones_give_no_more(broker: Broker) -> None:
    """Mosquitto 2.0 grants every subscription, and asks for the right at each delivery."""
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


def test_the_will_of_who_is_cut_off_is_not_published(broker: Broker) -> None:
    """Why Rollcall itself has to say that a device is offline whose token it revokes."""
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


def test_what_waits_for_who_is_away_survives_a_reload(broker: Broker) -> None:
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
    """As Debian starts it: as a user of its own, with files that are its group's to read."""
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


def test_mosquitto_reads_them_as_a_user_of_its_own(unprivileged: Broker) -> None:
    unprivileged.files.write([SERVER, device("two")])
    assert unprivileged.lets_in("two")
    assert not unprivileged.lets_in("one")


def test_files_that_mosquitto_could_not_read_are_not_put_in_place(unprivileged: Broker) -> None:
    """On a reload without a readable ACL file, Mosquitto 2.0 lets everybody do everything."""
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
    """Some come, some go, some have a new password, and of these all have new rights."""
    new = HASH.replace("$7$1$", "$7$2$")
    stay = list(many(300))
    before = [*stay, *(device(f"gone-{n}") for n in range(300)), device("moved"), device("kept")]
    moved = Account("moved", new, device_rights(["acme/rome/temperature/moved"], ()))
    after = [moved, *stay, device("kept", "acme/+/+/+"), *(device(f"new-{n}") for n in range(300))]
    return before, after


def check_whole_and_fitting(folder: Path, before: list[Account], after: list[Account]) -> None:
    acl, passwords = (without_head(folder / name) for name in ("acl", "passwords"))
    rights = [written(folder.parent, accounts)[1] for accounts in (before, after)]
    logins = [{f"{a.username}:{a.password_hash}" for a in accounts} for accounts in (before, after)]
    kept = logins[0] & logins[1]
    assert acl in rights
    assert passwords.endswith("\n")
    assert kept <= set(passwords.split()) <= logins[rights.index(acl)] | kept


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


def test_a_writer_killed_at_each_step_leaves_whole_files_that_fit(tmp_path: Path) -> None:
    before, after = before_and_after()
    folder, steps, killed = tmp_path / "files", 0, True
    while killed:
        steps += 1
        with writer(folder, (before, after), steps) as process:
            killed = process.wait() == -signal.SIGKILL
        check_whole_and_fitting(folder, before, after)
    assert steps > 10
    assert without_head(folder / "acl") == written(tmp_path, after)[1]


def test_a_writer_killed_at_any_moment_leaves_whole_files_that_fit(tmp_path: Path) -> None:
    before, after = before_and_after()
    folder = tmp_path / "files"
    for attempt in range(8):
        with writer(folder, (before, after), 0) as process:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.013 * attempt)
            process.kill()
        check_whole_and_fitting(folder, before, after)


def test_twenty_thousand_devices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        assert broker.lets_in(f"{19_999:032x}")
    finally:
        broker.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with capsys.disabled():
        print(  # noqa: T201
            f"\n20,000 accounts: written in {wrote:.1f} s, the broker answers again after"
            f" {answered:.1f} s; this process has taken {peak} MB at most"
        )


@pytest.fixture(scope="module")
def guarded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("guarded"))
    devices = [device(name, password_hash=mosquitto_hash(f"of-{name}")) for name in ("one", "two")]
    broker.files.write([SERVER, *devices])
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def guarded(guarded_broker: Broker) -> Target:
    return target(guarded_broker, guarded_broker.port)


def target(broker: Broker, port: int) -> Target:
    """`port`: where the devices connect."""
    thief, victim = (
        Party(name, f"of-{name}", port, topics_of(f"{BASE}/{name}")) for name in ("one", "two")
    )
    observer = Party("rollcall", PASSWORD, broker.second_port, topics_of("rollcall"))
    return Target("127.0.0.1", thief, victim, observer)


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A broker that lets everybody do everything."""
    broker = Broker(tmp_path_factory.mktemp("unguarded"))
    broker.lines = ("allow_anonymous true", "sys_interval 1", f"listener {broker.second_port}")
    broker.start()
    with broker.client("rollcall") as client:
        client.subscribe("$SYS/#")
        client.wait(lambda: bool(client.received))
    yield target(broker, broker.port)
    broker.stop()


@pytest.mark.parametrize("name", ATTEMPTS)
def test_nothing_gets_through(guarded: Target, name: str) -> None:
    assert ATTEMPTS[name](guarded) == []


# Mosquitto lets nobody publish there.
@pytest.mark.parametrize("name", sorted(ATTEMPTS.keys() - {"publish to $SYS"}))
def test_each_attempt_would_show(unguarded: Target, name: str) -> None:
    assert ATTEMPTS[name](unguarded) != []


def test_devices_can_throw_each_other_out_where_client_ids_are_theirs(
    guarded_broker: Broker,
) -> None:
    """At the port without `use_username_as_clientid`."""
    everyones = target(guarded_broker, guarded_broker.second_port)
    assert ATTEMPTS["throw out another"](everyones) == ["two was thrown out"]
    assert ATTEMPTS["take another's session"](everyones) == ["a message to two is lost"]


def test_what_mosquitto_passwd_writes_looks_like_ours(tmp_path: Path) -> None:
    theirs = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(theirs), "one", PASSWORD], check=True)
    shape = re.compile(r"\$7\$(?:1|101)\$[0-9A-Za-z+/]{16}\$[0-9A-Za-z+/]{86}==")
    assert shape.fullmatch(theirs.read_text().strip().removeprefix("one:"))
    assert shape.fullmatch(HASH)
