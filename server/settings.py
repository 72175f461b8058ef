"""Settings, read once from the environment. The README has the table of them."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.enrolment import EnrolmentPolicy, ReenrolmentPolicy
from resolvers.desk import Broker

MIN_ADMIN_TOKEN = 16
MQTT_PORTS = {"mqtt": 1883, "mqtts": 8883}


def _postgres_url(url: str | None) -> str | None:
    if url is not None and not url.startswith(
        ("postgresql://", "postgres://", "postgresql+asyncpg://")
    ):
        raise ValueError("Give a URL such as postgresql://user:password@host:5432/rollcall.")
    return url


def _mqtt_url(url: str | None) -> str | None:
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in MQTT_PORTS or not parts.hostname:
            raise ValueError("Give a URL such as mqtt://host:1883 or mqtts://host:8883.")
    return url


def _long_enough(token: SecretStr | None) -> SecretStr | None:
    if token is not None and len(token.get_secret_value()) < MIN_ADMIN_TOKEN:
        raise ValueError(f"Give at least {MIN_ADMIN_TOKEN} characters, hard to guess.")
    return token


LogFormat = Annotated[Literal["console", "json"], BeforeValidator(str.lower)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)]


class Settings(BaseSettings):
    """Each is the environment variable `ROLLCALL_` and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="ROLLCALL_", frozen=True, env_ignore_empty=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    data_dir: Path = Path("data")
    database_url: Annotated[str | None, AfterValidator(_postgres_url)] = Field(
        default=None, repr=False
    )
    admin_token: Annotated[SecretStr | None, AfterValidator(_long_enough)] = None
    enrolment: EnrolmentPolicy = EnrolmentPolicy.KEY
    reenrolment: ReenrolmentPolicy = ReenrolmentPolicy.APPROVE
    mqtt_url: Annotated[str | None, AfterValidator(_mqtt_url)] = None
    log_format: LogFormat = "console"
    log_level: LogLevel = "info"

    @property
    def broker(self) -> Broker | None:
        """What devices are told; a broker on this machine is where they reached this server."""
        if self.mqtt_url is None:
            return None
        parts = urlsplit(self.mqtt_url)
        host = None if parts.hostname in ("localhost", "127.0.0.1", "::1") else parts.hostname
        return Broker(host, parts.port or MQTT_PORTS[parts.scheme], parts.scheme == "mqtts")


class SettingsError(Exception):
    """Says which environment variable is wrong, and what to set."""


def read_settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"ROLLCALL_{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from None
