"""MQTT accounts, for brokers that check passwords themselves."""

import secrets
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac

from domain.mqtt.rights import Rights

SALT_BYTES = 12
# PBKDF2 iterations for random tokens, and for passwords chosen by people (as mosquitto_passwd).
TOKEN_ITERATIONS, PASSWORD_ITERATIONS = 1, 101


@dataclass(frozen=True, slots=True)
class Account:
    """`password_hash`: in the format of `mosquitto_hash`."""

    username: str
    password_hash: str = field(repr=False)
    rights: Rights


def mosquitto_hash(
    secret: str, salt: bytes | None = None, iterations: int = TOKEN_ITERATIONS
) -> str:
    """Hash in the format of mosquitto_passwd: PBKDF2 with SHA-512. `salt` None: a random one.

    One iteration is enough for tokens of 144 random bits, which can't be guessed. The broker
    repeats the iterations for each connected client at every reload.
    """
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = pbkdf2_hmac("sha512", secret.encode(errors="surrogatepass"), salt, iterations)
    return f"$7${iterations}${b64encode(salt).decode()}${b64encode(digest).decode()}"
