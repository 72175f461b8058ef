import re
import string
from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.devices.identity import device_id, is_device_id, parse_mac

ADDRESS = "24:6f:28:aa:bb:cc"
MACS = st.one_of(st.binary(min_size=6, max_size=6), st.binary(min_size=8, max_size=8)).filter(
    lambda mac: len(set(mac)) > 1 or mac[0] not in (0, 255)
)
NEARLY_MACS = st.text(string.hexdigits + ":-. \n٢gG\x00", min_size=10, max_size=26)


def groups(mac: bytes, length: int) -> list[str]:
    return re.findall("." * length, mac.hex())


def notations(mac: bytes) -> set[str]:
    plain = {mac.hex()}
    for separator in (":", "-", ".", " "):
        plain.add(separator.join(groups(mac, 2)))
        plain.add(separator.join(groups(mac, 4)))
        plain.add(separator.join(f"{byte:x}" for byte in mac))
    changed: list[Callable[[str], str]] = [
        str.upper,
        lambda text: "".join(c.upper() if i % 2 else c for i, c in enumerate(text)),
        "\u00a0 {}\n".format,
    ]
    return plain | {change(text) for change in changed for text in plain}


@given(MACS)
@example(bytes(range(6)))
@example(bytes(range(8)))
def test_all_notations_of_a_mac_parse_to_same_address(mac: bytes) -> None:
    assert {text: parse_mac(text) for text in notations(mac)} == dict.fromkeys(notations(mac), mac)


@given(MACS, MACS)
def test_different_macs_have_different_device_ids(one: bytes, other: bytes) -> None:
    assert (device_id(one) == device_id(other)) is (one == other)


@given(MACS)
def test_device_id_is_prefix_of_sha256(mac: bytes) -> None:
    assert device_id(mac) == sha256(mac).hexdigest()[:32]
    assert is_device_id(device_id(mac))


def test_device_ids_are_stable() -> None:
    assert device_id(parse_mac(ADDRESS)) == "ec42179b76a53de03a9ace42975a4fc6"
    assert device_id(parse_mac("24:6f:28:ff:fe:aa:bb:cc")) == "d8c4e7c93dd1fc7ba89423ed8cf5a2dc"


@given(st.text() | NEARLY_MACS)
def test_arbitrary_text_parses_or_raises_value_error(text: str) -> None:
    """Accepted text has its digits in order and at most one kind of separator."""
    try:
        mac = parse_mac(text)
    except ValueError:
        return
    written = [group.zfill(2) for group in re.findall("[0-9a-f]+", text.lower())]
    assert "".join(written) == mac.hex()
    assert len(set(re.findall("[:.-]| +", " ".join(text.split())))) <= 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "24:6f:28:aa:bb",
        "24:6f:28:aa:bb:cc:dd",
        "24:6f:28:aa:bb:cg",
        "246f28aabbc",
        "246f28aabbccd",
        "0x246f28aabbcc",
        f"{ADDRESS}\x00",
        f"{ADDRESS}:",
        "24:6f:28:aa:bb:",
        ":6f:28:aa:bb:cc",
        "24:6f::aa:bb:cc",
        f":{ADDRESS}",
        "\u0662" * 12,
        "\uff12\uff14:6f:28:aa:bb:cc",
        "\ud800",
    ],
)
def test_invalid_mac_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="Not a MAC address"):
        parse_mac(text)


@pytest.mark.parametrize(
    "text",
    [
        "24:6f-28:aa-bb:cc",
        "246f.28aa:bbcc",
        "24 6f28aabbcc",
        "24::6f:28:aa:bb:cc",
        "1:22:33:44:55:666",
        "0:1:2b:3c:4d:5e:6f",
        "24:6f:28:aa:bb:c:c",
    ],
)
def test_ambiguous_digit_groups_are_rejected(text: str) -> None:
    """Another interpretation of the digits would be another device."""
    with pytest.raises(ValueError, match="Not a MAC address"):
        parse_mac(text)


@pytest.mark.parametrize("bit", ["0", "f"])
@pytest.mark.parametrize("digits", [12, 16])
def test_mac_with_all_bits_equal_is_rejected(bit: str, digits: int) -> None:
    """A board returns such an address if it can not read its own."""
    for text in (bit * digits, ":".join([bit * 2] * (digits // 2))):
        with pytest.raises(ValueError, match="all its bits are the same"):
            parse_mac(text)


@pytest.mark.parametrize("text", ["", "a" * 31, "a" * 33, "A" * 32, "g" * 32, "a" * 32 + "\n"])
def test_invalid_device_id_is_rejected(text: str) -> None:
    assert not is_device_id(text)
