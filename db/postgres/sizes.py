"""How many connections to the database one process uses, and for what."""

from dataclasses import dataclass

from db.postgres.permanent import DatabaseUnusable


@dataclass(frozen=True, slots=True)
class Sizes:
    """The maximum number of connections for each use.

    `requests` and `background` are pools for transactions. `reads` and `pages` serve lookups and
    lists. `commits` is for each kind of batched writes. `dedicated` is for the watch and locks.
    """

    requests: int = 16
    background: int = 4
    reads: int = 2
    pages: int = 8
    commits: int = 2
    dedicated: int = 3

    @property
    def total(self) -> int:
        pools = self.requests + self.background
        return pools + self.reads + self.pages + COMMIT_KINDS * self.commits + self.dedicated


# Kinds of batched writes.
COMMIT_KINDS = 6
FULL = Sizes()
LEAST = Sizes(requests=3, background=2, reads=1, pages=1, commits=1)


def sizes_for(connections: int) -> Sizes:
    """Divide `connections` among the uses. Raises DatabaseUnusable below `LEAST.total`."""
    if connections < LEAST.total:
        raise DatabaseUnusable(
            f"ROLLCALL_DATABASE_CONNECTIONS leaves {connections} connections for each process, and "
            f"each needs {LEAST.total}: raise it, or run fewer processes (ROLLCALL_WORKERS)."
        )
    share = min(1.0, (connections - LEAST.total) / (FULL.total - LEAST.total))
    shared = Sizes(
        LEAST.requests,
        _between(LEAST.background, FULL.background, share),
        _between(LEAST.reads, FULL.reads, share),
        _between(LEAST.pages, FULL.pages, share),
        _between(LEAST.commits, FULL.commits, share),
    )
    requests = LEAST.requests + connections - shared.total
    return Sizes(
        requests, shared.background, shared.reads, shared.pages, shared.commits, shared.dedicated
    )


def _between(minimum: int, maximum: int, share: float) -> int:
    return minimum + int((maximum - minimum) * share)
