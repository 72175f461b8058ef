"""Compares a database's functions and triggers with their text in `db.tables.triggers`.

PostgreSQL reads that text itself, in a transaction that is rolled back, and gives both sides in its
own spelling. Only the bodies of functions are compared as they are written, indentation aside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from db.tables import triggers

# By what stands after DROP: "function queue_config()", "trigger queue_config ON devices". They are
# in alphabetical order, so functions come before the triggers that call them.
Definitions = Mapping[str, str]

PLACE = "db/tables/triggers.py"
# Definitions leave out the schema and end with a comment where a trigger is not simply enabled.
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
    """What the database has, and what it would have by the text alone.

    `refused`: a sentence for each text that PostgreSQL does not take; `by_text` lacks these.
    """

    in_database: Definitions
    by_text: Definitions
    refused: list[str]

    @property
    def differences(self) -> list[str]:
        """A sentence for each; only the refusals where there are any."""
        if self.refused:
            return self.refused
        names = sorted({*self.in_database, *self.by_text})
        return [sentence for name in names if (sentence := self._difference(name))]

    def _difference(self, name: str) -> str | None:
        in_database, by_text = self.in_database.get(name), self.by_text.get(name)
        if in_database is None:
            return f"The {name} is in {PLACE} and not in the database."
        if by_text is None:
            return f"The {name} is in the database and not in {PLACE}."
        for ours, theirs in zip_longest(_lines(by_text), _lines(in_database), fillvalue=""):
            if ours != theirs:
                return f"The {name} differs: {PLACE} has {ours!r}, the database {theirs!r}."
        return None


def compare_triggers(connection: Connection) -> Comparison:
    """Of the connection's first schema, without what belongs to extensions.

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
    """A trigger goes with its function, so it may be gone already."""
    kind, rest = name.split(" ", 1)
    return f"{kind} IF EXISTS {rest}"


def _refusal(connection: Connection, sql: str) -> str | None:
    """Runs a text. Returns None if PostgreSQL takes it."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(sql)
    except DBAPIError as error:
        reason = (error.orig and error.orig.__cause__) or error
        return f"PostgreSQL refuses {_lines(sql)[0]!r} of {PLACE}: {_lines(str(reason))[0]}"
    return None


def _lines(definition: str) -> list[str]:
    """Without indentation and empty lines. A line's end stays: it may end a comment."""
    return [line.strip() for line in definition.splitlines() if line.strip()]
