"""The command `rollcall`."""

import logging
import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NoReturn

import typer
from fastapi import FastAPI

from db.migrate import missing_migrations, write_migration
from db.postgres.database import Database
from schema.engine.trusted_documents import BadTrustedDocument
from server.app import create_app
from server.cli.database import (
    Needs,
    settings_or_exit,
    with_database,
    with_temporary_database,
)
from server.cli.database_name import which_database
from server.cli.notify import notify
from server.cli.tokens import tokens
from server.observability.logs import configure_logging
from server.rest.trusted import Trusted
from server.runtime.hangup import Hangup
from server.runtime.mqtt import Embedded
from server.runtime.processes import ProcessPool, StartFailed
from server.runtime.shared_flag import SharedFlag
from server.settings import Settings, warn_of_unknown_variables
from server.transport.listen import listen, listen_for_mqtt, reachable, server_for

log = logging.getLogger("rollcall.server")

app = typer.Typer(
    help="The registration server of an IoT fleet.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(tokens, name="tokens")
app.command()(notify)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address; else ROLLCALL_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; else ROLLCALL_PORT.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes; else ROLLCALL_WORKERS.")
    ] = None,
) -> None:
    """Run the server. Without ROLLCALL_DATABASE_URL it starts an embedded PostgreSQL."""
    hangup = Hangup()
    hangup.catch()
    settings = settings_or_exit()
    host, port = host or settings.host, settings.port if port is None else port
    settings = settings.model_copy(
        update={"host": host, "port": port, "workers": workers or settings.workers}
    )
    configure_logging(settings)
    warn_of_unknown_variables()
    listening = listen(host, port)
    broker = None
    if settings.embedded_mqtt:
        broker = Embedded(listen_for_mqtt(host, settings.mqtt_port), connected=SharedFlag())
    try:
        application = create_app(settings, broker)
    except BadTrustedDocument as bad:
        _exit_with(f"ROLLCALL_TRUSTED_DOCUMENTS: {bad}")
    if settings.workers == 1:
        reason = _serve(application, settings, listening, broker, hangup)
        if reason:
            _exit_with(reason)
        return

    def work(number: int, first: bool) -> str | None:
        # Process 0 runs the embedded broker. The others only need its address.
        embedded = replace(broker, in_other_process=number > 0) if broker else None
        welcome = first and number == 0
        hangup.catch()
        application = create_app(settings, embedded, trusted.files)
        return _serve(application, settings, listening, broker, hangup, welcome=welcome)

    # This process serves nothing, but checks the documents for all workers, also later ones.
    trusted: Trusted = application.state.trusted
    try:
        pool = ProcessPool(settings.workers, work, settings.drain_seconds)
        pool.run(hangup, trusted.reload_now)
    except StartFailed as error:
        _exit_with(str(error))


def _exit_with(reason: str) -> NoReturn:
    typer.echo(reason, err=True)
    sys.exit(1)


def _serve(
    application: FastAPI,
    settings: Settings,
    listening: socket.socket,
    broker: Embedded | None,
    hangup: Hangup,
    *,
    welcome: bool = True,
) -> str | None:
    """Serve until a signal. Return the reason in one line if it can't start, else None."""
    server = server_for(application, settings)
    server.reload_requested = hangup.take
    server.alone = True
    if welcome:
        server.started_up = partial(_welcome, settings, listening, broker)
    application.state.database_supervisor.give_up = server.give_up
    server.run(sockets=[listening])
    return server.failure


def _welcome(settings: Settings, listening: socket.socket, broker: Embedded | None) -> None:
    host = settings.host
    address = reachable(host, listening.getsockname()[1])
    typer.echo(f"Rollcall: open http://{address} in a browser; GraphQL is at /graphql.")
    typer.echo(f"Rollcall: {which_database(settings)}")
    if broker:
        port = broker.listening.getsockname()[1]
        typer.echo(f"Rollcall: MQTT at {reachable(host, port)}")


@app.command()
def migrate(
    check: Annotated[
        bool,
        typer.Option(help="Only check for missing migrations, on a temporary database."),
    ] = False,
    write: Annotated[
        str | None, typer.Option(help="Write the missing migration, with this message.")
    ] = None,
) -> None:
    """Migrate an existing database to the newest version. `serve` does this at each start."""
    if not check and write is None:
        with_database(_nothing, Needs.DATABASE)
        typer.echo("The tables are at the newest version.")
        return
    with TemporaryDirectory(prefix="rollcall-") as folder:
        if write is not None:
            not_written = with_temporary_database(
                lambda database: write_migration(database, write), Path(folder)
            )
            if not_written:
                lines = ["Write these functions and triggers by hand:", *not_written]
                typer.echo("\n".join(lines), err=True)
            return
        missing = with_temporary_database(missing_migrations, Path(folder))
    if missing:
        typer.echo("\n".join(["Models and migrations differ:", *missing]), err=True)
        sys.exit(1)
    typer.echo("Models and migrations agree.")


async def _nothing(_: Database) -> None:
    """No-op: opening the database has migrated it."""
