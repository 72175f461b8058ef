from typing import Annotated, Any

import strawberry

from db.paging import Slice

First = Annotated[int, strawberry.argument(description="How many at most, 1 to 500.")]
After = Annotated[
    str | None, strawberry.argument(description="The `endCursor` of the page before.")
]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="More follows after `endCursor`.")
    has_previous_page: bool = strawberry.field(description="Something comes before this page.")
    start_cursor: str | None = strawberry.field(description="Cursor of the first; null if none.")
    end_cursor: str | None = strawberry.field(
        description="Cursor of the last, for `after`; null if none."
    )

    @classmethod
    def of(cls, page: Slice[Any]) -> "PageInfo":
        return cls(
            has_next_page=page.has_next,
            has_previous_page=page.has_previous,
            start_cursor=page.cursors[0] if page.cursors else None,
            end_cursor=page.cursors[-1] if page.cursors else None,
        )
