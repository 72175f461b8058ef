"""The audit log as it stands in the database."""

from sqlalchemy import select

from db.postgres.database import Database
from db.tables.events import Event


async def events_of(database: Database, kind: str) -> list[Event]:
    async with database.begin() as session:
        return list(await session.scalars(select(Event).where(Event.kind == kind).order_by("id")))
