import pytest

from domain.access.caller import ALLOWED, ANONYMOUS, Action, Caller, Scope, system
from domain.access.tokens import TokenKind
from domain.errors import Forbidden, Unauthenticated

# One line for each kind, in the order of the actions: what is not spelled out is not allowed.
ACTIONS = [
    Action.READ_SELF,
    Action.READ_DEVICE,
    Action.READ_FLEET,
    Action.REGISTER,
    Action.ACKNOWLEDGE,
    Action.ROTATE_TOKEN,
    Action.CHANGE_DEVICE,
    Action.MANAGE_TOKENS,
    Action.MANAGE_RECIPIENTS,
]
TABLE = {
    TokenKind.ADMIN: "yes yes yes yes no  yes yes yes yes",
    TokenKind.VIEWER: "yes yes yes no  no  no  no  no  no ",
    TokenKind.ENROL: "no  no  no  yes no  no  no  no  no ",
    TokenKind.DEVICE: "yes yes no  yes yes yes no  no  no ",
}
CELLS = [
    (kind, action, answer == "yes")
    for kind, answers in TABLE.items()
    for action, answer in zip(ACTIONS, answers.split(), strict=True)
]


def may(caller: Caller, action: Action) -> bool:
    try:
        caller.require(action)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize(("kind", "action", "allowed"), CELLS)
def test_what_each_kind_of_token_may_do(kind: TokenKind, action: Action, *, allowed: bool) -> None:
    assert may(Caller(kind, 1), action) is allowed


def test_the_table_has_every_kind_and_every_action() -> None:
    assert set(TABLE) == set(ALLOWED) == set(TokenKind)
    assert set(ACTIONS) == set(Action)


@pytest.mark.parametrize("action", Action)
def test_nobody_may_do_nothing(action: Action) -> None:
    with pytest.raises(Unauthenticated, match="Authorization: Bearer"):
        ANONYMOUS.require(action)


@pytest.mark.parametrize("action", Action)
def test_a_waiting_device_may_only_ask_again(action: Action) -> None:
    waiting = Caller(TokenKind.DEVICE, 1, device_id="f" * 32, waiting=True)
    assert may(waiting, action) is (action is Action.REGISTER)


@pytest.mark.parametrize("action", Action)
def test_the_server_may_do_what_an_administrator_may(action: Action) -> None:
    assert may(system("system"), action) is may(Caller(TokenKind.ADMIN, 1), action)


def test_a_token_sees_what_it_is_confined_to() -> None:
    assert Caller(TokenKind.ADMIN, 1).scope == Scope()
    assert Caller(TokenKind.VIEWER, 1, owner_id=7).scope == Scope(owner_id=7)
    assert Caller(TokenKind.DEVICE, 1, device_id="a").scope == Scope(device_id="a")


def test_how_the_audit_log_calls_a_caller() -> None:
    assert Caller(TokenKind.ADMIN, 12).actor == "admin:12"
    assert Caller(TokenKind.DEVICE, 12, device_id="a").actor == "device:a"
    assert system("command line").actor == "command line"
    assert ANONYMOUS.actor == "anonymous"
