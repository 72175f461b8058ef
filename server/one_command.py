"""A database for the length of one command, beside a running server or without one."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import typer

from db.database import Database, is_passing
from db.embedded import EmbeddedPostgres, PostgresFailed
from db.migrate import migrate
from domain.errors import RollcallError
from server.settings import Settings, SettingsError, read_settings

Result = TypeVar("Result")


def settings_or_exit() -> Settings:
    try:
        return read_settings()
    except SettingsError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)


def with_database(
    work: Callable[[Database], Awaitable[Result]], *, data_dir: Path | None = None
) -> Result:
    """Runs `work` on the configured database, or on an embedded one in `data_dir`.

    Ends the process with a message where that can't be done.
    """
    settings = settings_or_exit()
    if data_dir is not None:
        settings = settings.model_copy(update={"data_dir": data_dir, "database_url": None})

    async def run() -> Result:
        async with _opened(settings) as database:
            return await work(database)

    try:
        return asyncio.run(run())
    except (RollcallError, PostgresFailed) as error:
        typer.echo(str(error), err=True)
    except Exception as error:
        if not is_passing(error):
            raise
        typer.echo(f"The database is not available: {error}", err=True)
    sys.exit(1)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    embedded = None if settings.database_url else EmbeddedPostgres(settings.data_dir)
    try:
        database = Database(settings.database_url or (embedded.start() if embedded else ""))
        try:
            await migrate(database)
            yield database
        finally:
            await database.close()
    finally:
        if embedded:
            embedded.stop()
