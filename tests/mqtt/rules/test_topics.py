import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.mqtt.topics import Topics, base_topic, covers, is_filter, minimal_filters, topics_of
from tests.mqtt.rules.filters import FILTERS, TOPICS, matched, matches
from tests.rules.levels import NAMES, slugs_of

IDS = st.text("0123456789abcdef", min_size=32, max_size=32)
PLACES = st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=8)


def names_of(topics: Topics) -> list[str]:
    return [topics.data, topics.config, topics.state, topics.status]


@given(PLACES, IDS)
def test_every_topic_is_a_valid_topic_name(places: list[tuple[str, str, str]], id: str) -> None:
    """MQTT 3.1.1, section 4.7 for topics and section 1.5.3 for strings."""
    owners = slugs_of((owner for owner, _, _ in places), "owner").values()
    rooms = slugs_of((place for _, place, _ in places), "place").values()
    types = slugs_of((measurement for _, _, measurement in places), "type").values()
    for levels in zip(owners, rooms, types, strict=False):
        topics = topics_of(base_topic(*levels, id))
        assert topics.data.split("/") == [*levels, id]
        for name in names_of(topics):
            assert 0 < len(name.encode()) <= 200
            assert not name.startswith("$")
            assert not any(c in "+#" or ord(c) < 32 or c.isspace() for c in name)
            assert "" not in name.split("/")


@given(PLACES, st.lists(IDS, min_size=8, max_size=8, unique=True))
def test_topics_are_unique_per_device_and_first_level_per_owner(
    places: list[tuple[str, str, str]], ids: list[str]
) -> None:
    owners = list(slugs_of((owner for owner, _, _ in places), "owner").values())
    topics = [
        topics_of(base_topic(owner, "hall", "temperature", id))
        for owner in owners
        for id in ids[:2]
    ]
    names = [name for each in topics for name in names_of(each)]
    assert len(set(names)) == len(names) == 8 * len(owners)
    assert len({name.split("/")[0] for name in names}) == len(owners)


def test_topics_of_base_topic() -> None:
    topics = topics_of("acme/paris/temperature/1")
    assert tuple(topics) == (
        "acme/paris/temperature/1",
        "acme/paris/temperature/1/config",
        "acme/paris/temperature/1/state",
        "acme/paris/temperature/1/status",
        (),
    )


def test_length_of_longest_topic() -> None:
    base = base_topic("a" * 32, "b" * 32, "c" * 32, "f" * 32)
    assert len(base) == 131
    assert max(map(len, names_of(topics_of(base)))) == 138


def test_filter_covers_exactly_the_topics_that_it_matches() -> None:
    for filter in FILTERS:
        for topic in TOPICS:
            assert covers(filter, topic) == matches(filter, topic), (filter, topic)


# These filters match the same topics only because no topic is empty. `covers` returns False for
# them, so that no two filters cover each other. No account has such rights.
SAME = {("+/#", "#"), ("/+/#", "/#"), ("+/+/#", "/#")}


def test_filter_covers_exactly_the_filters_that_match_a_subset() -> None:
    every = {filter: matched(filter) for filter in FILTERS}
    for wide, matched_by_wide in every.items():
        for narrow, matched_by_narrow in every.items():
            expected = matched_by_narrow <= matched_by_wide and (wide, narrow) not in SAME
            assert covers(wide, narrow) == expected, (wide, narrow)


def test_no_two_filters_cover_each_other() -> None:
    """`minimal_filters` depends on this: it must not drop both filters of a pair."""
    for one in FILTERS:
        assert [other for other in FILTERS if covers(one, other) and covers(other, one)] == [one]


FILTER_SHAPE = re.compile(r"#|([^+#/\0]*|\+)(/([^+#/\0]*|\+))*(/#)?", re.DOTALL)


@given(st.text("ab/+#\0\n$", max_size=8))
def test_is_filter_agrees_with_grammar(text: str) -> None:
    assert is_filter(text) == (text != "" and FILTER_SHAPE.fullmatch(text) is not None)


def test_is_filter_accepts_filters_and_topics() -> None:
    assert all(map(is_filter, FILTERS))
    assert all(map(is_filter, TOPICS))


@given(st.lists(st.sampled_from(FILTERS), max_size=8), st.randoms())
def test_minimal_filters_match_the_same_topics(filters: list[str], random: Random) -> None:
    minimal = minimal_filters(filters)
    assert {topic for filter in minimal for topic in matched(filter)} == {
        topic for filter in filters for topic in matched(filter)
    }
    assert set(minimal) <= set(filters)
    assert not any(covers(one, other) for one in minimal for other in minimal if one != other)
    random.shuffle(filters)
    assert minimal_filters(filters) == minimal
