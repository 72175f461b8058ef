"""Row counts at a bounded cost: exact up to a limit, above that an estimate."""

import json
from typing import Any

from sqlalchemy import Executable, Select, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement

# Rows.
EXACT_UP_TO = 10_000


async def count(session: AsyncSession, statement: Select[Any]) -> tuple[int, bool]:
    """Return the number of rows, and True if it is exact.

    Above `EXACT_UP_TO` rows it is the estimate of PostgreSQL's planner.
    """
    ids = statement.with_only_columns(literal(1), maintain_column_froms=True).order_by(None)
    limited = ids.limit(EXACT_UP_TO + 1).subquery()
    counted = (await session.execute(select(func.count()).select_from(limited))).scalar_one()
    if counted <= EXACT_UP_TO:
        return counted, True
    plan = (await session.execute(_Explain(ids))).scalar_one()
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return max(counted, int(plan[0]["Plan"]["Plan Rows"])), False


class _Explain(Executable, ClauseElement):
    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(_Explain)
def _explain(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"
