"""Checks of single settings. Each raises ValueError, with a text that says what to give instead."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationInfo

from db.postgres.dsn.tls import check_files
from db.postgres.dsn.url import parse
from db.postgres.sizes import FULL, LEAST
from domain.events.retention import Retention
from notifier.messages.texts import LANGUAGES

MIN_ADMIN_TOKEN = 16
BOT_TOKEN = re.compile(r"[^\s:]+:\S+")
MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}


def check_database_url(url: str | None) -> str | None:
    """Raises ValueError if the URL, or a TLS file that it names, can't be used."""
    if url is not None:
        check_files(parse(url))
    return url


def check_connections(connections: int | None, info: ValidationInfo) -> int | None:
    """Raises ValueError if there are too few connections for the `workers`."""
    workers = int(info.data.get("workers", 1))
    if connections is not None and connections < LEAST.total * workers:
        raise ValueError(f"Give at least {LEAST.total} for each of {workers} processes.")
    return connections


def connections_for(connections: int | None, workers: int) -> int:
    """Return the connections of one process. `connections`: of all processes together."""
    return FULL.total if connections is None else connections // workers


def check_mqtt_url(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        try:
            valid = parts.scheme in MQTT_PORTS and parts.hostname and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            raise ValueError("Give a URL such as mqtt://host:1883 or mqtts://host:8883.")
    return url


def check_readable(path: Path | None) -> Path | None:
    if path is not None and not os.access(path, os.R_OK):
        raise ValueError(f"{path} can't be read. Give the path of a readable file.")
    return path


def check_readable_folder(path: Path | None) -> Path | None:
    if path is not None and not (path.is_dir() and os.access(path, os.R_OK)):
        raise ValueError(f"{path} is not a readable folder. Give the path of one.")
    return path


def check_writable_folder(path: Path | None) -> Path | None:
    if path is not None and not (path.is_dir() and os.access(path, os.W_OK)):
        raise ValueError(f"{path} is not a writable folder. Give the path of one.")
    return path


def check_admin_token(token: SecretStr | None) -> SecretStr | None:
    if token is not None and len(token.get_secret_value()) < MIN_ADMIN_TOKEN:
        raise ValueError(f"Give at least {MIN_ADMIN_TOKEN} characters, hard to guess.")
    return token


def check_bot_token(token: SecretStr | None) -> SecretStr | None:
    if token is not None and not BOT_TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("Give it as BotFather shows it: a number, a colon, and letters.")
    return token


def split_list(text: Any) -> Any:
    """Split a comma-separated text."""
    return tuple(part.strip() for part in text.split(",")) if isinstance(text, str) else text


def check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(
                "Give origins such as https://console.example.com, separated by commas."
            )
    return origins


def check_chats(chats: tuple[str, ...]) -> tuple[str, ...]:
    for chat in chats:
        if not re.fullmatch(r"(-?\d{1,19}|@\w{4,})(:\d{1,9})?", chat):
            raise ValueError(
                "Give chat ids such as 123456789, separated by commas, or with a topic such as "
                "-1001234:57. The bot answers /chatid with the id."
            )
    # Topic 1 of a group is the group itself.
    return tuple(chat.removesuffix(":1") for chat in chats)


def check_http_url(url: str | None) -> str | None:
    if url is not None and not re.match(r"https?://[^/\s]", url):
        raise ValueError("Give a URL that starts with http:// or https://.")
    return url


def check_language(language: str) -> str:
    if language not in LANGUAGES:
        raise ValueError(f"Give one of {', '.join(LANGUAGES)}.")
    return language


def parse_retention(value: Any) -> Any:
    return Retention.parse(value) if isinstance(value, str) else value
