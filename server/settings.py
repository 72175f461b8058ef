"""Settings, read once from the environment. The README has the table of them."""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.access.rate_limit import Admission
from domain.alerts.quiet_hours import check_zone
from domain.devices.enrolment import EnrolmentPolicy, ReenrolmentPolicy
from domain.events.retention import Retention
from notifier.messages.texts import LANGUAGES
from resolvers.feed.feed import BATCH
from resolvers.services import Broker
from schema.engine.limits import Limits
from server.database_settings import check_connections, check_database_url, connections_for

MIN_ADMIN_TOKEN = 16
MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}


def _mqtt_url(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        try:
            known = parts.scheme in MQTT_PORTS and parts.hostname and parts.port != 0
        except ValueError:
            known = False
        if not known:
            raise ValueError("Give a URL such as mqtt://host:1883 or mqtts://host:8883.")
    return url


def _readable(path: Path | None) -> Path | None:
    if path is not None and not os.access(path, os.R_OK):
        raise ValueError(f"There is no file {path} that can be read.")
    return path


def _readable_folder(path: Path | None) -> Path | None:
    if path is not None and not (path.is_dir() and os.access(path, os.R_OK)):
        raise ValueError(f"There is no folder {path} that can be read.")
    return path


def _folder(path: Path | None) -> Path | None:
    if path is not None and not (path.is_dir() and os.access(path, os.W_OK)):
        raise ValueError(f"There is no folder {path} that can be written to.")
    return path


def _long_enough(token: SecretStr | None) -> SecretStr | None:
    if token is not None and len(token.get_secret_value()) < MIN_ADMIN_TOKEN:
        raise ValueError(f"Give at least {MIN_ADMIN_TOKEN} characters, hard to guess.")
    return token


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class TrustedOnly(StrEnum):
    """Who may send nothing but the ids of trusted documents."""

    NOBODY = "nobody"
    DEVICES = "devices"
    EVERYONE = "everyone"


class Switch(StrEnum):
    ON = "on"
    OFF = "off"


def _listed(text: Any) -> Any:
    """From a list with commas between."""
    return tuple(part.strip() for part in text.split(",")) if isinstance(text, str) else text


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(
                "Give origins such as https://console.example.com, with commas between."
            )
    return origins


def _check_chats(chats: tuple[str, ...]) -> tuple[str, ...]:
    for chat in chats:
        if not re.fullmatch(r"(-?\d{1,19}|@\w{4,})(:\d{1,9})?", chat):
            raise ValueError(
                "Give chat ids such as 123456789, with commas between, or with a topic such as "
                "-1001234:57; ask /chatid."
            )
    # The first topic of a group is the group itself.
    return tuple(chat.removesuffix(":1") for chat in chats)


def _http_url(url: str | None) -> str | None:
    if url is not None and not re.match(r"https?://[^/\s]", url):
        raise ValueError("Give a URL that begins with http:// or https://.")
    return url


def _spoken(language: str) -> str:
    if language not in LANGUAGES:
        raise ValueError(f"Give one of {', '.join(LANGUAGES)}.")
    return language


def _retention(value: Any) -> Any:
    return Retention.parse(value) if isinstance(value, str) else value


LogFormat = Annotated[Literal["console", "json"], BeforeValidator(str.lower)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)]


class Settings(BaseSettings):
    """Each is the environment variable `ROLLCALL_` and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="ROLLCALL_",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=64)
    drain_seconds: float = Field(default=0, ge=0, le=600)
    data_dir: Path = Path("data")
    database_url: Annotated[str | None, AfterValidator(check_database_url)] = Field(
        default=None, repr=False
    )
    database_connections: Annotated[int | None, AfterValidator(check_connections)] = None
    admin_token: Annotated[SecretStr | None, AfterValidator(_long_enough)] = None
    enrolment: EnrolmentPolicy = EnrolmentPolicy.KEY
    reenrolment: ReenrolmentPolicy = ReenrolmentPolicy.APPROVE
    env: Environment = Environment.DEVELOPMENT
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_check_origins)
    ] = ()
    trusted_proxies: str = "127.0.0.1"
    rate_limits: Switch = Switch.ON
    max_registrations_per_address: int = Field(default=1_200, ge=1)
    max_registrations_per_key: int = Field(default=6_000, ge=1)
    max_connections_per_token: int = Field(default=500, ge=1)
    max_operations_per_token: int = Field(default=100, ge=1)
    max_subscriptions_per_token: int = Field(default=1_000, ge=1)
    max_waiting_events: int = Field(default=2_000, ge=BATCH)
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    max_document_length: int = Field(default=50_000, ge=100)
    max_tokens: int = Field(default=2_000, ge=10)
    max_depth: int = Field(default=16, ge=1)
    max_fields: int = Field(default=1_000, ge=1)
    max_aliases: int = Field(default=30, ge=0)
    max_root_fields: int = Field(default=20, ge=1)
    max_directives: int = Field(default=50, ge=0)
    max_list_items: int = Field(default=100, ge=1)
    max_errors: int = Field(default=20, ge=1)
    max_cost: int = Field(default=5_000, ge=100)
    max_operation_seconds: float = Field(default=15, gt=0)
    trusted_documents: Annotated[Path | None, AfterValidator(_readable_folder)] = None
    trusted_only: TrustedOnly = TrustedOnly.NOBODY
    mqtt: Switch = Switch.ON
    mqtt_port: int = Field(default=1883, ge=0, le=65535)
    mqtt_url: Annotated[str | None, AfterValidator(_mqtt_url)] = Field(default=None, repr=False)
    mqtt_public_url: Annotated[str | None, AfterValidator(_mqtt_url)] = None
    mqtt_ca: Annotated[Path | None, AfterValidator(_readable)] = None
    mqtt_certificate: Annotated[Path | None, AfterValidator(_readable)] = None
    mqtt_key: Annotated[Path | None, AfterValidator(_readable)] = None
    mosquitto_dir: Annotated[Path | None, AfterValidator(_folder)] = None
    mosquitto_pid_file: Path | None = None
    config_overdue_intervals: float = Field(default=3, ge=0)
    telegram_bot_token: SecretStr | None = Field(
        default=None, validation_alias="TELEGRAM_BOT_TOKEN"
    )
    telegram_chat_id: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_check_chats)
    ] = Field(default=(), validation_alias="TELEGRAM_CHAT_ID")
    telegram_api_url: Annotated[str | None, AfterValidator(_http_url)] = Field(
        default=None, validation_alias="TELEGRAM_API_URL"
    )
    telegram_webhook_url: Annotated[str | None, AfterValidator(_http_url)] = Field(
        default=None, validation_alias="TELEGRAM_WEBHOOK_URL"
    )
    webhook_url: Annotated[str | None, AfterValidator(_http_url)] = Field(default=None, repr=False)
    webhook_secret: Annotated[SecretStr | None, AfterValidator(_long_enough)] = None
    language: Annotated[str, AfterValidator(_spoken)] = "en"
    timezone: Annotated[str, AfterValidator(check_zone)] = "UTC"
    offline_after_seconds: int = Field(default=600, ge=0)
    keep_events: Annotated[Retention, NoDecode, BeforeValidator(_retention)] = Retention()
    log_format: LogFormat = "console"
    log_level: LogLevel = "info"

    @property
    def connections_per_process(self) -> int:
        """To the database, at most."""
        return connections_for(self.database_connections, self.workers)

    @property
    def limits(self) -> Limits:
        return Limits(
            source_length=self.max_document_length,
            tokens=self.max_tokens,
            depth=self.max_depth,
            fields=self.max_fields,
            aliases=self.max_aliases,
            root_fields=self.max_root_fields,
            directives=self.max_directives,
            list_items=self.max_list_items,
            errors=self.max_errors,
            cost=self.max_cost,
        )

    @property
    def admission(self) -> Admission | None:
        if self.rate_limits is Switch.OFF:
            return None
        return Admission(self.max_registrations_per_address, self.max_registrations_per_key)

    @property
    def operations_per_token(self) -> int | None:
        return self.max_operations_per_token if self.rate_limits is Switch.ON else None

    @property
    def mqtt_wanted(self) -> bool:
        return self.mqtt is Switch.ON

    @property
    def embedded_mqtt(self) -> bool:
        """Whether this server brings a broker of its own."""
        return self.mqtt_wanted and self.mqtt_url is None

    @property
    def broker(self) -> Broker | None:
        """What devices are told; a broker on this machine is where they reached this server."""
        url = self.mqtt_public_url or self.mqtt_url
        if url is None or not self.mqtt_wanted:
            return None
        parts = urlsplit(url)
        host = None if parts.hostname in ("localhost", "127.0.0.1", "::1") else parts.hostname
        return Broker(host, parts.port or MQTT_PORTS[parts.scheme], parts.scheme == "mqtts")


class SettingsError(Exception):
    """Says which environment variable is wrong, and what to set."""


def read_settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{_variable(str(e['loc'][0]))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None


def _variable(name: str) -> str:
    return name if name.startswith("TELEGRAM_") else f"ROLLCALL_{name.upper()}"
