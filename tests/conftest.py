"""A PostgreSQL for the whole run, and a separate database and application for each test."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import hypothesis
import pytest
import pytest_asyncio
from fastapi import FastAPI

from db.embedded import EmbeddedPostgres
from db.migrate import migrate
from db.postgres.database import Database
from server.app import create_app
from server.settings import Settings
from tests.support.client import Api
from tests.support.waiting import WAIT_SECONDS
from tests.support.watchdog import watched

# No deadline: a busy machine may be slow.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

ADMIN = "an-admin-token-for-tests"
numbers = itertools.count()
pytest_plugins = ["tests.counting", "tests.temporary"]


# These files take longest, so they start first: otherwise one worker would finish long after the
# others.
LONGEST = (
    "test_freezes.py",
    "test_start.py",
    "test_outages.py",
    "test_serve.py",
    "test_alerts.py",
    "test_graphiql.py",
    "test_device.py",
    "test_property.py",
    "test_independence.py",
    "test_attacks.py",
    "test_polling.py",
    "test_changes.py",
    "test_demo.py",
    "test_crash.py",
    "test_build.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        _add_operation_to_id(item)
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(LONGEST)))


def _add_operation_to_id(item: pytest.Item) -> None:
    """Schemathesis has the operation only in `name`; pytest builds the id from `originalname`."""
    operation = getattr(item, "operation_label", None)
    if operation and item.id.params is None:
        item._id = item.id.with_params(operation)


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> None:
    for name in [
        name for name in os.environ if name.startswith(("ROLLCALL_", "OTEL_", "TELEGRAM_"))
    ]:
        del os.environ[name]


@pytest.fixture(scope="session", autouse=True)
def patient_clients() -> None:
    """Raise the default timeout of httpx, which is five seconds."""
    for part in ("connect", "read", "write", "pool"):
        setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, part, WAIT_SECONDS)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with watched(tmp_path_factory.getbasetemp()):
        yield


@pytest_asyncio.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The URL of a PostgreSQL without fsync. Tests of durability start their own."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("shared"))
    try:
        url = server.start()
        await _execute(url, "ALTER SYSTEM SET fsync = off")
        await _execute(url, "SELECT pg_reload_conf()")
        yield url
    finally:
        server.stop()


@pytest_asyncio.fixture(scope="session")
async def template(postgres: str) -> str:
    """The name of a migrated database, from which each test's database is copied."""
    await _execute(postgres, "CREATE DATABASE template_rollcall")
    database = Database(named(postgres, "template_rollcall"))
    await migrate(database)
    await database.close()
    return "template_rollcall"


@asynccontextmanager
async def new_database(postgres: str, template: str) -> AsyncIterator[str]:
    name = f"rollcall_{next(numbers)}"
    await _execute(postgres, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield named(postgres, name)
    await _execute(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture
async def database_url(postgres: str, template: str) -> AsyncIterator[str]:
    async with new_database(postgres, template) as url:
        yield url


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, admin_token=ADMIN, mqtt="off")


def changed(settings: Settings, **values: Any) -> Settings:
    return Settings(**{**settings.model_dump(), **values})


@pytest_asyncio.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    """The application with default settings, and a client with an administrator's token."""
    async with served(settings) as api:
        yield api


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[Api]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await opened(app)
        api = Api(app, ADMIN)
        try:
            yield api
        finally:
            await api.close()


async def opened(app: FastAPI) -> None:
    """Wait until the application has opened its database."""
    async with asyncio.timeout(WAIT_SECONDS):
        await app.state.database_supervisor.opened.wait()


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def named(url: str, database: str) -> str:
    return url.replace("/postgres?", f"/{database}?")
