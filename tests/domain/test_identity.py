import re
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identity import device_id, is_device_id, parse_mac

MACS = st.one_of(st.binary(min_size=6, max_size=6), st.binary(min_size=8, max_size=8)).filter(
    lambda mac: len(set(mac)) > 1 or mac[0] not in (0, 255)
)


def notations(mac: bytes) -> list[str]:
    digits = mac.hex()
    pairs = re.findall("..", digits)
    plain = [
        digits,
        ":".join(pairs),
        "-".join(pairs),
        ".".join(re.findall("....", digits)),
        " ".join(pairs),
        ":".join(f"{byte:x}" for byte in mac),
        "-".join(f"{byte:x}" for byte in mac),
    ]
    return plain + [text.upper() for text in plain] + [f"  {text}\n" for text in plain]


@given(MACS)
def test_any_notation_of_one_address_is_one_address(mac: bytes) -> None:
    assert {parse_mac(text) for text in notations(mac)} == {mac}


@given(MACS, MACS)
def test_ids_differ_as_addresses_do(one: bytes, other: bytes) -> None:
    assert (device_id(one) == device_id(other)) is (one == other)
    assert is_device_id(device_id(one))


def test_the_id_is_the_beginning_of_the_hash() -> None:
    mac = bytes.fromhex("246f28aabbcc")
    assert device_id(mac) == sha256(mac).hexdigest()[:32] == "ec42179b76a53de03a9ace42975a4fc6"


@given(st.text())
def test_any_other_text_is_a_value_error(text: str) -> None:
    try:
        mac = parse_mac(text)
    except ValueError:
        return
    assert len(mac) in (6, 8)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24:6f:28:aa:bb",
        "24:6f:28:aa:bb:cc:dd",
        "24:6f:28:aa:bb:cg",
        "24:6f:28:aa:bb:cc\x00",
        "0" * 12,
        "f" * 16,
        "00:00:00:00:00:00",
        "ff-ff-ff-ff-ff-ff",
        "\u0662" * 12,
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="Not a"):
        parse_mac(text)
