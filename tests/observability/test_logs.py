"""The log of the process, for people and for programs, including the log of libraries."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.postgres.database import Database
from server.observability.access_log import RequestIds
from server.observability.logs import configure_logging
from server.settings import Settings, SettingsError, read_settings, unknown_variables
from tests.events.live.serving import instance
from tests.server.process import ADMIN, ServerProcess
from tests.support.client import Api
from tests.support.ports import free_port

UVICORN = (sys.executable, "-m", "uvicorn", "--factory", "server.app:create_app")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., io.StringIO]]:
    """A function that configures the logging of this process. It is restored after the test."""
    names = [None, "rollcall", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"]
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]

    def configure(output: io.StringIO | None = None, **values: Any) -> io.StringIO:
        output = output or io.StringIO()
        monkeypatch.setattr(sys, "stderr", output)
        configure_logging(Settings(**values))
        return output

    yield configure
    logging.getLogger("uvicorn.error").filters.clear()
    logging.captureWarnings(capture=False)
    for logger, handlers, level, propagate in before:
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)


def fail(message: str, _token: str) -> None:
    raise ZeroDivisionError(message)


def objects(output: io.StringIO | str) -> list[dict[str, Any]]:
    text = output if isinstance(output, str) else output.getvalue()
    return [json.loads(line) for line in text.splitlines()]


def test_json_log_has_one_object_per_line(configured: Callable[..., io.StringIO]) -> None:
    output = configured(log_format="json")
    token = "rca_" + "very_secret"
    try:
        fail("first line\nsecond line", token)
    except ZeroDivisionError:
        logging.getLogger("rollcall.test").exception("It %s", "broke\n", extra={"fields": {"a": 1}})
    [line] = objects(output)
    age = datetime.now(UTC) - datetime.fromisoformat(line.pop("time"))
    assert timedelta(0) <= age < timedelta(minutes=1)
    text = line.pop("exception")
    assert text.startswith("Traceback")
    assert text.endswith("ZeroDivisionError: first line\nsecond line")
    assert token not in text
    assert line == {"level": "error", "logger": "rollcall.test", "event": "It broke\n", "a": 1}


def test_library_logs_have_the_same_format(configured: Callable[..., io.StringIO]) -> None:
    output = configured(log_format="json")
    logging.getLogger("uvicorn.error").info("Started", extra={"color_message": "\x1b[1mStarted"})
    logging.getLogger("sqlalchemy.pool").error("no connection")
    assert [set(line) for line in objects(output)] == [{"time", "level", "logger", "event"}] * 2
    assert [line["logger"] for line in objects(output)] == ["uvicorn.error", "sqlalchemy.pool"]


def test_fields_can_not_override_standard_keys(configured: Callable[..., io.StringIO]) -> None:
    output = configured(log_format="json")
    fields = {"event": "no", "level": "no", "logger": "no", "name": "yes", "what": object()}
    logging.getLogger("rollcall.test").warning("this", extra={"fields": fields})
    [line] = objects(output)
    assert (line["event"], line["level"], line["logger"]) == ("this", "warning", "rollcall.test")
    assert line["name"] == "yes"


async def test_lines_carry_the_request_id(configured: Callable[..., io.StringIO]) -> None:
    output = configured(log_format="json")
    log = logging.getLogger("rollcall.test")

    async def app(*_: Any) -> None:
        log.info("inside")

    log.info("before")
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", b"id-1")]}
    await RequestIds(app)(scope, None, None)  # type: ignore[arg-type]
    log.info("after")
    inside = [line.get("request_id") for line in objects(output) if line["event"] != "request"]
    assert inside == [None, "id-1", None]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("WARNING", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_log_level_applies_to_rollcall_and_limits_libraries(
    configured: Callable[..., io.StringIO], level: str, expected: list[str]
) -> None:
    output = configured(log_format="json", log_level=level)
    for name in ("rollcall.test", "uvicorn.error", "sqlalchemy.engine", "any.library"):
        for word in ("debug", "info", "warning", "error"):
            getattr(logging.getLogger(name), word)(word)
    logging.getLogger("uvicorn.access").info("GET /graphql?query={me}")

    def of(name: str) -> list[str]:
        return [line["event"] for line in objects(output) if line["logger"] == name]

    assert of("rollcall.test") == expected
    assert of("uvicorn.error") == [word for word in expected if word != "debug"]
    assert of("sqlalchemy.engine") == [word for word in expected if word in ("warning", "error")]
    assert of("any.library") == of("sqlalchemy.engine")
    assert of("uvicorn.access") == []


def test_websocket_addresses_are_not_logged(configured: Callable[..., io.StringIO]) -> None:
    output = configured()
    server = logging.getLogger("uvicorn.error")
    server.info('%s - "WebSocket %s" [accepted]', "203.0.113.7:4711", "/graphql?query={me}")
    assert output.getvalue() == ""


async def test_sql_error_contains_no_values(database: Database) -> None:
    statement = text("SELECT 1 / :zero, CAST(:secret AS text)")
    async with database.transaction() as session:
        with pytest.raises(DBAPIError) as failed:
            await session.execute(statement, {"zero": 0, "secret": "rca_very_secret"})
    assert "division by zero" in str(failed.value)
    assert "rca_very_secret" not in str(failed.value)


def test_console_log_shows_no_local_variables(configured: Callable[..., io.StringIO]) -> None:
    output = configured()
    token = "rca_" + "very_secret"
    try:
        fail("a bug", token)
    except ZeroDivisionError:
        logging.getLogger("rollcall.test").exception("It broke")
    assert "ZeroDivisionError" in output.getvalue()
    assert token not in output.getvalue()


def test_colours_only_on_terminals(configured: Callable[..., io.StringIO]) -> None:
    outputs = configured(), configured(Terminal())
    logging.getLogger("rollcall.test").warning("to the terminal")
    assert outputs[0].getvalue() == ""
    assert "\x1b[" in outputs[1].getvalue()
    output = configured()
    logging.getLogger("rollcall.test").warning("to a file")
    assert "to a file" in output.getvalue()
    assert "\x1b" not in output.getvalue()


def test_invalid_log_settings_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLLCALL_LOG_FORMAT", "xml")
    monkeypatch.setenv("ROLLCALL_LOG_LEVEL", "loud")
    with pytest.raises(SettingsError, match=r"ROLLCALL_LOG_FORMAT: .*'json'") as failed:
        read_settings()
    assert "ROLLCALL_LOG_LEVEL: " in str(failed.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ROLLCALL_ENROLLMENT", "ROLLCALL_ENROLMENT"),
        ("ROLLCALL_MQTT_PROT", "ROLLCALL_MQTT_PORT"),
        ("ROLLCALL_COLOUR", None),
        ("TELEGRAM_CHAT_IDS", "TELEGRAM_CHAT_ID"),
    ],
)
def test_unknown_variable_is_reported_with_a_hint(name: str, hint: str | None) -> None:
    [line] = unknown_variables(["PATH", "ROLLCALL_PORT", name])
    assert line.startswith(f"{name} is not a setting and has no effect")
    assert line.endswith(f"; {hint} is one." if hint else "effect.")


@pytest.mark.parametrize(
    "name",
    [
        *(name.upper() for name in Settings.model_fields if name.startswith("telegram_")),
        *(f"ROLLCALL_{name.upper()}" for name in Settings.model_fields),
        "ROLLCALL_SERVICE_HOST",
        "ROLLCALL_PORT_8000_TCP_ADDR",
        "TELEGRAM_SESSION",
        "HOME",
    ],
)
def test_settings_and_foreign_variables_are_not_reported(name: str) -> None:
    assert unknown_variables([name]) == []


REFUSED: list[tuple[dict[str, Any], str | None, str]] = [
    ({"query": "{ nothing }"}, ADMIN, "BAD_DOCUMENT"),
    ({"query": "{"}, ADMIN, "BAD_DOCUMENT"),
    ({"query": 5}, ADMIN, "BAD_REQUEST"),
    ({"query": "{ fleet { total } }"}, "rcd_wrong", "UNAUTHENTICATED This token is unknown."),
    (
        {"query": 'mutation { deleteDevice(input: {id: "x"}) { errors { code field } } }'},
        ADMIN,
        "NOT_FOUND id",
    ),
    # An alias may put a message in the place of a code; it is not logged.
    (
        {"query": 'mutation { deleteDevice(input: {id: "x"}) { errors { code: message } } }'},
        ADMIN,
        "refused",
    ),
]


@pytest.mark.parametrize(("body", "token", "error"), REFUSED)
async def test_rejected_graphql_request_is_logged_with_reason(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    body: dict[str, Any],
    token: str,
    error: str,
) -> None:
    """By the fast path and by ASGI."""
    caplog.set_level(logging.INFO, "rollcall.requests")
    async with instance(settings) as one, httpx.AsyncClient() as client:
        headers = {"Authorization": f"Bearer {token}"}
        for more in ({}, {"X-Double": "1", "Content-Type": "application/json; charset=UTF-8"}):
            caplog.clear()
            await client.post(one.url, json=body, headers={**headers, **more})
            [line] = [each for each in caplog.records if each.name == "rollcall.requests"]
            assert line.fields["error"] == error  # type: ignore[attr-defined]


async def test_rejected_rest_request_is_logged_with_reason(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rollcall.requests")
    await api.http.get("/devices?frist=1", headers={"Authorization": f"Bearer {ADMIN}"})
    await api.http.delete("/devices/x", headers={"Authorization": f"Bearer {ADMIN}"})
    errors = [line.fields["error"] for line in caplog.records]  # type: ignore[attr-defined]
    assert errors == ["INVALID frist", "NOT_FOUND id"]


@pytest.mark.parametrize("command", [(), (*UVICORN, "--log-level", "debug")])
def test_server_logs_json_without_secrets(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Both commands that start the server log in JSON, and without secrets."""
    if command:
        command = (*command, "--port", str(free_port()))
    environment = {"ROLLCALL_LOG_FORMAT": "json", "ROLLCALL_LOG_LEVEL": "debug"}
    server = ServerProcess(tmp_path / "data", *command, **environment)
    server.start()
    httpx.get(
        f"{server.url}/graphql",
        params={"query": "query Hidden { devices { totalCount } }", "variables": '{"hidden": 1}'},
        headers={"Authorization": f"Bearer {ADMIN}", "X-Request-Id": "given-7"},
    )
    server.stop()
    lines = objects("\n".join(line for line in server.output.splitlines() if line[:1] == "{"))
    assert {"time", "level", "logger", "event"} <= set.intersection(*map(set, lines))
    [request] = [line for line in lines if line.get("request_id") == "given-7"]
    assert request["logger"] == "rollcall.requests"
    assert request["path"] == "/graphql"
    assert request["status"] == 200
    for secret in (ADMIN, "Hidden", "hidden", "totalCount"):
        assert secret not in server.output
    for line in server.output.splitlines():
        assert line.startswith(("{", "Rollcall: ", "Enrolment key", "  rce_"))


def test_first_tokens_are_printed_but_not_logged(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data", ROLLCALL_ADMIN_TOKEN="", ROLLCALL_LOG_FORMAT="json")
    server.start()
    server.stop()
    shown = [line for line in server.output.splitlines() if "rca_" in line or "rce_" in line]
    assert len(shown) == 2
    assert all(line.startswith("  rc") for line in shown)
