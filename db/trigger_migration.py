"""Writes into a migration what makes a database's functions and triggers those of the text."""

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import renderers
from alembic.operations import ops

from db.trigger_check import Comparison, Definitions


class RunSql(ops.MigrateOperation):
    """One statement. It keeps its lines in the file, which Alembic's ExecuteSQLOp does not do."""

    def __init__(self, sql: str) -> None:
        self.sql = sql


@renderers.dispatch_for(RunSql)
def _render(_context: AutogenContext, operation: RunSql) -> str:
    if "\n" not in operation.sql or '"""' in operation.sql or "\\" in operation.sql:
        return f"op.execute({operation.sql!r})"
    return f'op.execute(\n    """\n{operation.sql.strip()}\n"""\n)'


def add_triggers(script: ops.MigrationScript, comparison: Comparison) -> None:
    """Puts the drops before the changes of tables, and what is made after them, in both ways."""
    if script.upgrade_ops is None or script.downgrade_ops is None:
        return
    here, there = comparison.in_database, comparison.by_text
    _wrap(script.upgrade_ops, here, there)
    _wrap(script.downgrade_ops, there, here)


def _wrap(tables: ops.OpContainer, before: Definitions, after: Definitions) -> None:
    gone = [name for name in before if before[name] != after.get(name)]
    new = [name for name in after if after[name] != before.get(name)]
    functions_gone = [name for name in gone if not _is_trigger(name) and name not in after]
    tables.ops[:0] = [RunSql(f"DROP {_capital(name)}") for name in gone if _is_trigger(name)]
    tables.ops += [RunSql(after[name]) for name in new]
    tables.ops += [RunSql(f"DROP {_capital(name)}") for name in functions_gone]


def _is_trigger(name: str) -> bool:
    return name.startswith("trigger ")


def _capital(name: str) -> str:
    kind, rest = name.split(" ", 1)
    return f"{kind.upper()} {rest}"
