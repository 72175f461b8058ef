"""Undocumented modules and private attributes of libraries are used only in listed files."""

import ast
from collections.abc import Iterator

import pytest

from tests.project.test_dependencies import PACKAGES, ROOT

INTERNALS = "schema/compiler/strawberry_internals.py"
# Undocumented modules, with the files that may import them.
ALLOWED_FILES = {
    "amqtt.broker": {"mqtt/embedded/broker.py"},
    "amqtt.mqtt.protocol": {"mqtt/embedded/handler.py"},
    "asyncpg.connect_utils": {"db/postgres/connect.py"},
    "graphql.execution": {"schema/compiler/graphql_internals.py"},
    "graphql.utilities.coerce_input_value": {"schema/compiler/graphql_internals.py"},
    "graphql.validation.rules": {"schema/engine/graphql_core.py"},
    "paho.mqtt.matcher": {"mqtt/embedded/subscription_tree.py"},
    "prometheus_client.utils": {"server/observability/request_counts.py"},
    "sqlalchemy.dialects.postgresql.asyncpg": {"db/reads/device_pages.py"},
    "sqlalchemy.sql.compiler": {"db/reads/device_pages.py"},
    "strawberry.extensions.field_extension.build_field_extension_resolvers": {INTERNALS},
    "strawberry.schema": {INTERNALS},
    "strawberry.types.arguments": {INTERNALS},
    "strawberry.types.base": {INTERNALS},
    "strawberry.types.field": {INTERNALS},
    "strawberry.types.fields": {INTERNALS},
    "strawberry.types.lazy_type": {INTERNALS},
    "telebot.asyncio_helper": {"notifier/telegram/api.py"},
    "uvicorn.middleware": {"server/transport/proxies.py"},
    "uvicorn.protocols.http": {
        "server/transport/fast_path.py",
        "server/transport/http_protocol.py",
    },
    "uvicorn.protocols.websockets": {"server/transport/websocket_protocol.py"},
}
# Files that read private attributes of other objects.
PRIVATE = {
    "db/postgres/connect.py",
    "schema/compiler/strawberry_internals.py",
    "schema/engine/graphql_core.py",
}


def sources() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            yield str(file.relative_to(ROOT)), file.read_text()


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.fixture(scope="module")
def imports() -> dict[str, list[str]]:
    return {file: [*imported(text)] for file, text in sources()}


@pytest.mark.parametrize("module", ALLOWED_FILES)
def test_undocumented_module_is_imported_only_in_listed_files(
    module: str, imports: dict[str, list[str]]
) -> None:
    found = {
        file
        for file, names in imports.items()
        if any(f"{name}.".startswith(f"{module}.") for name in names)
    }
    assert found == ALLOWED_FILES[module]


def test_private_attributes_are_read_only_in_listed_files() -> None:
    """Ruff reports all others (SLF001)."""
    assert {file for file, text in sources() if "noqa: SLF001" in text} == PRIVATE


def test_no_private_name_is_imported(imports: dict[str, list[str]]) -> None:
    parts = {name: name.split(".") for names in imports.values() for name in names}
    private = {
        name
        for name, each in parts.items()
        if any(part.startswith("_") for part in each) and not (ROOT / each[0]).is_dir()
    }
    assert private - {"__future__.annotations"} == set()
