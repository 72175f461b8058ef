"""Tokens: random, shown once, kept as SHA-256."""

import secrets
from enum import StrEnum
from hashlib import sha256

RANDOM_BYTES = 18


class TokenKind(StrEnum):
    ADMIN = "admin"
    VIEWER = "viewer"
    ENROL = "enrol"
    DEVICE = "device"


def new_secret(kind: TokenKind) -> str:
    """144 random bits, with a prefix that says which kind it is: `rcd_` and 24 characters."""
    return f"rc{kind[0]}_{secrets.token_urlsafe(RANDOM_BYTES)}"


def hash_secret(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()
