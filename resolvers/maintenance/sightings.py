"""Devices that have asked for something were heard from."""

from db.writes import last_seen as sightings
from resolvers.services import Desk

AT_ONCE = 100


async def write_sightings(desk: Desk) -> int:
    """Some of those that wait; how many. Raises Unavailable."""
    seen = desk.sightings.take(AT_ONCE)
    if seen:
        async with desk.database.begin(own=True) as session:
            await sightings.write(session, seen)
    return len(seen)
