"""A cache of owners, places and measurement types in a process."""

from collections import OrderedDict

from db.devices.topic_levels import TopicLevels
from domain.devices.device import NamedRef
from domain.names import name_key

MAX_ENTRIES = 50_000


class TopicLevelCache:
    """Caches owners with a place and a measurement type, by their names. They never change."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[
            tuple[str | int, str, str], tuple[NamedRef, NamedRef, NamedRef]
        ] = OrderedDict()

    def close(self) -> None:
        """Clear the cache, because the next connection may be to a restored database."""
        self._by_owner.clear()

    def get(
        self, owner: str | int, place: str, measurement_type: str
    ) -> tuple[NamedRef, NamedRef, NamedRef] | None:
        """`owner`: its name or its id."""
        return self._by_owner.get((_key(owner), name_key(place), name_key(measurement_type)))

    def add(self, levels: TopicLevels) -> tuple[NamedRef, NamedRef, NamedRef]:
        """Add levels. They must be committed."""
        owner, place, type = levels.owner, levels.place, levels.measurement_type
        names = (
            NamedRef(owner.id, owner.name, owner.slug),
            NamedRef(place.id, place.name, place.slug),
            NamedRef(type.id, type.name, type.slug),
        )
        for key in (owner.id, owner.name_key):
            self._by_owner[key, place.name_key, type.name_key] = names
        while len(self._by_owner) > MAX_ENTRIES:
            self._by_owner.popitem(last=False)
        return names


def _key(owner: str | int) -> str | int:
    return name_key(owner) if isinstance(owner, str) else owner
