"""Whether a condition of SQL restricts the rows of a statement, judged by its form.

`WHERE true`, `WHERE id = id`, `WHERE id - id = 0`, `WHERE id < 5 OR id >= 5`, `WHERE name ~ '.*'`, `WHERE id IS NOT
NULL` and `WHERE id > 0` restrict nothing, or next to nothing. Whether a condition such as `id < 1000000` holds for
every row depends on the data, which isn't known here; it counts as a restriction.
"""

from __future__ import annotations

import re
from typing import Any


def restricts(condition: Any, exp: Any, targets: frozenset[str] = frozenset()) -> bool:
    """Return whether a condition restricts the rows, as far as its form tells.

    Args:
        condition: the parsed condition; None for a statement without one.
        exp: the module of expressions of the parser.
        targets: the names of the tables whose rows are changed, without schema.
    """
    if condition is None:
        return False
    return _restricts(condition, exp, targets, negated=False)


def _restricts(node: Any, exp: Any, targets: frozenset[str], *, negated: bool) -> bool:
    if isinstance(node, exp.Paren | exp.Escape):
        return _restricts(node.this, exp, targets, negated=negated)
    if isinstance(node, exp.Not):
        return _restricts(node.this, exp, targets, negated=not negated)
    if isinstance(node, exp.And | exp.Or):
        if isinstance(node, exp.Or) and not negated and _covers_all(node, exp):
            return False
        parts = [_restricts(part, exp, targets, negated=negated) for part in (node.left, node.right)]
        # De Morgan: a negated OR restricts if one of its parts does.
        return any(parts) if isinstance(node, exp.And) is not negated else all(parts)
    return _leaf(node, exp, targets, negated=negated)


def _leaf(node: Any, exp: Any, targets: frozenset[str], *, negated: bool) -> bool:
    if node.find(exp.Column) is None or isinstance(node, exp.Case | exp.If):
        return False
    if isinstance(node, exp.In) and node.args.get("query") is not None:
        return not negated and _query_restricts(node.args["query"], exp, targets)
    if isinstance(node, exp.Exists):
        return not negated and _query_restricts(node.this, exp, targets)
    if isinstance(node, exp.Is):
        is_not = bool(node.args.get("negate")) or isinstance(node.expression, exp.Not)
        return is_not is negated and not _repeats_column(node, exp)
    if isinstance(node, exp.Binary | exp.In | exp.Between | exp.RegexpLike | exp.RegexpILike) and (
        _repeats_column(node, exp) or _reads_target(node, exp, targets) or _has_condition(node, exp)
    ):
        # `id = id + 0`, `id - id = 0`, `id in (id, 5)`, `id = any(select id from t)`, `(id = 5) >= false`.
        return False
    if isinstance(node, exp.Like | exp.ILike | exp.Glob | exp.SimilarTo | exp.RegexpLike | exp.RegexpILike):
        return not negated and not _fits_all(node, exp)
    if isinstance(node, exp.EQ | exp.NullSafeEQ):
        return not negated and _compares(node, exp)
    if isinstance(node, exp.NEQ | exp.NullSafeNEQ):
        return negated and _compares(node, exp)
    if isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE):
        return _compares(node, exp) and not _is_low_bound(node, exp, negated=negated)
    return not (negated and isinstance(node, exp.In | exp.Between))


def _repeats_column(node: Any, exp: Any) -> bool:
    """Return whether a column stands in a condition twice, apart from queries within it: `id = id + 0`."""
    seen: set[str] = set()
    for part in node.walk(prune=lambda each: isinstance(each, exp.Query)):
        if isinstance(part, exp.Column):
            name = str(part.sql()).lower()
            if name in seen:
                return True
            seen.add(name)
    return False


def _has_condition(node: Any, exp: Any) -> bool:
    """Return whether a condition is compared with something, except with true."""
    sides = [part.unnest() for part in node.iter_expressions()]
    if isinstance(node, exp.EQ) and any(isinstance(side, exp.Boolean) and side.this for side in sides):
        return False
    return any(
        isinstance(side, exp.Predicate | exp.Connector) and not isinstance(side, exp.Any | exp.All) for side in sides
    )


def _reads_target(node: Any, exp: Any, targets: frozenset[str]) -> bool:
    """Return whether a comparison is with any row of a table whose rows are changed, such as `id = any(select ...)`."""
    return any(
        any(str(table.name).lower() in targets for table in each.find_all(exp.Table))
        for each in node.find_all(exp.Any, exp.All)
    )


_NO_EFFECT = re.compile(r"[.*+?^$()|%_\s]*")


def _fits_all(node: Any, exp: Any) -> bool:
    """Return whether a pattern fits every text, or is an expression that isn't known to be another one."""
    pattern = node.expression
    if not isinstance(pattern, exp.Literal):
        return pattern is None or pattern.find(exp.Column, exp.Placeholder, exp.Parameter) is None
    parts = str(pattern.this).split("|")
    return any(_NO_EFFECT.fullmatch(part) is not None for part in parts)


def _compares(node: Any, exp: Any) -> bool:
    """Return whether a comparison is of two different expressions, and not of one that has a constant value."""
    if any(_is_constant(side, exp) for side in (node.left, node.right)):
        return False
    sides = [side for side in (node.left, node.right) if side.find(exp.Column) is not None]
    if any(isinstance(side.unnest(), exp.Case | exp.If) for side in sides):
        return False
    # `(id = id) = true`: a comparison inside a comparison must restrict by itself.
    return all(
        _restricts(side, exp, frozenset(), negated=False)
        for side in sides
        if isinstance(side, exp.Paren) and isinstance(side.unnest(), exp.Predicate | exp.Connector)
    )


def _is_constant(side: Any, exp: Any) -> bool:
    """Return whether arithmetic with a column has one value: `id * 0`, `id % 1`, `id & 0`."""
    inner = side.unnest()
    texts = {str(part.this) for part in inner.iter_expressions() if isinstance(part, exp.Literal)}
    return (isinstance(inner, exp.Mul | exp.BitwiseAnd) and "0" in texts) or (
        isinstance(inner, exp.Mod) and "1" in texts
    )


def _covers_all(node: Any, exp: Any) -> bool:
    """Return whether parts of an OR leave nothing out: `id < 5 or id >= 5`, `id is true or id is false`."""
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    tested: dict[str, set[str]] = {}
    for leaf in node.flatten():
        inner = leaf.unnest()
        if isinstance(inner, exp.Is) and isinstance(inner.this, exp.Column):
            tested.setdefault(inner.this.sql().lower(), set()).add(inner.expression.sql().lower())
        if not isinstance(inner, exp.GT | exp.GTE | exp.LT | exp.LTE):
            continue
        upward, column, bound = isinstance(inner, exp.GT | exp.GTE), inner.left, inner.right
        if isinstance(bound, exp.Column):
            upward, column, bound = not upward, bound, column
        value = _number(bound, exp)
        if value is None or not isinstance(column, exp.Column):
            continue
        name = column.sql().lower()
        if upward:
            lows[name] = min(value, lows.get(name, value))
        else:
            highs[name] = max(value, highs.get(name, value))
    return any(low <= highs[name] for name, low in lows.items() if name in highs) or any(
        {"true", "false"} <= values for values in tested.values()
    )


def _number(node: Any, exp: Any) -> float | None:
    try:
        if isinstance(node, exp.Neg):
            return -float(str(node.this.this))
        return float(str(node.this)) if isinstance(node, exp.Literal) else None
    except ValueError:
        return None


def _is_low_bound(node: Any, exp: Any, *, negated: bool) -> bool:
    """Return whether a comparison is `column > 0`, `0 < column` or similar, which almost every key fulfils."""
    upward = isinstance(node, exp.GT | exp.GTE) is not negated
    bound = node.right if upward else node.left
    other = node.left if upward else node.right
    if isinstance(bound, exp.Neg):
        return isinstance(bound.this, exp.Literal) and isinstance(other, exp.Column)
    if not isinstance(bound, exp.Literal) or other.find(exp.Column) is None:
        return False
    text = str(bound.this)
    return text.strip("0. ") == ""


def _query_restricts(query: Any, exp: Any, targets: frozenset[str]) -> bool:
    """Return whether `IN (SELECT ...)` restricts: by its own condition, or because it reads another table."""
    inner = query.find(exp.Select)
    if inner is None:
        return False
    where = inner.args.get("where")
    names = {str(table.name).lower() for table in inner.find_all(exp.Table)}
    if where is not None and not targets.isdisjoint(names) and only_joins(where.this, exp):
        return False
    if where is not None and _restricts(where.this, exp, targets, negated=False):
        return True
    return bool(names) and targets.isdisjoint(names) and where is None


def only_joins(condition: Any, exp: Any) -> bool:
    """Return whether a condition only says that a column is the column of the same name of another row.

    Args:
        condition: the parsed condition.
        exp: the module of expressions of the parser.
    """
    inner = condition.unnest()
    if isinstance(inner, exp.And):
        return only_joins(inner.left, exp) and only_joins(inner.right, exp)
    sides = (inner.left, inner.right) if isinstance(inner, exp.EQ) else ()
    return len(sides) == 2 and all(isinstance(side, exp.Column) for side in sides) and (
        str(sides[0].name).lower() == str(sides[1].name).lower()
    )  # fmt: skip
