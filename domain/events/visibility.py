"""Which events a caller may see, and which of their facts."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from domain.access.actors import shown_actor
from domain.access.caller import Caller
from domain.access.permissions import Action
from domain.events.kinds import EventKind


class Subject(Enum):
    """What events of a kind are about. TOKEN: of the fleet if they have a device, as a device's
    token belongs to it; else of administration.
    """

    FLEET = auto()
    ADMINISTRATION = auto()
    TOKEN = auto()


SUBJECTS: Mapping[EventKind, Subject] = {
    EventKind.DEVICE_REGISTERED: Subject.FLEET,
    EventKind.DEVICE_UPDATED: Subject.FLEET,
    EventKind.DEVICE_MOVED: Subject.FLEET,
    EventKind.DEVICE_LEFT: Subject.FLEET,
    EventKind.DEVICE_REPLACED: Subject.FLEET,
    EventKind.DEVICE_DELETED: Subject.FLEET,
    EventKind.DEVICE_OFFLINE: Subject.FLEET,
    EventKind.DEVICE_ONLINE: Subject.FLEET,
    EventKind.DEVICE_APPROVED: Subject.FLEET,
    EventKind.DEVICE_REJECTED: Subject.FLEET,
    EventKind.ENROLMENT_REQUESTED: Subject.FLEET,
    EventKind.CONFIG_CHANGED: Subject.FLEET,
    EventKind.CONFIG_APPLIED: Subject.FLEET,
    EventKind.CONFIG_OVERDUE: Subject.FLEET,
    EventKind.DEVICE_LINKED: Subject.FLEET,
    EventKind.DEVICE_UNLINKED: Subject.FLEET,
    EventKind.TOKEN_CREATED: Subject.ADMINISTRATION,
    EventKind.TOKEN_RENEWED: Subject.TOKEN,
    EventKind.TOKEN_CONFIRMED: Subject.TOKEN,
    EventKind.TOKEN_REVOKED: Subject.TOKEN,
    EventKind.RECIPIENT_INVITED: Subject.ADMINISTRATION,
    EventKind.RECIPIENT_ADDED: Subject.ADMINISTRATION,
    EventKind.RECIPIENT_REMOVED: Subject.ADMINISTRATION,
}
FLEET_KINDS = frozenset(kind for kind, about in SUBJECTS.items() if about is Subject.FLEET)
TOKEN_KINDS = frozenset(kind for kind, about in SUBJECTS.items() if about is Subject.TOKEN)

# Facts that say where a device is, and so whose it is.
OF_LOCATION = frozenset({"owner", "place", "measurementType", "latitude", "longitude"})
TOPICS = frozenset({"topic", "topics", "filter", "listen"})
# Facts of a request for approval that say by which key it came, and from where.
OF_REQUEST = frozenset({"keyId", "address"})
ACTOR = "updatedBy"


def is_of_fleet(kind: str, device_id: str | None) -> bool:
    """Return whether an event is about the fleet. Kinds of a later version are not."""
    return kind in FLEET_KINDS or (device_id is not None and kind in TOKEN_KINDS)


def kinds_for(caller: Caller) -> frozenset[EventKind]:
    """Return the kinds of which the caller may see events, all or some."""
    if caller.may(Action.READ_ADMINISTRATION):
        return frozenset(EventKind)
    return FLEET_KINDS | TOKEN_KINDS


def shown_facts(
    facts: Mapping[str, Any] | None,
    caller: Caller,
    owner: str | None,
    slug: str | None,
    *,
    before: bool,
) -> dict[str, Any] | None:
    """Return one side of an event as the caller may see it.

    `owner`, `slug`: of the event. A caller of one owner sees no names and topics of another one,
    from which the device came. `before`: the values before the change, which may be by its people.
    """
    if facts is None:
        return None
    shown = dict(facts)
    if not caller.may(Action.READ_ADMINISTRATION):
        shown = {name: value for name, value in shown.items() if name not in OF_REQUEST}
    if ACTOR in shown:
        shown[ACTOR] = shown_actor(shown[ACTOR], caller, former_owner=before)
    if caller.owner_id is None:
        return shown
    if shown.get("owner") not in (None, owner):
        return {name: v for name, v in shown.items() if name not in OF_LOCATION | TOPICS}
    for name in TOPICS & shown.keys():
        value = shown[name]
        if isinstance(value, list):
            shown[name] = [topic for topic in value if _is_below(topic, slug)]
        elif value is not None and not _is_below(value, slug):
            del shown[name]
    return shown


def _is_below(topic: str, slug: str | None) -> bool:
    return slug is not None and topic.partition("/")[0] == slug
