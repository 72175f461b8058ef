"""Which events and facts a caller may see."""

import pytest

from domain.access.actors import shown_actor
from domain.access.caller import Caller
from domain.access.tokens import TokenKind
from domain.events.kinds import EventKind
from domain.events.visibility import (
    SUBJECTS,
    Subject,
    is_of_fleet,
    kinds_for,
    shown_facts,
)

ADMIN, VIEWER = Caller(TokenKind.ADMIN, 1), Caller(TokenKind.VIEWER, 2)
ACME_ADMIN, ACME_VIEWER = ADMIN._replace(owner_id=7), VIEWER._replace(owner_id=7)


def test_table_has_every_kind_of_event() -> None:
    assert SUBJECTS.keys() == set(EventKind)


@pytest.mark.parametrize("kind", EventKind)
def test_kinds_of_administration_are_for_administrators(kind: EventKind) -> None:
    about = SUBJECTS[kind]
    assert is_of_fleet(kind, None) is (about is Subject.FLEET)
    assert is_of_fleet(kind, "a" * 32) is (about is not Subject.ADMINISTRATION)
    assert kind in kinds_for(ADMIN)
    assert (kind in kinds_for(VIEWER)) is (about is not Subject.ADMINISTRATION)


def test_unknown_kind_is_not_of_the_fleet() -> None:
    assert not is_of_fleet("of_a_later_version", "a" * 32)


@pytest.mark.parametrize(
    ("actor", "shown"),
    [
        ("admin:3", "admin"),
        ("viewer:4", "viewer"),
        ("enrol:5", "enrol"),
        ("telegram:4242", "telegram"),
        ("telegram:-100777/4242", "telegram"),
        ("device:abc", "device:abc"),
        ("system", "system"),
        ("command line", "command line"),
        ("anonymous", "anonymous"),
    ],
)
def test_actor_is_complete_only_for_administrators(actor: str, shown: str) -> None:
    assert shown_actor(actor, ADMIN) == shown_actor(actor, ACME_ADMIN) == actor
    for kind in set(TokenKind) - {TokenKind.ADMIN}:
        assert shown_actor(actor, Caller(kind, 1)) == shown
    assert shown_actor(actor, ADMIN, former_owner=True) == actor
    assert shown_actor(actor, ACME_ADMIN, former_owner=True) == shown


FACTS = {
    "owner": "Globex",
    "place": "Oslo",
    "measurementType": "co2",
    "latitude": 59.9,
    "longitude": 10.7,
    "topic": "globex/oslo/co2/1",
    "topics": ["globex/oslo/co2/1"],
    "listen": ["globex/+/co2/+"],
    "filter": "globex/+/co2/+",
    "firmware": "2",
}


@pytest.mark.parametrize("caller", [ACME_ADMIN, ACME_VIEWER])
def test_facts_of_another_owner_are_hidden(caller: Caller) -> None:
    assert shown_facts(FACTS, caller, "Acme", "acme", before=True) == {"firmware": "2"}
    assert shown_facts(FACTS, caller, "Globex", "globex", before=True) == FACTS
    topics = {name: FACTS[name] for name in ("topic", "topics", "listen", "filter")}
    hidden = shown_facts(topics, caller, "Acme", "acme", before=True)
    assert hidden == {"topics": [], "listen": []}
    assert shown_facts(None, caller, "Acme", "acme", before=True) is None


def test_slug_that_begins_with_another_slug_is_another_owner() -> None:
    facts = {"listen": ["acme-2/+/+/+", "acme/+/+/+"]}
    shown = shown_facts(facts, ACME_VIEWER, "Acme", "acme", before=False)
    assert shown == {"listen": ["acme/+/+/+"]}


@pytest.mark.parametrize("caller", [ADMIN, VIEWER])
def test_callers_of_all_owners_see_the_facts_of_both(caller: Caller) -> None:
    assert shown_facts(FACTS, caller, "Acme", "acme", before=True) == FACTS


def test_actor_in_facts_is_shown_as_the_actor() -> None:
    facts = {"updatedBy": "telegram:4242"}
    hidden = {"updatedBy": "telegram"}
    assert shown_facts(facts, VIEWER, None, None, before=False) == hidden
    assert shown_facts(facts, ADMIN, None, None, before=True) == facts
    assert shown_facts(facts, ACME_ADMIN, "Acme", "acme", before=False) == facts
    assert shown_facts(facts, ACME_ADMIN, "Acme", "acme", before=True) == hidden
