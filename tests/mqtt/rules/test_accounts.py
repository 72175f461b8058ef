import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from domain.mqtt.accounts import Account, mosquitto_hash
from domain.mqtt.rights import Rights
from tests.support.mosquitto import required

SHAPE = re.compile(r"\$7\$(1|101)\$([0-9A-Za-z+/]{16})\$([0-9A-Za-z+/]{86}==)")


def fits(secret: str, password_hash: str) -> bool:
    shape = SHAPE.fullmatch(password_hash)
    assert shape
    iterations, *parts = shape.groups()
    salt, expected = map(base64.b64decode, parts)
    return hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, int(iterations)) == expected


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_hash_matches_only_its_secret(secret: str) -> None:
    assert fits(secret, mosquitto_hash(secret))
    assert not fits(f"{secret}x", mosquitto_hash(secret))


def test_hash_has_the_format_of_mosquitto_passwd(tmp_path: Path) -> None:
    required()
    command = shutil.which("mosquitto_passwd")
    assert command
    passwords = tmp_path / "passwords"
    subprocess.run([command, "-b", "-c", str(passwords), "one", "a-secret"], check=True)
    assert fits("a-secret", passwords.read_text().strip().removeprefix("one:"))


def test_each_hash_has_its_own_salt() -> None:
    assert len({mosquitto_hash("same") for _ in range(50)}) == 50


def test_repr_of_account_hides_the_hash() -> None:
    assert "$7$" not in repr(Account("one", mosquitto_hash("a"), Rights()))
