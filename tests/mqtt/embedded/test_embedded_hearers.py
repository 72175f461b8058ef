from hypothesis import given
from hypothesis import strategies as st

from domain.mqtt.topics import covers, is_filter
from mqtt.embedded.subscription_tree import SubscriptionTree

levels = st.lists(st.sampled_from(["", "a", "b", "$c", "+", "#"]), min_size=1, max_size=4)
filters = levels.map("/".join).filter(is_filter)
topics = filters.filter(lambda topic: not set("+#") & set(topic))
subscriptions = st.dictionaries(st.tuples(filters, st.sampled_from("xyz")), st.integers(0, 2))


@given(subscriptions, subscriptions, topics)
def test_hears_what_its_filters_match(
    had: dict[tuple[str, str], int], has: dict[tuple[str, str], int], topic: str
) -> None:
    subscribers = SubscriptionTree()
    for (filter, client_id), qos in (had | has).items():
        subscribers.add(filter, client_id, qos)
    for filter, client_id in had.keys() - has.keys():
        subscribers.remove(filter, client_id)
    expected: dict[str, int] = {}
    for (filter, client_id), qos in has.items():
        if covers(filter, topic):
            expected[client_id] = max(qos, expected.get(client_id, 0))
    assert subscribers.of(topic) == expected


@given(subscriptions)
def test_keeps_nothing_of_who_is_gone(had: dict[tuple[str, str], int]) -> None:
    subscribers = SubscriptionTree()
    for (filter, client_id), qos in had.items():
        subscribers.add(filter, client_id, qos)
    for filter, client_id in had:
        subscribers.remove(filter, client_id)
        subscribers.remove(filter, client_id)
    assert not subscribers._tree._root._children
