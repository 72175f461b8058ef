"""Adds to a migration the statements that bring functions and triggers to the SQL in the code."""

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import ops

from db.trigger_check import Comparison, Definitions


class RunSql(ops.MigrateOperation):
    """An SQL statement whose line breaks stay in the file, unlike those of ExecuteSQLOp."""

    def __init__(self, sql: str) -> None:
        self.sql = sql


@renderers.dispatch_for(RunSql)
def _render(_context: AutogenContext, operation: RunSql) -> str:
    if "\n" not in operation.sql or '"""' in operation.sql or "\\" in operation.sql:
        return f"op.execute({operation.sql!r})"
    return f'op.execute(\n    """\n{operation.sql.strip()}\n"""\n)'


def add_triggers(script: ops.MigrationScript, comparison: Comparison) -> None:
    """Add drops before the table changes and creations after them, to upgrade and downgrade."""
    if script.upgrade_ops is None or script.downgrade_ops is None:
        return
    in_database, by_text = comparison.in_database, comparison.by_text
    _wrap(script.upgrade_ops, in_database, by_text)
    _wrap(script.downgrade_ops, by_text, in_database)


def _wrap(tables: ops.OpContainer, before: Definitions, after: Definitions) -> None:
    dropped = [name for name in before if before[name] != after.get(name)]
    new = [name for name in after if after[name] != before.get(name)]
    old_functions = [name for name in dropped if not _is_trigger(name) and name not in after]
    tables.ops[:0] = [RunSql(f"DROP {_capital(name)}") for name in dropped if _is_trigger(name)]
    tables.ops += [RunSql(after[name]) for name in new]
    tables.ops += [RunSql(f"DROP {_capital(name)}") for name in old_functions]


def _is_trigger(name: str) -> bool:
    return name.startswith("trigger ")


def _capital(name: str) -> str:
    kind, rest = name.split(" ", 1)
    return f"{kind.upper()} {rest}"
