import pytest

from domain.access.caller import ANONYMOUS, Caller, Scope, system
from domain.access.permissions import PERMISSIONS, Action
from domain.access.tokens import TokenKind
from domain.errors import Forbidden, Unauthenticated

# Columns of TABLE.
ACTIONS = [
    Action.READ_SELF,
    Action.READ_DEVICE,
    Action.READ_FLEET,
    Action.READ_ADMINISTRATION,
    Action.REGISTER,
    Action.ACKNOWLEDGE,
    Action.ROTATE_TOKEN,
    Action.CHANGE_DEVICE,
    Action.MANAGE_TOKENS,
    Action.MANAGE_RECIPIENTS,
]
TABLE = {
    TokenKind.ADMIN: "yes yes yes yes yes no  yes yes yes yes",
    TokenKind.VIEWER: "yes yes yes no  no  no  no  no  no  no ",
    TokenKind.ENROL: "no  no  no  no  yes no  no  no  no  no ",
    TokenKind.DEVICE: "yes yes no  no  yes yes yes no  no  no ",
}
CELLS = [
    (kind, action, answer == "yes")
    for kind, answers in TABLE.items()
    for action, answer in zip(ACTIONS, answers.split(), strict=True)
]


def is_allowed(caller: Caller, action: Action) -> bool:
    try:
        caller.require(action)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize(("kind", "action", "allowed"), CELLS)
def test_token_kind_is_allowed_its_actions(
    kind: TokenKind, action: Action, *, allowed: bool
) -> None:
    assert is_allowed(Caller(kind, 1), action) is allowed


def test_table_covers_every_token_kind_and_action() -> None:
    assert set(TABLE) == set(PERMISSIONS) == set(TokenKind)
    assert set(ACTIONS) == set(Action)


@pytest.mark.parametrize("action", Action)
def test_anonymous_caller_is_unauthenticated_for_every_action(action: Action) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer"):
        ANONYMOUS.require(action)


@pytest.mark.parametrize("action", Action)
def test_pending_device_may_only_register(action: Action) -> None:
    pending = Caller(TokenKind.DEVICE, 1, device_id="f" * 32, waiting=True)
    assert is_allowed(pending, action) is (action is Action.REGISTER)


@pytest.mark.parametrize("action", Action)
def test_system_caller_has_admin_rights(action: Action) -> None:
    assert is_allowed(system("system"), action) is is_allowed(Caller(TokenKind.ADMIN, 1), action)


def test_scope_follows_owner_or_device_of_token() -> None:
    assert Caller(TokenKind.ADMIN, 1).scope == Scope()
    assert Caller(TokenKind.VIEWER, 1, owner_id=7).scope == Scope(owner_id=7)
    assert Caller(TokenKind.DEVICE, 1, device_id="a").scope == Scope(device_id="a")


def test_actor_names_in_event_log() -> None:
    assert Caller(TokenKind.ADMIN, 12).actor == "admin:12"
    assert Caller(TokenKind.DEVICE, 12, device_id="a").actor == "device:a"
    assert system("command line").actor == "command line"
    assert ANONYMOUS.actor == "anonymous"
