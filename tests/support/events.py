"""Reads the event log from the database."""

from sqlalchemy import select

from db.postgres.database import Database
from db.tables.events import EventRow


async def events_of(database: Database, kind: str) -> list[EventRow]:
    async with database.transaction() as session:
        return list(
            await session.scalars(select(EventRow).where(EventRow.kind == kind).order_by("id"))
        )
