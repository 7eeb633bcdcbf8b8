"""Asks an archive in SQL, with DuckDB: the table `audit`, and views of what is asked most often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from streams.model.errors import FormError, StoplogError
from streams.operations.archive.files import files_in

VIEWS: dict[str, str] = {
    "calls": """
        select event_time as judged_at, tenant, session_id, intent_id, agent, subject, model, server, tool, outcome,
            reason, reason_text, rules, tags, untrusted_inputs, integrity, confidentiality
        from audit where event_type = 'VERDICT'
        qualify row_number() over (
            partition by tenant, session_id, intent_id order by event_time desc, "offset" desc
        ) = 1
    """,
    "denials": "select * from calls where outcome in ('DENY', 'QUARANTINE')",
    "approvals": """
        select event_time as decided_at, tenant, session_id, intent_id, agent as approver, subject, tool,
            reason as decision, reason_text
        from audit where event_type = 'APPROVAL'
    """,
    "sessions": """
        select tenant, session_id, any_value(agent) as agent, any_value(subject) as subject,
            min(judged_at) as first_call, max(judged_at) as last_call, count(*) as calls,
            count(*) filter (outcome = 'ALLOW') as allowed,
            count(*) filter (outcome in ('DENY', 'QUARANTINE')) as denied,
            bool_or(integrity = 'UNTRUSTED') as became_untrusted
        from calls group by tenant, session_id
    """,
    "tools_by_agent": """
        select tenant, agent, tool, count(*) as calls, count(*) filter (outcome = 'ALLOW') as allowed,
            count(*) filter (outcome in ('DENY', 'QUARANTINE')) as denied, min(judged_at) as first_call,
            max(judged_at) as last_call
        from calls group by tenant, agent, tool
    """,
}
"""The views, by name. `calls` has each intent once, with its last verdict."""


_ASKING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class QueryError(StoplogError):
    """The archive can't be asked, or the query is wrong."""


class QueryFormError(QueryError, FormError):
    """The query is not one query in SQL, whatever the archive has."""


class Answer(NamedTuple):
    """The columns of an answer, and its rows one by one."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


def ask(folder: Path, sql: str) -> Answer:
    """Return the answer to one query. The query can read the archive, and nothing else of this machine.

    Raises:
        QueryFormError: it is not SQL, or does something else than ask.
        QueryError: the archive is empty, or has not what the query asks for.
    """
    paths = [str(file.path(folder)) for file in files_in(folder)]
    if not paths:
        what = f"the archive `{folder}` has no record yet" if folder.is_dir() else f"there is no archive in `{folder}`"
        raise QueryError(f"{what}; `stoplog audit export {folder}` adds what is on the log")
    connection = duckdb.connect(":memory:")
    try:
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        # The names of files are quoted, and the views are ours: nothing of it comes from the query.
        connection.execute(f"create view audit as select * from read_parquet([{listed}], hive_partitioning = false)")  # noqa: S608 - see above
        for name, view in VIEWS.items():
            connection.execute(f"create view {name} as {view}")
        connection.execute(f"set allowed_paths = [{listed}]")
        connection.execute("set enable_external_access = false")
        connection.execute("set lock_configuration = true")
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in _ASKING:
            raise QueryFormError("give one query, which begins with `select`, `with` or `from`")
        found = connection.execute(statements[0])
    except duckdb.CatalogException as error:
        # What the library proposes instead of an unknown table is one of its own.
        fault = str(error).partition("\n")[0]
        raise QueryError(f"{fault} An archive has the tables `audit`, {_listed(VIEWS)}") from None
    except duckdb.ParserException as error:
        raise QueryFormError(str(error).strip()) from None
    except duckdb.Error as error:
        raise QueryError(str(error).strip()) from None
    return Answer(tuple(column[0] for column in found.description or ()), iter(found.fetchone, None))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
