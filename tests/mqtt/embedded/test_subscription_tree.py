from hypothesis import given
from hypothesis import strategies as st

from domain.mqtt.topics import covers, is_filter
from mqtt.embedded.subscription_tree import SubscriptionTree

levels = st.lists(st.sampled_from(["", "a", "b", "$c", "+", "#"]), min_size=1, max_size=4)
filters = levels.map("/".join).filter(is_filter)
topics = filters.filter(lambda topic: not set("+#") & set(topic))
subscriptions = st.dictionaries(st.tuples(filters, st.sampled_from("xyz")), st.integers(0, 2))


@given(subscriptions, subscriptions, topics)
def test_matching_returns_highest_qos_per_subscriber(
    before: dict[tuple[str, str], int], after: dict[tuple[str, str], int], topic: str
) -> None:
    subscribers = SubscriptionTree()
    for (filter, client_id), qos in (before | after).items():
        subscribers.add(filter, client_id, qos)
    for filter, client_id in before.keys() - after.keys():
        subscribers.remove(filter, client_id)
    expected: dict[str, int] = {}
    for (filter, client_id), qos in after.items():
        if covers(filter, topic):
            expected[client_id] = max(qos, expected.get(client_id, 0))
    assert subscribers.matching(topic) == expected


@given(subscriptions)
def test_removed_subscriptions_leave_no_nodes(before: dict[tuple[str, str], int]) -> None:
    subscribers = SubscriptionTree()
    for (filter, client_id), qos in before.items():
        subscribers.add(filter, client_id, qos)
    for filter, client_id in before:
        subscribers.remove(filter, client_id)
        subscribers.remove(filter, client_id)
    assert not subscribers._tree._root._children
