"""Tokens: random, shown once, stored as SHA-256 hashes."""

import secrets
from enum import StrEnum
from hashlib import sha256

RANDOM_BYTES = 18


class TokenKind(StrEnum):
    ADMIN = "admin"
    VIEWER = "viewer"
    ENROL = "enrol"
    DEVICE = "device"


def new_token(kind: TokenKind) -> str:
    """Return a token of 144 random bits: 24 characters after a prefix for its kind, as `rcd_`."""
    return f"rc{kind[0]}_{secrets.token_urlsafe(RANDOM_BYTES)}"


def hash_token(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()
