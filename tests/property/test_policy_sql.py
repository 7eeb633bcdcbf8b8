"""`sql()` against SQLite itself: whatever tables a statement touches there were seen."""

from __future__ import annotations

import sqlite3
from random import Random  # noqa: TID251 - chance with a seed

from streams.policy import EvaluationError
from streams.policy.ext.sql import to_sql

SQL_NAMES = ("a", "b", "c", "d")
# fmt: off
SQL_PARTS = (
    "select", "*", "1", "x", "from", "a", "b", "c", "d", ",", "(", ")", "where", "x = 1", "x in", "exists", "union",
    "join", "on", "true", "with", "as", "recursive", "order by", "limit 1", "insert into", "values (1)", "update",
    "set x = 1", "delete from", ";", "'a'", "\"b\"", "[c]", "-- d\n", "/* d */", "not", "and", "group by x", "having",
    "count(*)",
)
# fmt: on
SQL_FORMS = (
    "select * from {0}",
    "select x from {0} where x in (select x from {1})",
    "with {0} as (select x from {1}) select * from {0}",
    "with {0} as (select x from {0}) select * from {0}, {1}",
    "insert into {0} select x from {1}",
    "delete from {0} where x = 1",
    "update {0} set x = (select max(x) from {1})",
    "select * from (select x from {0}) as {1}, {1}",
    "select 1 from {0}; delete from {1}",
    "with recursive {0} as (select x from {1} union select x from {0}) select * from {0}",
    "select {0}.x from {0} join {1} on 1",
    "with {0} as (select 1 as x), {1} as (select x from {0}) select * from {1}",
    "select * from {0} as {1} union select x from {1}",
    "select * from (with {0} as (select x from {1}) select * from {0}) join {0} on 1",
    "with {0} as (select 1) delete from {0}",
)


def sql_text(pick: Random) -> str:
    if pick.random() < 0.3:
        return " ".join(pick.choice(SQL_PARTS) for _ in range(pick.randint(2, 9)))
    text = pick.choice(SQL_FORMS).format(pick.choice(SQL_NAMES), pick.choice(SQL_NAMES))
    return text.replace(" x ", f" {pick.choice(SQL_PARTS)} ", 1) if pick.random() < 0.3 else text


def touched_by_sqlite(text: str) -> set[tuple[str, str]] | None:
    """The tables that SQLite itself reads and changes, None where it refuses a statement."""
    found: set[tuple[str, str]] = set()
    changes = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}

    def authorize(action: int, table: str | None, _: str | None, schema: str | None, __: str | None) -> int:
        # A query within WITH is reported as well, though without a schema.
        if action == sqlite3.SQLITE_READ and table and schema:
            found.add(("reads", table))
        elif action in changes and table:
            found.add(("writes", table))
        return sqlite3.SQLITE_OK

    connection = sqlite3.connect(":memory:")
    try:
        for name in SQL_NAMES:
            connection.execute(f"create table {name} (x)")
        connection.commit()
        connection.set_authorizer(authorize)
        connection.executescript(text)
    except (sqlite3.Error, sqlite3.Warning):
        return None
    finally:
        connection.close()
    return found


def test_sqlite_touches_no_table_that_was_not_seen() -> None:
    pick = Random(7)  # noqa: S311 - not for secrets
    both = 0
    for _ in range(2_500):
        text = sql_text(pick)
        try:
            statements = to_sql(text, "sqlite")["statements"]
        except EvaluationError:
            continue
        touched = touched_by_sqlite(text)
        if touched is None:
            continue
        both += 1
        tables = {table for statement in statements for table in statement["tables"]}
        writes = {table for statement in statements for table in statement["writes"]}
        for how, table in touched:
            assert table in tables or table.startswith("sqlite_"), (text, table)
            assert how == "reads" or table in writes or table.startswith("sqlite_"), (text, table)
    assert both > 800
