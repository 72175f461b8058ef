"""Which part of an actor's name a caller may see."""

from domain.access.caller import Caller
from domain.access.permissions import Action

SEPARATOR = ":"
DEVICE = "device"


def sees_actors(caller: Caller, *, former_owner: bool = False) -> bool:
    """Return whether the caller may see which token or chat an actor is.

    `former_owner`: the action may be from before a move, by a person of another owner. Then
    administrators of one owner may not.
    """
    return caller.may(Action.READ_ADMINISTRATION) and not (former_owner and caller.owner_id)


def shown_actor(actor: str, caller: Caller, *, former_owner: bool = False) -> str:
    """Return an actor as the caller may see it: complete, or only its role, as `telegram`.

    Devices are always shown: their ids are no secrets. `former_owner`: as in `sees_actors`.
    """
    role, _, _ = actor.partition(SEPARATOR)
    return actor if role == DEVICE or sees_actors(caller, former_owner=former_owner) else role
