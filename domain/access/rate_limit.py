"""Rate limit of registrations."""

from domain.access.caller import Caller
from domain.access.token_bucket import TokenBucket
from domain.access.tokens import TokenKind

NEVER_LIMITED = frozenset({TokenKind.DEVICE, TokenKind.ADMIN})


class RegistrationRateLimiter:
    """Limits registrations per minute, for each client address and each enrolment key."""

    def __init__(self, per_address: int, per_key: int) -> None:
        self._by_address = TokenBucket(per_address, "registrations from this address")
        self._by_key = TokenBucket(per_key, "registrations with this enrolment key")

    def check(self, caller: Caller) -> None:
        """Raises RateLimited if a limit is exceeded. Device and admin tokens are never limited."""
        if caller.kind in NEVER_LIMITED:
            return
        if caller.address is not None:
            self._by_address.take(caller.address)
        if caller.token_id is not None:
            self._by_key.take(caller.token_id)
