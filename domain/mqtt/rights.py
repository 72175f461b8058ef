"""Rights of MQTT clients, the same for all supported brokers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.mqtt.topics import covers, is_filter, same_owner, topics_of

ADMIN_USER = "admin"


@dataclass(frozen=True, slots=True)
class Rights:
    """`publish`: topic names or filters to publish to. `read`: filters of messages to receive."""

    publish: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

    def may_publish(self, topic: str) -> bool:
        return _is_topic_name(topic) and any(covers(allowed, topic) for allowed in self.publish)

    def may_subscribe(self, filter: str) -> bool:
        """Return whether the client may receive every message that the filter matches.

        Other filters are denied, rather than granted with messages missing.
        """
        return is_filter(filter) and any(covers(allowed, filter) for allowed in self.read)

    def may_receive(self, topic: str) -> bool:
        return any(covers(allowed, topic) for allowed in self.read)


def device_rights(bases: Sequence[str], listen: Iterable[str]) -> Rights:
    """Return the rights of a device, on its base topics and the filters of its links.

    `bases`: the current base topic first, then the former ones during a move. On topics of a former
    owner, the device may only read its config, which has its new base topic.
    """
    topics = [topics_of(base) for base in bases]
    same = [each for each in topics if same_owner(each.data, bases[0])]
    return Rights(
        publish=tuple(name for t in same for name in (t.data, t.state, t.status)),
        read=(*(t.config for t in topics), *listen),
    )


def admin_rights(owner: str | None) -> Rights:
    """Return the rights to read all topics, or those of one owner. Nothing may be published."""
    return Rights(read=("#", "$SYS/#") if owner is None else (f"{owner}/#",))


SERVER_RIGHTS = Rights(publish=("#",), read=("#", "$SYS/#"))


def _is_topic_name(topic: str) -> bool:
    return bool(topic) and not set("+#\0") & set(topic)
