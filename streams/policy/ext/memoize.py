"""Keeps what was made of a text, since many rules ask the same of one."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar, cast

from streams.policy.errors import EvaluationError

_P = ParamSpec("_P")
_R = TypeVar("_R")


def memoized(kept_max: int) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Remember the latest `kept_max` results of a pure function of positional arguments, EvaluationErrors included.

    Hostile text must not cost its whole reading again for each rule, so failures are kept as values are.
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
                # A new error each time: one that is raised again and again gathers tracebacks.
                raise EvaluationError(problem)
            return cast(_R, value)

        return recalled

    return decorate
