"""The database of one command, with or without a running server.

An administrative command never creates a database. In the wrong folder it would create a second
one, and a token that no server accepts.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from pathlib import Path
from typing import TypeVar

import typer

from db.embedded import EmbeddedPostgres, PostgresFailed
from db.migrate import migrate
from db.migrated import is_migrated
from db.postgres.database import Database
from db.postgres.permanent import permanent_reason
from db.postgres.transient import is_transient
from domain.errors import InputError, Problem, RollcallError, Unavailable
from server.cli.database_name import which_database
from server.settings import Settings, SettingsError, read_settings

Result = TypeVar("Result")


class Needs(Enum):
    """What has to exist before a command starts."""

    TABLES = auto()
    DATABASE = auto()
    NOTHING = auto()


class NoDatabase(Exception):
    """The text says where there is no database, and what to do."""


def settings_or_exit() -> Settings:
    try:
        return read_settings()
    except SettingsError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)


def with_database(
    work: Callable[[Database], Awaitable[Result]], needs: Needs = Needs.TABLES
) -> Result:
    """Run `work` on the configured database, migrated to the newest version.

    Ends the process with a message if that fails.
    """
    return _run(settings_or_exit(), work, needs)


def with_temporary_database(work: Callable[[Database], Awaitable[Result]], folder: Path) -> Result:
    """As `with_database`, on a new database in `folder`. The caller removes the folder."""
    changes = {"data_dir": folder, "database_url": None}
    return _run(settings_or_exit().model_copy(update=changes), work, Needs.NOTHING)


def _run(settings: Settings, work: Callable[[Database], Awaitable[Result]], needs: Needs) -> Result:
    async def run() -> Result:
        async with _opened(settings, needs) as database:
            return await work(database)

    try:
        return asyncio.run(run())
    except (PostgresFailed, NoDatabase) as error:
        typer.echo(str(error), err=True)
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        typer.echo(reason, err=True)
    sys.exit(1)


def _reason(error: Exception) -> str | None:
    """Return one line for people, or None if the error is a bug."""
    cause = (error.__cause__ or error) if isinstance(error, Unavailable) else error
    if reason := permanent_reason(cause):
        return reason
    if is_transient(cause):
        return f"The database is not available: {cause}"
    if isinstance(error, InputError):
        return "\n".join(_problem(problem) for problem in error.problems)
    return str(error) if isinstance(error, RollcallError) else None


def _problem(problem: Problem) -> str:
    """Format with the name of the option. `id` is an argument, so it has none."""
    if problem.field is None or problem.field == "id":
        return problem.message
    option = re.sub("([A-Z])", r"-\1", problem.field).lower()
    return f"--{option}: {problem.message}"


@asynccontextmanager
async def _opened(settings: Settings, needs: Needs) -> AsyncIterator[Database]:
    embedded = None if settings.database_url else EmbeddedPostgres(settings.data_dir)
    if embedded and needs is not Needs.NOTHING and not embedded.exists:
        raise NoDatabase(
            f"There is no Rollcall database in {embedded.data_dir}. Run this command in the folder "
            "of `rollcall serve`, or set ROLLCALL_DATA_DIR or ROLLCALL_DATABASE_URL."
        )
    typer.echo(f"Rollcall: {which_database(settings)}", err=True)
    try:
        database = Database(settings.database_url or (embedded.start() if embedded else ""))
        try:
            if needs is Needs.TABLES and not await is_migrated(database):
                raise NoDatabase(
                    f"There are no tables of Rollcall in {which_database(settings)}. Start "
                    "`rollcall serve` first, or set ROLLCALL_DATABASE_URL to another database."
                )
            await migrate(database)
            yield database
        finally:
            await database.close()
    finally:
        if embedded:
            embedded.stop()
