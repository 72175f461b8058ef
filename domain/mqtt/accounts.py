"""Accounts of MQTT clients, as a broker that checks passwords itself needs them."""

import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac

from domain.mqtt.rights import Rights

SALT_BYTES = 12
# Of secrets that are random, and of those that somebody has thought of (mosquitto_passwd's own).
ITERATIONS, ITERATIONS_OF_WORDS = 1, 101


@dataclass(frozen=True, slots=True)
class Account:
    """`password_hash`: as `mosquitto_hash` makes it."""

    username: str
    password_hash: str = field(repr=False)
    rights: Rights


def mosquitto_hash(secret: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """As mosquitto_passwd writes it: PBKDF2 with SHA-512; without `salt` salted anew each time.

    One iteration is enough for our secrets of 144 random bits, which nobody finds by trying; the
    broker repeats them for each connected client whenever it reloads.
    """
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = pbkdf2_hmac("sha512", secret.encode(errors="surrogatepass"), salt, iterations)
    return f"$7${iterations}${b64encode(salt).decode()}${b64encode(digest).decode()}"
