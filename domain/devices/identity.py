"""Device ids, computed from MAC addresses."""

import re
from hashlib import sha256

SEPARATORS = ":-. "
PAIRS = (6, 8)
BARE = re.compile(r"(?:[0-9a-f]{12}|[0-9a-f]{16})")
DEVICE_ID = re.compile(r"[0-9a-f]{32}")


def parse_mac(text: str) -> bytes:
    """Return the 6 bytes of an EUI-48 or the 8 bytes of an EUI-64, from any usual notation.

    `00:1A:2B:3C:4D:5E`, `0:1a:2b:3c:4d:5e`, `00-1a-2b-3c-4d-5e`, `001a.2b3c.4d5e` and
    `001A2B3C4D5E` are one address: groups of one length with one separator between them, or none.
    A pair may lack its leading zero. Raises ValueError for anything else, and for the all-zeros
    and all-ones values that a board returns when it could not read its own address.
    """
    groups = _groups(" ".join(text.lower().split()))
    digits = "".join(groups)
    if len(set(map(len, groups))) != 1 or not BARE.fullmatch(digits):
        raise ValueError(
            "Not a MAC address: give 12 (EUI-48) or 16 (EUI-64) hexadecimal digits, "
            "for example 24:6f:28:aa:bb:cc."
        )
    mac = bytes.fromhex(digits)
    if len(set(mac)) == 1 and mac[0] in (0x00, 0xFF):
        raise ValueError("Not a device's MAC address: all its bits are the same.")
    return mac


def _groups(notation: str) -> list[str]:
    separator = next((sign for sign in SEPARATORS if sign in notation), None)
    groups = notation.split(separator)
    return [group and group.zfill(2) for group in groups] if len(groups) in PAIRS else groups


def device_id(mac: bytes) -> str:
    """Return the first 128 bits of SHA-256 over the raw bytes, as 32 lower-case hex digits.

    The id is not a secret: it can be computed from the MAC address.
    """
    return sha256(mac).hexdigest()[:32]


def is_device_id(text: str) -> bool:
    return DEVICE_ID.fullmatch(text) is not None
