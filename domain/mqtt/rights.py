"""What a client of the broker may do. Every broker gets its rules from here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.mqtt.topics import covers, is_filter, same_owner, topics_of

ADMIN_USER = "admin"


@dataclass(frozen=True, slots=True)
class Rights:
    """`publish`: topic names, or filters of them. `read`: filters of what it may receive."""

    publish: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

    def may_publish(self, topic: str) -> bool:
        return _is_name(topic) and any(covers(allowed, topic) for allowed in self.publish)

    def may_subscribe(self, filter: str) -> bool:
        """Only for what it may receive all of: so a denied filter is never granted and silent."""
        return is_filter(filter) and any(covers(allowed, filter) for allowed in self.read)

    def may_receive(self, topic: str) -> bool:
        return any(covers(allowed, topic) for allowed in self.read)


def device_rights(bases: Sequence[str], listen: Iterable[str]) -> Rights:
    """Of a device: on its base topic, on the former ones while it moves, and on what it hears.

    `bases`: the present one first.

    In the tree of an owner whom it has left it may only read where to go.
    """
    topics = [topics_of(base) for base in bases]
    own = [each for each in topics if same_owner(each.data, bases[0])]
    return Rights(
        publish=tuple(name for t in own for name in (t.data, t.state, t.status)),
        read=(*(t.config for t in topics), *listen),
    )


def admin_rights(owner: str | None) -> Rights:
    """Of an administrator's tool: reads everything, or one owner's tree, and writes nothing."""
    return Rights(read=("#", "$SYS/#") if owner is None else (f"{owner}/#",))


SERVER_RIGHTS = Rights(publish=("#",), read=("#", "$SYS/#"))


def _is_name(topic: str) -> bool:
    return bool(topic) and not set("+#\0") & set(topic)
