"""Finds the subscribers of a topic."""

from collections.abc import Iterator
from typing import cast

from paho.mqtt.matcher import MQTTMatcher


class SubscriptionTree:
    """Subscriptions in a prefix tree, so that a message is not compared with each filter.

    amqtt itself compares each message with each filter.
    """

    def __init__(self) -> None:
        self._tree = MQTTMatcher()  # type: ignore[no-untyped-call]

    def add(self, filter: str, client_id: str, qos: int) -> None:
        subscribers = self._subscribers(filter)
        if subscribers is None:
            self._tree[filter] = {client_id: qos}
        else:
            subscribers[client_id] = qos

    def remove(self, filter: str, client_id: str) -> None:
        subscribers = self._subscribers(filter) or {}
        subscribers.pop(client_id, None)
        if not subscribers and self._subscribers(filter) is not None:
            del self._tree[filter]  # type: ignore[no-untyped-call]

    def matching(self, topic: str) -> dict[str, int]:
        """Return the client ids, each with the highest QoS of its matching filters."""
        found: dict[str, int] = {}
        nodes: Iterator[dict[str, int]] = self._tree.iter_match(topic)  # type: ignore[no-untyped-call]
        for subscribers in nodes:
            for client_id, qos in subscribers.items():
                found[client_id] = max(qos, found.get(client_id, 0))
        return found

    def _subscribers(self, filter: str) -> dict[str, int] | None:
        try:
            return cast("dict[str, int]", self._tree[filter])
        except KeyError:
            return None
