"""Caches results of pure functions, because many rules call a function with the same text."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar, cast

from streams.policy.errors import EvaluationError

_P = ParamSpec("_P")
_R = TypeVar("_R")


def memoized(kept_max: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Cache the latest results of a pure function of positional arguments.

    EvaluationErrors are cached like values, so that parsing a hostile text costs its full time only once.

    Args:
        kept_max: the number of results to cache.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        call = cast(Callable[..., _R], function)

        @lru_cache(maxsize=kept_max)
        def outcome(*args: object) -> tuple[_R | None, str | None]:
            try:
                return call(*args), None
            except EvaluationError as error:
                return None, str(error)

        @wraps(function)
        def recalled(*args: _P.args, **_: _P.kwargs) -> _R:
            value, problem = outcome(*args)
            if problem is not None:
                # A new error each time, because an error that is raised repeatedly accumulates tracebacks.
                raise EvaluationError(problem)
            return cast(_R, value)

        return recalled

    return decorate
