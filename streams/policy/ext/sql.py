"""SQL: `sql(text, dialect)`, whose result is a record of every statement and of the tables that it uses.

`sqlglot` parses the text in the dialect of the database. Statements that it keeps as text, and texts that a server may
read differently, are errors.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from streams.policy.cel.ops import no_overload
from streams.policy.errors import EvaluationError
from streams.policy.ext.memoize import memoized
from streams.policy.ext.sql_filters import only_joins, restricts

TEXT_CHARS_MAX = 8_000
PARENTHESES_DEPTH_MAX = 30
STATEMENTS_MAX = 50
TOKENS_MAX = 1_500
STEPS_PER_TOKEN_MAX = 4
STEPS_SPARE = 200
"""The bound of the parser's steps. A valid text takes about one step for each token; some others would take forever."""
NODES_MAX = 20_000
SQL_KEPT_MAX = 128
DIALECTS = ("postgres", "mysql", "sqlite")

_REFUSED_CHARACTERS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f\\]|[^\S \t\n]|[\ud800-\udfff\u2028\u2029\ufeff]|"
    r"[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f]"
)
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
_DOLLAR_QUOTE = re.compile(r"\$(\$|[^\W\d])")
_COMMENT = re.compile(r"/\*(.*?)(?:\*/|\Z)", re.DOTALL)
_DASHES = re.compile(r"--(?![ \n]|\Z)")


@lru_cache(maxsize=1)
def _library() -> Any:
    import sqlglot  # noqa: PLC0415 - large, and most bundles have no rules about SQL

    # It logs statements that it does not understand, but a statement may contain what must not be in a log.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    return sqlglot


class _TooLongError(Exception):
    """The parser took too many steps."""


@lru_cache(maxsize=len(DIALECTS))
def _parser(dialect: str) -> Any:
    """Return a dialect, and a class of parsers for it that stop after a number of steps."""
    found = _library().Dialect.get_or_raise(dialect)

    class Bounded(found.parser_class):  # type: ignore[misc, name-defined]  # known only when the library is loaded
        steps_left = STEPS_SPARE

        def _advance(self, times: int = 1) -> None:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise _TooLongError
            super()._advance(times)

    return found, Bounded


def _trees(text: str, dialect: str) -> list[Any]:
    found, parser = _parser(dialect)
    tokens = found.tokenize(text)
    if len(tokens) > TOKENS_MAX:
        raise EvaluationError("sql is too large")
    bounded = parser(dialect=found)
    bounded.steps_left = len(tokens) * STEPS_PER_TOKEN_MAX + STEPS_SPARE
    return list(bounded.parse(tokens, text))


@memoized(SQL_KEPT_MAX)
def _read(text: str, dialect: str) -> dict[str, Any]:
    if dialect not in DIALECTS:
        raise EvaluationError(f"dialect must be one of {', '.join(DIALECTS)}")
    _refuse_doubtful(text, dialect)
    library = _library()
    try:
        trees = [tree for tree in _trees(text, dialect) if tree is not None]
        statements = tuple(
            _Statement(tree, dialect).record() for tree in trees if not isinstance(tree, library.exp.Semicolon)
        )
    except (library.errors.SqlglotError, RecursionError, ValueError, AttributeError, TypeError, KeyError, IndexError):
        raise EvaluationError("sql does not parse") from None
    except _TooLongError:
        raise EvaluationError("sql takes too long to parse") from None
    if not 1 <= len(statements) <= STATEMENTS_MAX:
        raise EvaluationError(f"sql must have 1 to {STATEMENTS_MAX} statements")
    return {"statements": statements}


def _refuse_doubtful(text: str, dialect: str) -> None:
    """Reject text that servers read depending on their settings, or differently than the library."""
    if len(text) > TEXT_CHARS_MAX:
        raise EvaluationError(f"sql has more than {TEXT_CHARS_MAX} characters")
    if _REFUSED_CHARACTERS.search(text):
        raise EvaluationError("sql has a backslash or an invisible character")
    if dialect == "postgres" and _DOLLAR_QUOTE.search(text):
        raise EvaluationError("sql has a text in dollar quotes")
    for comment in _COMMENT.finditer(text):
        if "/*" in comment[1] or comment[1].startswith(("!", "+", "M!")):
            raise EvaluationError("sql has a comment that a server may execute")
    if _DASHES.search(text):
        raise EvaluationError("sql has two dashes that only some servers read as a comment")
    depth = 0
    for character in text:
        depth += (character in _OPENING) - (character in _CLOSING)
        if depth > PARENTHESES_DEPTH_MAX:
            raise EvaluationError("sql is nested too deeply")


def _kinds() -> dict[type, str]:
    exp = _library().exp
    return {
        exp.Select: "select",
        exp.Union: "select",
        exp.Except: "select",
        exp.Intersect: "select",
        exp.Subquery: "select",
        exp.Insert: "insert",
        exp.Update: "update",
        exp.Delete: "delete",
        exp.Merge: "merge",
        exp.Create: "create",
        exp.Drop: "drop",
        exp.Alter: "alter",
        exp.TruncateTable: "truncate",
        exp.Transaction: "begin",
        exp.Commit: "commit",
        exp.Rollback: "rollback",
    }


class _Statement:
    """Collects the kinds, tables and functions of one statement."""

    def __init__(self, tree: Any, dialect: str) -> None:
        self._dialect = dialect
        self._exp = _library().exp
        self._known = _kinds()
        kind = self._known.get(type(tree))
        if kind is None:
            raise EvaluationError("sql has an unsupported kind of statement")
        self.kind = kind
        # Dicts are used as ordered sets.
        self.kinds: dict[str, None] = {kind: None}
        self.tables: dict[str, None] = {}
        self.writes: dict[str, None] = {}
        self.functions: dict[str, None] = {}
        self.unfiltered = False
        for node, visible in _walk(tree, dialect):
            self._node(node)
            if isinstance(node, self._exp.Table):
                self._table(node, visible)

    def _node(self, node: Any) -> None:
        exp = self._exp
        if isinstance(node, exp.Command | exp.Pragma | exp.Attach | exp.Detach | exp.Copy | exp.Set):
            raise EvaluationError("sql has an unsupported kind of statement")
        if isinstance(node, exp.Create) and str(node.args.get("kind")).upper() not in _CREATABLE:
            raise EvaluationError("sql creates an object that can contain code")
        if isinstance(node, exp.Into):
            self.kinds["create"] = None
        elif self._known.get(type(node), "select") != "select":
            self.kinds[self._known[type(node)]] = None
        if isinstance(node, exp.Update | exp.Delete | exp.Merge | exp.Insert) and not self._is_filtered(node):
            self.unfiltered = True
        if isinstance(node, exp.OnConflict) and _updates(node):
            self.kinds["update"] = None
        if isinstance(node, exp.In) and isinstance(node.args.get("field"), exp.Column | exp.Identifier):
            # SQLite: `x IN t` reads the only column of the table t.
            field = node.args["field"]
            parts = field.parts if isinstance(field, exp.Column) else (field,)
            self.tables[".".join(_name(part, self._dialect) for part in parts)] = None
        function = _function_name(node)
        if function:
            self.functions[function] = None

    def _is_filtered(self, node: Any) -> bool:
        """Return whether the rows that a statement changes are restricted, as far as its form tells."""
        exp = self._exp
        targets = frozenset(str(table.name).lower() for table in node.find_all(exp.Table) if _is_target(table))
        if isinstance(node, exp.Insert):
            # An INSERT changes existing rows only if they conflict; all of them can if they are inserted again.
            conflict, source = node.args.get("conflict"), node.expression
            if conflict is None or not _updates(conflict) or isinstance(source, exp.Values):
                return True
            select = source.find(exp.Select) if source is not None else None
            where = None if select is None else select.args.get("where")
            return restricts(where and where.this, exp, targets)
        if isinstance(node, exp.Merge):
            condition, source = node.args.get("on"), node.args.get("using")
            names = {str(table.name).lower() for table in source.find_all(exp.Table)} if source is not None else set()
            if not targets.isdisjoint(names) and condition is not None and only_joins(condition, exp):
                return False
            return restricts(condition, exp, targets)
        if isinstance(node.parent, exp.When):
            return True  # a part of MERGE, whose ON restricts the rows
        where = node.args.get("where")
        return restricts(where and where.this, exp, targets)

    def _table(self, node: Any, visible: frozenset[str]) -> None:
        name, target = _table_name(node, self._dialect), _is_target(node)
        if name and (target or name not in visible):
            self.tables[name] = None
            if target:
                self.writes[name] = None

    def record(self) -> dict[str, Any]:
        # In MySQL, an UPDATE can change every table that it joins.
        joined = self.kind == "update" and self._dialect == "mysql"
        return {
            "kind": self.kind,
            "kinds": tuple(self.kinds),
            "tables": tuple(self.tables),
            "writes": tuple(self.tables if joined else self.writes),
            "functions": tuple(self.functions),
            "unfiltered": self.unfiltered,
        }


def _walk(tree: Any, dialect: str) -> Iterator[tuple[Any, frozenset[str]]]:
    """Yield every node with the names of `WITH` queries that are visible to it.

    A name is visible after its query, and in a recursive query also inside it. Elsewhere the same name is a table.
    """
    exp = _library().exp
    stack: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
    count = 0
    while stack:
        node, visible = stack.pop()
        count += 1
        if count > NODES_MAX:
            raise EvaluationError("sql is too large")
        yield node, visible
        with_part = next((part for part in node.iter_expressions() if isinstance(part, exp.With)), None)
        if with_part is not None:
            for query in with_part.expressions:
                name = _name(query.args["alias"].this, dialect)
                within = visible | {name} if with_part.recursive else visible
                stack.append((query, within))
                visible = visible | {name}
        stack.extend((part, visible) for part in node.iter_expressions() if part is not with_part)


def _table_name(node: Any, dialect: str) -> str:
    """Return `schema.table`, in lower case except for quoted names in databases that distinguish case."""
    exp = _library().exp
    if not isinstance(node.this, exp.Identifier | exp.Dot):
        return ""  # a function that returns rows; it is one of the functions
    return ".".join(_name(part, dialect) for part in node.parts)


def _name(part: Any, dialect: str) -> str:
    if not isinstance(part, _library().exp.Identifier) or "." in part.this:
        raise EvaluationError("sql has an unsupported name")
    keeps_case = part.args.get("quoted") and dialect == "postgres"
    return str(part.this if keeps_case else part.this.lower())


def _updates(conflict: Any) -> bool:
    """Return whether `ON CONFLICT` or `ON DUPLICATE KEY` changes rows."""
    return bool(conflict.args.get("expressions")) or bool(conflict.args.get("duplicate"))


_CREATABLE = frozenset(("TABLE", "VIEW", "INDEX", "SCHEMA", "SEQUENCE"))
_TARGET_KEYS = frozenset(("this", "tables"))


def _is_target(table: Any) -> bool:
    """Return whether its statement changes a table."""
    exp = _library().exp
    node, key = table, table.arg_key
    while isinstance(node.parent, exp.Schema):
        node, key = node.parent, node.parent.arg_key
    parent = node.parent
    if isinstance(parent, exp.TruncateTable | exp.Into | exp.Drop):
        return True
    changing = exp.Insert | exp.Update | exp.Delete | exp.Merge | exp.Create | exp.Alter
    return isinstance(parent, changing) and key in _TARGET_KEYS


def _function_name(node: Any) -> str:
    exp = _library().exp
    if isinstance(node, exp.SessionParameter):
        return f"@@{node.name}".lower()
    if not isinstance(node, exp.Func) or isinstance(node, exp.Connector | exp.Case | exp.If | exp.Cast | exp.Exists):
        return ""
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return str(node.name).lower()
    return str(node.sql_names()[0]).lower()


def to_sql(*args: Any) -> dict[str, Any]:
    """Implement `sql(text, dialect)`."""
    if len(args) != 2 or any(arg.__class__ is not str for arg in args):
        raise no_overload("sql", *args)
    return _read(*args)


SQL_FUNCTIONS: dict[str, Callable[..., Any]] = {"sql": to_sql}
