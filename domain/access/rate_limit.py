"""Who may register now: devices that are known always, others up to a rate."""

from domain.access.caller import Caller
from domain.access.token_bucket import TokenBucket
from domain.access.tokens import TokenKind

NEVER_LIMITED = frozenset({TokenKind.DEVICE, TokenKind.ADMIN})


class RegistrationRateLimiter:
    """So many registrations a minute from one address and with one enrolment key."""

    def __init__(self, per_address: int, per_key: int) -> None:
        self._of_address = TokenBucket(per_address, "registrations from this address")
        self._of_key = TokenBucket(per_key, "registrations with this enrolment key")

    def check(self, caller: Caller) -> None:
        """Raises RateLimited. A fleet that boots with its own tokens is never held up."""
        if caller.kind in NEVER_LIMITED:
            return
        if caller.address is not None:
            self._of_address.take(caller.address)
        if caller.token_id is not None:
            self._of_key.take(caller.token_id)
