"""Config changes as followers are told of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from db.devices import queries as devices
from db.postgres.database import Database
from db.tables.devices import Device
from db.tables.events import Event
from domain.devices.config import Config
from domain.events.kinds import EventKind
from resolvers.feed.feed import Feed

KINDS = frozenset({EventKind.CONFIG_CHANGED})


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """`device` as it is by now; None where it was deleted, or went to another owner.

    `answers`: what was told of it already, for those who tell it.
    """

    cursor: str
    device: Device | None
    config: Config
    previous: Config
    answers: dict[Any, Any] = field(default_factory=dict, compare=False)


ConfigFeed = Feed[ConfigChange]


def config_feed(database: Database, capacity: int) -> ConfigFeed:
    return Feed(database, KINDS, _prepare, capacity)


async def _prepare(session: AsyncSession, events: Sequence[Event]) -> Mapping[int, ConfigChange]:
    found = await devices.by_ids(session, {event.device_id for event in events if event.device_id})
    return {
        event.id: ConfigChange(
            str(event.id),
            found.get(event.device_id or ""),
            _config(event.after),
            _config(event.before),
        )
        for event in events
    }


def _config(facts: Mapping[str, Any] | None) -> Config:
    assert facts is not None  # noqa: S101
    return Config(
        version=facts["version"],
        interval_seconds=facts["intervalSeconds"],
        qos=facts["qos"],
        updated_at=datetime.fromisoformat(facts["updatedAt"]),
        updated_by=facts["updatedBy"],
    )
