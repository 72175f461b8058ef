from hypothesis import given
from hypothesis import strategies as st

from domain.mqtt.rights import SERVER_RIGHTS, Rights, admin_rights, device_rights
from domain.mqtt.topics import topics_of
from tests.mqtt.rules.filters import FILTERS, TOPICS, matched, matches

SOME_FILTERS = st.lists(st.sampled_from(FILTERS), max_size=3).map(tuple)
BASE = "acme/paris/temperature/1"


@given(SOME_FILTERS)
def test_may_receive_if_a_filter_matches(read: tuple[str, ...]) -> None:
    rights = Rights(read=read)
    for topic in TOPICS:
        assert rights.may_receive(topic) == any(matches(filter, topic) for filter in read)
        assert not rights.may_publish(topic)


@given(SOME_FILTERS)
def test_may_publish_if_a_filter_matches(publish: tuple[str, ...]) -> None:
    rights = Rights(publish=publish)
    for topic in TOPICS:
        assert rights.may_publish(topic) == any(matches(filter, topic) for filter in publish)
        assert not rights.may_receive(topic)
        assert not rights.may_subscribe(topic)


@given(SOME_FILTERS)
def test_may_subscribe_only_to_receivable_topics(read: tuple[str, ...]) -> None:
    rights = Rights(read=read)
    receives = {topic for topic in TOPICS if rights.may_receive(topic)}
    for filter in FILTERS:
        assert not rights.may_subscribe(filter) or matched(filter) <= receives
    assert all(rights.may_subscribe(filter) for filter in read)


def test_invalid_topics_and_filters_are_denied() -> None:
    all_rights = Rights(publish=("#", "+/+"), read=("#", "$SYS/#"))
    assert not any(map(all_rights.may_publish, ("", "#", "+", "a/+", "a/#", "a+", "a#", "a\0")))
    assert not any(map(all_rights.may_subscribe, ("", "a+", "a/#/b", "#/a", "a\0", "a#")))


def test_device_rights() -> None:
    rights = device_rights([BASE], ["acme/rome/+/+"])
    topics = topics_of(BASE)
    assert all(map(rights.may_publish, (topics.data, topics.state, topics.status)))
    assert not any(
        map(
            rights.may_publish,
            (topics.config, f"{BASE}/more", f"{BASE}x", "acme/rome/temperature/2", "acme", ""),
        )
    )
    assert all(map(rights.may_subscribe, (topics.config, "acme/rome/+/+", "acme/rome/humidity/+")))
    assert not any(
        map(
            rights.may_subscribe,
            (
                "#",
                "acme/#",
                "+/+/+/+",
                "acme/rome/#",
                "acme/rome/+/+/config",
                topics.data,
                "$SYS/#",
            ),
        )
    )
    assert rights.may_receive("acme/rome/temperature/2")
    assert not rights.may_receive("acme/rome/temperature/2/config")
    assert not rights.may_receive(topics.data)


def test_moving_device_may_use_its_former_topics() -> None:
    rights = device_rights([BASE, "acme/rome/temperature/1"], [])
    for base in (BASE, "acme/rome/temperature/1"):
        assert rights.may_publish(base)
        assert rights.may_subscribe(f"{base}/config")


def test_admin_may_read_and_server_may_read_and_publish() -> None:
    assert admin_rights(None).may_subscribe("#")
    assert admin_rights(None).may_subscribe("$SYS/broker/clients/+")
    confined = admin_rights("acme")
    assert confined.may_subscribe("acme/#")
    assert not any(map(confined.may_subscribe, ("#", "acme2/#", "+/#", "$SYS/#")))
    for rights in (admin_rights(None), confined):
        assert not rights.may_publish(BASE)
    assert SERVER_RIGHTS.may_publish(f"{BASE}/config")
    assert SERVER_RIGHTS.may_subscribe("+/+/+/+/state")
    assert not SERVER_RIGHTS.may_publish("$SYS/broker/uptime")


def test_device_may_only_read_its_config_in_topics_of_former_owner() -> None:
    old = "globex/rome/temperature/1"
    rights = device_rights([BASE, old], [])
    assert rights.may_subscribe(f"{old}/config")
    assert not any(rights.may_publish(old + leaf) for leaf in ("", "/state", "/status", "/config"))
