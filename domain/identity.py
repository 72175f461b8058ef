"""Who a device is: an identifier computed from its MAC address."""

import re
from hashlib import sha256

GROUPS = re.compile(
    r"[0-9a-f]{1,2}(?:([:-])[0-9a-f]{1,2})(?:\1[0-9a-f]{1,2}){4}(?:(?:\1[0-9a-f]{1,2}){2})?"
)
BARE = re.compile(r"(?:[0-9a-f]{12}|[0-9a-f]{16})")
SEPARATORS = re.compile(r"[\s.:-]")
DEVICE_ID = re.compile(r"[0-9a-f]{32}")


def parse_mac(text: str) -> bytes:
    """The 6 bytes of an EUI-48 or the 8 bytes of an EUI-64, from any usual notation.

    `00:1A:2B:3C:4D:5E`, `0:1a:2b:3c:4d:5e`, `00-1a-2b-3c-4d-5e`, `001a.2b3c.4d5e` and
    `001A2B3C4D5E` are one address. Raises ValueError for anything else, and for the all-zeros
    and all-ones values that a board gives when it could not read its own address.
    """
    notation = text.strip().lower()
    if GROUPS.fullmatch(notation):
        digits = "".join(group.zfill(2) for group in re.split("[:-]", notation))
    else:
        digits = SEPARATORS.sub("", notation)
    if not BARE.fullmatch(digits):
        raise ValueError(
            "Not a MAC address: give 12 (EUI-48) or 16 (EUI-64) hexadecimal digits, "
            "for example 24:6f:28:aa:bb:cc."
        )
    mac = bytes.fromhex(digits)
    if len(set(mac)) == 1 and mac[0] in (0x00, 0xFF):
        raise ValueError("Not a device's MAC address: all its bits are the same.")
    return mac


def device_id(mac: bytes) -> str:
    """The first 128 bits of SHA-256 over the raw bytes, as 32 lower-case hex digits.

    An identifier, never a secret: whoever has seen the MAC address can compute it.
    """
    return sha256(mac).hexdigest()[:32]


def is_device_id(text: str) -> bool:
    return DEVICE_ID.fullmatch(text) is not None
