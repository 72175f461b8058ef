"""The command `rollcall`."""

import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
import uvicorn

from db.database import Database
from db.migrate import missing_migrations, write_migration
from server.app import create_app
from server.cli_tokens import tokens
from server.logs import configure_logging
from server.one_command import settings_or_exit, with_database

app = typer.Typer(
    help="The registration desk of an IoT fleet.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(tokens, name="tokens")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address; else ROLLCALL_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; else ROLLCALL_PORT.")] = None,
) -> None:
    """Run the server. Without ROLLCALL_DATABASE_URL it brings its own PostgreSQL."""
    settings = settings_or_exit()
    host, port = host or settings.host, settings.port if port is None else port
    configure_logging(settings)
    listening = _listen(host, port)
    address = f"http://{host}:{listening.getsockname()[1]}"
    typer.echo(f"Rollcall: GraphQL at {address}/graphql")
    config = uvicorn.Config(
        create_app(settings), log_config=None, log_level="warning", access_log=False
    )
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """Before anything else is started, so that a taken port leaves nothing half-done."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        typer.echo(
            f"Can't listen on {host}:{port} ({error.strerror}): "
            "set ROLLCALL_HOST or ROLLCALL_PORT.",
            err=True,
        )
        sys.exit(1)
    return listening


@app.command()
def migrate(
    check: Annotated[
        bool,
        typer.Option(help="Only tell whether a migration is missing, on a database of its own."),
    ] = False,
    write: Annotated[
        str | None, typer.Option(help="Write the missing migration, with this message.")
    ] = None,
) -> None:
    """Bring the database's tables to the newest version. `serve` does so by itself."""
    if not check and write is None:
        with_database(_nothing)
        typer.echo("The tables are at the newest version.")
        return
    with TemporaryDirectory(prefix="rollcall-") as folder:
        if write is not None:
            with_database(lambda database: write_migration(database, write), data_dir=Path(folder))
            return
        missing = with_database(missing_migrations, data_dir=Path(folder))
    if missing:
        typer.echo("\n".join(["Models and migrations differ:", *missing]), err=True)
        sys.exit(1)
    typer.echo("Models and migrations agree.")


async def _nothing(_: Database) -> None:
    """Opening the database has migrated it."""
