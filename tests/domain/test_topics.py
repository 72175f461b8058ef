from dataclasses import astuple

from hypothesis import given
from hypothesis import strategies as st

from domain.topics import Topics, base_topic, topics_of
from tests.domain.levels import NAMES, slugs_of

IDS = st.text("0123456789abcdef", min_size=32, max_size=32)
PLACES = st.lists(st.tuples(NAMES, NAMES, NAMES), min_size=1, max_size=8)


def names_of(topics: Topics) -> list[str]:
    return [topics.data, topics.config, topics.state, topics.status]


@given(PLACES, IDS)
def test_every_topic_is_a_valid_topic_name(places: list[tuple[str, str, str]], id: str) -> None:
    """MQTT 3.1.1, section 4.7, and section 1.5.3 for what a string may hold."""
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
def test_devices_share_no_topic_and_owners_no_tree(
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


def test_the_leaves() -> None:
    topics = topics_of("acme/paris/temperature/1")
    assert astuple(topics) == (
        "acme/paris/temperature/1",
        "acme/paris/temperature/1/config",
        "acme/paris/temperature/1/state",
        "acme/paris/temperature/1/status",
        (),
    )


def test_the_longest_topic() -> None:
    base = base_topic("a" * 32, "b" * 32, "c" * 32, "f" * 32)
    assert len(base) == 131
    assert max(map(len, names_of(topics_of(base)))) == 138
