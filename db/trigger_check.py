"""Compares a database's functions and triggers with their SQL in `db.tables.triggers`.

PostgreSQL executes that SQL in a transaction that is rolled back, and returns both sides in its own
format. Function bodies are compared as they are written, except for indentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from db.tables import triggers

# Keys are the text after DROP: "function queue_config()", "trigger queue_config ON devices". They
# are in alphabetical order, so functions come before the triggers that call them.
Definitions = Mapping[str, str]

TRIGGERS_FILE = "db/tables/triggers.py"
# Definitions leave out the schema. They end with a comment if a trigger is disabled or fires on
# replicas.
DEFINITIONS = text("""
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure ' ELSE 'function ' END
        || p.oid::regprocedure AS name,
        overlay(d.full_text PLACING '' FROM strpos(d.full_text, d.prefix) FOR length(d.prefix))
        AS definition
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace,
    LATERAL (SELECT pg_get_functiondef(p.oid), quote_ident(n.nspname) || '.') d (full_text, prefix)
    WHERE n.nspname = current_schema() AND p.prokind <> 'a' AND NOT EXISTS (
        SELECT FROM pg_depend e
        WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
    )
    UNION ALL
    SELECT format('trigger %I ON %s', t.tgname, t.tgrelid::regclass),
        pg_get_triggerdef(t.oid, true) || CASE t.tgenabled
            WHEN 'O' THEN '' WHEN 'D' THEN ' -- disabled' WHEN 'R' THEN ' -- on replicas only'
            ELSE ' -- also on replicas' END
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND NOT t.tgisinternal
    ORDER BY 1
""")


@dataclass(frozen=True)
class Comparison:
    """The definitions in the database, and those that the SQL in the code would create.

    `refused`: a sentence for each SQL text that PostgreSQL refuses; `by_text` lacks these.
    """

    in_database: Definitions
    by_text: Definitions
    refused: list[str]

    @property
    def differences(self) -> list[str]:
        """A sentence for each difference. If PostgreSQL refused any SQL, only these reasons."""
        if self.refused:
            return self.refused
        names = sorted({*self.in_database, *self.by_text})
        return [sentence for name in names if (sentence := self._difference(name))]

    def _difference(self, name: str) -> str | None:
        in_database, by_text = self.in_database.get(name), self.by_text.get(name)
        if in_database is None:
            return f"The {name} is in {TRIGGERS_FILE} and not in the database."
        if by_text is None:
            return f"The {name} is in the database and not in {TRIGGERS_FILE}."
        for code, found in zip_longest(_lines(by_text), _lines(in_database), fillvalue=""):
            if code != found:
                return f"The {name} differs: {TRIGGERS_FILE} has {code!r}, the database {found!r}."
        return None


def compare_triggers(connection: Connection) -> Comparison:
    """Compare the first schema of the connection, without the objects of extensions.

    Changes nothing, but locks the tables that have triggers until the transaction ends.
    """
    in_database = _definitions(connection)
    savepoint = connection.begin_nested()
    try:
        for name in in_database:
            connection.exec_driver_sql(f"DROP {_if_exists(name)} CASCADE")
        refused = [sentence for sql in triggers.IN_FORCE if (sentence := _refusal(connection, sql))]
        return Comparison(in_database, _definitions(connection), refused)
    finally:
        savepoint.rollback()


def _definitions(connection: Connection) -> dict[str, str]:
    return {row.name: row.definition for row in connection.execute(DEFINITIONS)}


def _if_exists(name: str) -> str:
    """Dropping a function also drops its triggers, so a trigger may already be dropped."""
    kind, rest = name.split(" ", 1)
    return f"{kind} IF EXISTS {rest}"


def _refusal(connection: Connection, sql: str) -> str | None:
    """Execute SQL. Returns None if PostgreSQL accepts it, else a sentence with the reason."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(sql)
    except DBAPIError as error:
        reason = (error.orig and error.orig.__cause__) or error
        return f"PostgreSQL refuses {_lines(sql)[0]!r} of {TRIGGERS_FILE}: {_lines(str(reason))[0]}"
    return None


def _lines(definition: str) -> list[str]:
    """Return the lines without indentation and empty lines.

    Lines are not joined, because the end of a line may end a comment.
    """
    return [line.strip() for line in definition.splitlines() if line.strip()]
