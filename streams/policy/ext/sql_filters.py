"""Whether a condition of SQL restricts the rows of a statement, judged by its form.

`WHERE true`, `WHERE 1 = 1`, `WHERE id = id`, `WHERE id IS NOT NULL` and `WHERE id > 0` restrict nothing, or next to
nothing. Whether a condition such as `id < 1000000` holds for every row depends on the data, which isn't known
here; it counts as a restriction.
"""

from __future__ import annotations

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
    if isinstance(node, exp.Paren):
        return _restricts(node.this, exp, targets, negated=negated)
    if isinstance(node, exp.Not):
        return _restricts(node.this, exp, targets, negated=not negated)
    if isinstance(node, exp.And | exp.Or):
        parts = [_restricts(part, exp, targets, negated=negated) for part in (node.left, node.right)]
        # De Morgan: a negated OR restricts if one of its parts does.
        return any(parts) if isinstance(node, exp.And) is not negated else all(parts)
    return _leaf(node, exp, targets, negated=negated)


def _leaf(node: Any, exp: Any, targets: frozenset[str], *, negated: bool) -> bool:
    if node.find(exp.Column) is None:
        return False
    if isinstance(node, exp.In) and node.args.get("query") is not None:
        return not negated and _query_restricts(node.args["query"], exp, targets)
    if isinstance(node, exp.Exists):
        return not negated and _query_restricts(node.this, exp, targets)
    if isinstance(node, exp.Is):
        is_not = bool(node.args.get("negate")) or isinstance(node.expression, exp.Not)
        return is_not is negated
    if isinstance(node, exp.Like | exp.ILike | exp.Glob):
        pattern = node.expression
        everything = isinstance(pattern, exp.Literal) and not str(pattern.this).strip("%_*?")
        return not negated and not everything and node.this != pattern
    if isinstance(node, exp.EQ | exp.NullSafeEQ):
        return not negated and _compares(node, exp)
    if isinstance(node, exp.NEQ | exp.NullSafeNEQ):
        return negated and _compares(node, exp)
    if isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE):
        return _compares(node, exp) and not _is_low_bound(node, exp, negated=negated)
    return not (negated and isinstance(node, exp.In | exp.Between))


def _compares(node: Any, exp: Any) -> bool:
    """Return whether a comparison is of two different expressions, and not of a constant condition with true."""
    if node.left == node.right:
        return False
    sides = [side for side in (node.left, node.right) if side.find(exp.Column) is not None]
    # `(id = id) = true` and `coalesce(id = id, true)`: a comparison inside a comparison must restrict by itself.
    return all(_restricts(side, exp, frozenset(), negated=False) for side in sides if isinstance(side, exp.Paren))


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
    return not text or text.strip("0.") == ""


def _query_restricts(query: Any, exp: Any, targets: frozenset[str]) -> bool:
    """Return whether `IN (SELECT ...)` restricts: by its own condition, or because it reads another table."""
    inner = query.find(exp.Select)
    if inner is None:
        return False
    where = inner.args.get("where")
    if where is not None and _restricts(where.this, exp, targets, negated=False):
        return True
    names = {str(table.name).lower() for table in inner.find_all(exp.Table)}
    return bool(names) and targets.isdisjoint(names) and where is None
