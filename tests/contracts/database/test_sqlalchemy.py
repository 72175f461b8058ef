"""Undocumented behaviour of SQLAlchemy that `db/` and `server/observability/` rely on."""

import json
from typing import Any, cast

import pytest
from sqlalchemy import (
    Integer,
    QueuePool,
    Text,
    bindparam,
    event,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.sql.compiler import SQLCompiler

from db.counting import _Explain
from db.postgres.connect import Driver
from db.postgres.database import Database
from db.postgres.transient import is_transient, state_of


async def test_positiontup_is_order_of_parameters(database: Database) -> None:
    """`reads/device_pages` relies on it: `$1` is the first name in `positiontup`."""
    number, word = bindparam("number", type_=Integer), bindparam("word", type_=Text)
    statement = (
        select(word.label("a"), number.label("b"), word.label("c"))
        .where(number > literal_column("1"))
        .limit(bindparam("limit", type_=Integer))
    )
    compiled = statement.compile(
        dialect=PGDialect_asyncpg(),  # type: ignore[no-untyped-call]
        compile_kwargs={"render_postcompile": True},
    )
    assert isinstance(compiled, SQLCompiler)
    names = compiled.positiontup
    assert names is not None
    assert sorted(names) == ["limit", "number", "word"]
    assert all(f"${position}" in str(compiled) for position in range(1, 4))
    assert "$4" not in str(compiled)
    values = {"number": 5, "word": "x", "limit": 1}
    driver = await database.connection()
    rows = await driver.fetch(str(compiled), *[values[name] for name in names])
    driver.terminate()
    assert [*map(tuple, rows)] == [("x", 5, "x")]


def test_statement_without_parameters_has_empty_positiontup() -> None:
    """`reads/device_pages` accepts an empty `positiontup` or None."""
    compiled: Any = select(text("1")).compile(dialect=PGDialect_asyncpg())  # type: ignore[no-untyped-call]
    assert (compiled.positiontup or ()) in ((), [])


@pytest.fixture
def engine(database: Database) -> AsyncEngine:
    return database.engine


async def test_checkout_event_can_replace_closed_connection(
    database: Database, engine: AsyncEngine
) -> None:
    """`live` finds the driver connection and replaces a closed one."""
    seen: list[Any] = []

    def checked_out(connection: Any, *_: object) -> None:
        seen.append(connection.driver_connection)
        if seen[-1].is_closed():
            raise DisconnectionError

    event.listen(engine.sync_engine, "checkout", checked_out)
    for _ in range(2):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        assert isinstance(seen[-1], Driver)
        seen[-1].drop()
    assert len({*map(id, seen)}) == 2
    assert [driver.is_closed() for driver in seen] == [True] * len(seen)
    assert database.live.count == 0


async def test_pool_counts_connections(engine: AsyncEngine) -> None:
    """`database_gauges` reads these numbers."""
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    assert (pool.checkedout(), pool.checkedin()) == (0, 0)
    async with engine.connect():
        assert pool.checkedout() == 1
    assert (pool.checkedout(), pool.checkedin()) == (0, 1)


async def test_full_pool_raises_timeout(database: Database) -> None:
    """`Database.begin` recognizes the error by its class."""
    one = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: cast("Any", database.connection()),
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.01,
    )
    async with one.connect():
        with pytest.raises(PoolTimeout):
            await one.connect().start()
    await one.dispose()


async def test_dbapi_error_wraps_driver_error(engine: AsyncEngine) -> None:
    """`transient` reads the SQLSTATE from the wrapped error."""
    with pytest.raises(DBAPIError) as error_info:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1 / :none"), {"none": 0})
    assert state_of(cast("BaseException", error_info.value.orig)) == "22012"
    assert not error_info.value.connection_invalidated
    assert "parameters" in str(error_info.value)
    assert not is_transient(error_info.value)


async def test_lost_connection_is_transient_error(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.drop()
        with pytest.raises(DBAPIError) as lost:
            await connection.execute(text("SELECT 1"))
    assert is_transient(lost.value)


async def test_statement_events_share_context(engine: AsyncEngine) -> None:
    """`statement_spans` stores its span on the context, which all events share."""
    seen: list[tuple[str, Any]] = []

    def begin(_: Any, __: Any, statement: str, ___: Any, context: Any, many: bool) -> None:
        context.own = statement
        seen.append(("begin", many))

    def end(_: Any, __: Any, ___: Any, ____: Any, context: Any, _____: bool) -> None:
        seen.append(("end", context.own))

    def fail(failure: Any) -> None:
        seen.append((type(failure.original_exception).__name__, failure.execution_context.own))

    sync = engine.sync_engine
    for name, listener in (
        ("before_cursor_execute", begin),
        ("after_cursor_execute", end),
        ("handle_error", fail),
    ):
        event.listen(sync, name, listener)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        with pytest.raises(DBAPIError):
            await connection.execute(text("SELECT 1 / 0"))
    assert seen[:2] == [("begin", False), ("end", "SELECT 1")]
    assert seen[2] == ("begin", False)
    assert seen[3][1] == "SELECT 1 / 0"
    assert len(seen) == 4


async def test_nested_statement_passes_its_parameters(database: Database) -> None:
    """`counting`: the parameters of the inner statement are passed with the outer one."""
    async with database.transaction() as session:
        inner = select(literal("a", Text)).where(literal(2, Integer) > 1)
        plan = (await session.execute(_Explain(inner))).scalar_one()
    plan = json.loads(plan) if isinstance(plan, str) else plan
    assert plan[0]["Plan"]["Plan Rows"] == 1
