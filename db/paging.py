"""Pages of a list in a stable order, and their cursors."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from domain.errors import InputError
from domain.inputs import Page

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Slice(Generic[Row]):
    """One page of rows, with the cursor of each."""

    rows: Sequence[Row]
    cursors: Sequence[str]
    has_next: bool
    has_previous: bool

    @classmethod
    def of(cls, found: Sequence[Row], page: Page, cursor_of: Callable[[Row], str]) -> Self:
        """`found`: the rows of the page, and one more row if there is a next page."""
        rows = found[: page.first]
        cursors = [cursor_of(row) for row in rows]
        return cls(rows, cursors, len(found) > page.first, page.after is not None)


def cursor(kind: str, number: int) -> str:
    return urlsafe_b64encode(f"{kind}:{number}".encode()).decode()


def position(kind: str, cursor: str) -> int:
    """Return the number in a cursor. Raises InputError if it is not a cursor of this kind."""
    try:
        found, _, number = urlsafe_b64decode(cursor.encode()).decode().partition(":")
        if found == kind and 0 <= int(number) < 2**63:
            return int(number)
    except ValueError:
        pass
    raise InputError.at("after", "Not a cursor of this list: pass on an endCursor as it came.")


def number_of(id: str, max_id: int = 2**63 - 1) -> int:
    """Return the row number in an id. Returns 0, which no row has, if the id is invalid."""
    digits = id.isascii() and id.isdigit() and len(id) <= len(str(max_id))
    return int(id) if digits and int(id) <= max_id else 0
