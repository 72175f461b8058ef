"""Settings, read once from the environment. README.md lists them."""

import logging
import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.access.rate_limit import RegistrationRateLimiter
from domain.alerts.quiet_hours import check_zone
from domain.devices.enrolment import EnrolmentPolicy, ReenrolmentPolicy
from domain.events.retention import Retention
from resolvers.feed.feed import BATCH_SIZE
from resolvers.services import BrokerAddress
from schema.engine.limits import Limits
from server.settings_checks import (
    MQTT_PORTS,
    check_admin_token,
    check_bot_token,
    check_chats,
    check_connections,
    check_database_url,
    check_http_url,
    check_language,
    check_mqtt_url,
    check_origins,
    check_readable,
    check_readable_folder,
    check_writable_folder,
    connections_for,
    parse_retention,
    split_list,
)

log = logging.getLogger("rollcall.server")


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


class TrustedOnly(StrEnum):
    """Which callers may send only the ids of trusted documents."""

    NOBODY = "nobody"
    DEVICES = "devices"
    EVERYONE = "everyone"


class Switch(StrEnum):
    ON = "on"
    OFF = "off"


PREFIXES = ("ROLLCALL_", "TELEGRAM_")
KUBERNETES_VARIABLE = re.compile(r"ROLLCALL_(SERVICE_|PORT_\d+_)")

LogFormat = Annotated[Literal["console", "json"], BeforeValidator(str.lower)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)]


class Settings(BaseSettings):
    """Field `x` is read from the environment variable `ROLLCALL_X`, if it has no alias."""

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
    admin_token: Annotated[SecretStr | None, AfterValidator(check_admin_token)] = None
    enrolment: EnrolmentPolicy = EnrolmentPolicy.KEY
    reenrolment: ReenrolmentPolicy = ReenrolmentPolicy.APPROVE
    env: Environment = Environment.DEVELOPMENT
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(split_list), AfterValidator(check_origins)
    ] = ()
    trusted_proxies: str = "127.0.0.1"
    rate_limits: Switch = Switch.ON
    max_registrations_per_address: int = Field(default=1_200, ge=1)
    max_registrations_per_key: int = Field(default=6_000, ge=1)
    max_connections: int = Field(default=4_000, ge=10)
    max_connections_per_address: int = Field(default=500, ge=1)
    max_connections_per_token: int = Field(default=500, ge=1)
    max_operations_per_token: int = Field(default=100, ge=1)
    max_subscriptions_per_token: int = Field(default=1_000, ge=1)
    max_waiting_events: int = Field(default=2_000, ge=BATCH_SIZE)
    max_body_bytes: int = Field(default=262_144, ge=1_000)
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
    trusted_documents: Annotated[Path | None, AfterValidator(check_readable_folder)] = None
    trusted_only: TrustedOnly = TrustedOnly.NOBODY
    mqtt: Switch = Switch.ON
    mqtt_port: int = Field(default=1883, ge=0, le=65535)
    mqtt_url: Annotated[str | None, AfterValidator(check_mqtt_url)] = Field(
        default=None, repr=False
    )
    mqtt_public_url: Annotated[str | None, AfterValidator(check_mqtt_url)] = None
    mqtt_ca: Annotated[Path | None, AfterValidator(check_readable)] = None
    mqtt_certificate: Annotated[Path | None, AfterValidator(check_readable)] = None
    mqtt_key: Annotated[Path | None, AfterValidator(check_readable)] = None
    mosquitto_dir: Annotated[Path | None, AfterValidator(check_writable_folder)] = None
    mosquitto_pid_file: Path | None = None
    config_overdue_intervals: float = Field(default=3, ge=0)
    telegram_bot_token: Annotated[SecretStr | None, AfterValidator(check_bot_token)] = Field(
        default=None, validation_alias="TELEGRAM_BOT_TOKEN"
    )
    telegram_chat_id: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(split_list), AfterValidator(check_chats)
    ] = Field(default=(), validation_alias="TELEGRAM_CHAT_ID")
    telegram_api_url: Annotated[str | None, AfterValidator(check_http_url)] = Field(
        default=None, validation_alias="TELEGRAM_API_URL"
    )
    telegram_webhook_url: Annotated[str | None, AfterValidator(check_http_url)] = Field(
        default=None, validation_alias="TELEGRAM_WEBHOOK_URL"
    )
    webhook_url: Annotated[str | None, AfterValidator(check_http_url)] = Field(
        default=None, repr=False
    )
    webhook_secret: Annotated[SecretStr | None, AfterValidator(check_admin_token)] = None
    language: Annotated[str, AfterValidator(check_language)] = "en"
    timezone: Annotated[str, AfterValidator(check_zone)] = "UTC"
    offline_after_seconds: int = Field(default=600, ge=0)
    keep_events: Annotated[Retention, NoDecode, BeforeValidator(parse_retention)] = Retention()
    log_format: LogFormat = "console"
    log_level: LogLevel = "info"

    @property
    def connections_per_process(self) -> int:
        """The maximum number of database connections."""
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
    def rate_limiter(self) -> RegistrationRateLimiter | None:
        if self.rate_limits is Switch.OFF:
            return None
        return RegistrationRateLimiter(
            self.max_registrations_per_address, self.max_registrations_per_key
        )

    @property
    def operations_per_token(self) -> int | None:
        return self.max_operations_per_token if self.rate_limits is Switch.ON else None

    @property
    def mqtt_enabled(self) -> bool:
        return self.mqtt is Switch.ON

    @property
    def embedded_mqtt(self) -> bool:
        """Whether this server runs the embedded broker."""
        return self.mqtt_enabled and self.mqtt_url is None

    @property
    def broker(self) -> BrokerAddress | None:
        """The broker address that devices get. Host None: the host by which they reach the server.

        That is used for a broker on this machine, whose local address is useless to devices.
        """
        url = self.mqtt_public_url or self.mqtt_url
        if url is None or not self.mqtt_enabled:
            return None
        parts = urlsplit(url)
        host = None if parts.hostname in ("localhost", "127.0.0.1", "::1") else parts.hostname
        return BrokerAddress(host, parts.port or MQTT_PORTS[parts.scheme], parts.scheme == "mqtts")


class SettingsError(Exception):
    """An environment variable is wrong. The text names it and says what to set."""


def read_settings() -> Settings:
    """Raises SettingsError if a variable is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{_variable(str(e['loc'][0]))}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None


def warn_of_unknown_variables(environment: Iterable[str] = os.environ) -> None:
    """Log each variable that is named like a setting and is none."""
    for line in unknown_variables(environment):
        log.warning("%s", line)


def unknown_variables(environment: Iterable[str]) -> list[str]:
    """Return one line for each variable that is named like a setting but is not a setting.

    They are not errors. Kubernetes sets variables such as `ROLLCALL_SERVICE_HOST` in every
    container if a service is called rollcall; these are ignored.
    """
    fields = Settings.model_fields.items()
    aliases = {str(field.validation_alias) for _, field in fields if field.validation_alias}
    settings = aliases | {f"ROLLCALL_{name.upper()}" for name, _ in fields}
    lines = []
    for name in sorted(set(environment) - settings):
        prefix = name.partition("_")[0] + "_"
        if prefix not in PREFIXES or KUBERNETES_VARIABLE.match(name):
            continue
        others = [each.removeprefix(prefix) for each in settings if each.startswith(prefix)]
        close = get_close_matches(name.removeprefix(prefix), others, n=1, cutoff=0.75)
        if close or prefix == "ROLLCALL_":
            hint = f"; {prefix}{close[0]} is one" if close else ""
            lines.append(f"{name} is not a setting and has no effect{hint}.")
    return lines


def _variable(name: str) -> str:
    return name if name.startswith("TELEGRAM_") else f"ROLLCALL_{name.upper()}"
