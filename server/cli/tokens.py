"""`rollcall tokens`: the API's token operations, for users of the server's machine."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from db.postgres.database import Database
from db.tables.tokens import TokenRow
from domain.access.caller import system
from domain.access.inputs import NewToken
from domain.access.tokens import TokenKind
from domain.inputs import Page
from resolvers.access.tokens import create_token, list_tokens, revoke_token
from resolvers.services import Services
from server.cli.database import with_database

CALLER = system("command line")
UNITS = {"h": "hours", "d": "days", "w": "weeks"}

tokens = typer.Typer(help="Manage tokens of people, and enrolment keys.", no_args_is_help=True)


def _period(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if not match:
        raise typer.BadParameter("Give a number of hours, days or weeks: 12h, 30d, 52w.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


@tokens.command()
def create(
    kind: Annotated[TokenKind, typer.Option(help="admin, viewer or enrol.")],
    owner: Annotated[str | None, typer.Option(help="Restrict it to this owner.")] = None,
    note: Annotated[str | None, typer.Option(help="Its purpose.")] = None,
    expires: Annotated[
        timedelta | None, typer.Option(parser=_period, metavar="PERIOD", help="12h, 30d, 52w.")
    ] = None,
    max_uses: Annotated[int | None, typer.Option(help="New devices it may register.")] = None,
) -> None:
    """Create a token and print it. It can't be shown again."""

    async def work(database: Database) -> str:
        new = NewToken.check(
            {
                "kind": kind,
                "owner": owner,
                "note": note,
                "expires_at": datetime.now(UTC) + expires if expires else None,
                "max_uses": max_uses,
            }
        )
        return (await create_token(Services.for_database(database), CALLER, new))[1]

    typer.echo(with_database(work))


@tokens.command("list")
def show(
    kind: Annotated[TokenKind | None, typer.Option(help="Only this kind.")] = None,
) -> None:
    """List tokens: number, kind, owner, state, note."""

    async def work(database: Database) -> list[TokenRow]:
        rows: list[TokenRow] = []
        after: str | None = None
        while True:
            page = await list_tokens(
                Services.for_database(database), CALLER, kind, Page(first=500, after=after)
            )
            rows += page.rows
            if not page.has_next:
                return rows
            after = page.cursors[-1]

    for token in with_database(work):
        owner = token.owner.name if token.owner else "(all)"
        typer.echo(
            f"{token.id:>6}  {token.kind:<7} {owner:<20} {_state(token):<22} {token.note or ''}"
        )


@tokens.command()
def revoke(id: Annotated[str, typer.Argument(help="The token's number.")]) -> None:
    """Revoke a token immediately and permanently."""
    with_database(lambda database: revoke_token(Services.for_database(database), CALLER, id))
    typer.echo(f"Token {id} is revoked.")


def _state(token: TokenRow) -> str:
    if token.revoked_at:
        return f"revoked {token.revoked_at:%Y-%m-%d}"
    if token.expires_at:
        return f"valid to {token.expires_at:%Y-%m-%d %H:%M}"
    return "valid"
