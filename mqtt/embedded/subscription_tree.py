"""Who is subscribed to what."""

from collections.abc import Iterator
from typing import cast

from paho.mqtt.matcher import MQTTMatcher


class SubscriptionTree:
    """Filters in a tree: a message costs nothing for who is subscribed to something else.

    amqtt compares each message with each filter there is.
    """

    def __init__(self) -> None:
        self._tree = MQTTMatcher()  # type: ignore[no-untyped-call]

    def add(self, filter: str, client_id: str, qos: int) -> None:
        subscribers = self._of_filter(filter)
        if subscribers is None:
            self._tree[filter] = {client_id: qos}
        else:
            subscribers[client_id] = qos

    def remove(self, filter: str, client_id: str) -> None:
        subscribers = self._of_filter(filter) or {}
        subscribers.pop(client_id, None)
        if not subscribers and self._of_filter(filter) is not None:
            del self._tree[filter]  # type: ignore[no-untyped-call]

    def of(self, topic: str) -> dict[str, int]:
        """Client ids, each with the highest QoS that one of its filters has."""
        heard: dict[str, int] = {}
        matching: Iterator[dict[str, int]] = self._tree.iter_match(topic)  # type: ignore[no-untyped-call]
        for subscribers in matching:
            for client_id, qos in subscribers.items():
                heard[client_id] = max(qos, heard.get(client_id, 0))
        return heard

    def _of_filter(self, filter: str) -> dict[str, int] | None:
        try:
            return cast("dict[str, int]", self._tree[filter])
        except KeyError:
            return None
