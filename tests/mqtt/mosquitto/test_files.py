"""The password and ACL files for Mosquitto: content, permissions and invalid accounts."""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from domain.mqtt.accounts import Account
from domain.mqtt.rights import Rights, admin_rights
from mqtt.mosquitto.files import MosquittoFiles
from tests.mqtt.mosquitto.file_broker import (
    HASH,
    PASSWORD,
    SERVER,
    Broker,
    device,
    without_head,
    written,
)


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


def test_password_hash_has_the_format_of_mosquitto_passwd(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "one", PASSWORD], check=True)
    shape = re.compile(r"\$7\$(?:1|101)\$[0-9A-Za-z+/]{16}\$[0-9A-Za-z+/]{86}==")
    assert shape.fullmatch(passwords.read_text().strip().removeprefix("one:"))
    assert shape.fullmatch(HASH)
