"""Counts the work of an evaluation by the sizes of what it handles, and ends it when it has taken too much.

The idea: a unit is about a tenth of a microsecond on an ordinary machine, but it is counted and not measured. Gates
that read the same log must decide alike, so neither a clock nor the state of a cache may have an influence. Every
function whose cost grows with its arguments states how (`charged`), and folds count their elements. Code that is
generated for the fast path counts where it enters a fold or calls a function, and leaves to the exact evaluator what it
can't bound.

A function that caches its results costs its full price once in an evaluation, and hardly anything if the same text
follows soon, whether or not an earlier evaluation left the result in the cache.

The account is a context variable, because gates of one process may evaluate in several threads. To pass it to each
function was rejected: it would be an argument of every operator in generated code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from functools import wraps
from typing import Any, NamedTuple

from streams.policy.cel.values import LISTS
from streams.policy.errors import EvaluationError

WORK_MAX = 10_000_000
"""The most work of the rules of one intent, or of one other expression: about a second."""

SMALL_MAX = 64
"""Lists of at most so many elements are not counted in generated code: the size of the rules bounds their cost."""

RECENT_MAX = 64
"""Calls that count as recent. The smallest cache of a function keeps more."""

REPEATED_UNITS = 2
BASE_UNITS = 10


class Account:
    """Counts the work of one evaluation.

    Attributes:
        left: the work that may still be done.
        recent: the calls that were made a short time ago, of functions that cache their results.
    """

    __slots__ = ("left", "recent")

    def __init__(self, left: int = WORK_MAX) -> None:
        self.left = left
        self.recent: set[tuple[Any, ...]] = set()

    def spend(self, units: int) -> None:
        """Count work.

        Raises:
            EvaluationError: nothing is left.
        """
        self.left -= units
        if self.left < 0:
            raise EvaluationError(f"evaluation takes more than {WORK_MAX} units of work")


CURRENT: ContextVar[Account | None] = ContextVar("account", default=None)
"""The account of the evaluation that is going on; None if there is none."""


def begin(left: int = WORK_MAX) -> Token[Account | None]:
    """Begin an evaluation with an account of its own. Pass the result to `end`."""
    return CURRENT.set(Account(left))


def end(token: Token[Account | None]) -> None:
    """End an evaluation."""
    CURRENT.reset(token)


def spend(units: int) -> None:
    """Count work of the current evaluation, if there is one.

    Raises:
        EvaluationError: nothing is left.
    """
    account = CURRENT.get()
    if account is not None:
        account.spend(units)


def spend_once(what: str, text: str, units: int) -> None:
    """Count work whose result is cached by a text: in full at first, and hardly anything if it is repeated soon.

    Raises:
        EvaluationError: nothing is left.
    """
    account = CURRENT.get()
    if account is None:
        return
    recent, call = account.recent, (what, text)
    is_repeated = call in recent
    if len(recent) >= RECENT_MAX:
        recent.clear()
    recent.add(call)
    account.spend(REPEATED_UNITS if is_repeated else units)


Price = Callable[[tuple[Any, ...]], int]


class Rate(NamedTuple):
    """The price of a function that reads its texts.

    Attributes:
        units: the work for each character.
        chars_max: texts with more characters are rejected without being read.
        more: returns what is due beside that, if there is anything.
    """

    units: int
    chars_max: int
    more: Price | None = None


def charged_once(name: str, function: Callable[..., Any], rate: Rate) -> Callable[..., Any]:
    """Return a function, which caches its results, that counts its work before it does it; see the module.

    It is on the path of nearly every call, and has no calls of its own for that reason.

    Args:
        name: the function's name.
        function: the function.
        rate: its price.
    """
    units, chars_max, more = rate

    @wraps(function)
    def paid(*args: Any) -> Any:
        account = CURRENT.get()
        if account is None:
            return function(*args)
        recent, call = account.recent, (name, *args)
        try:
            is_repeated = call in recent
        except TypeError:  # a list
            is_repeated = False
        else:
            if len(recent) >= RECENT_MAX:
                recent.clear()
            recent.add(call)
        if is_repeated:
            account.left -= REPEATED_UNITS
        else:
            chars = 0
            for arg in args:
                if arg.__class__ is str:
                    chars += len(arg)
                elif arg.__class__ in LISTS:
                    chars += sum(len(item) for item in arg if item.__class__ is str)
            account.left -= BASE_UNITS + (units * chars if chars <= chars_max else chars >> 3)
            if more is not None:
                account.left -= more(args)
        if account.left < 0:
            account.spend(0)
        return function(*args)

    return paid


def charged(function: Callable[..., Any], price: Price) -> Callable[..., Any]:
    """Return a function that counts its work before it does it, and the size of what it returns.

    Args:
        function: the function.
        price: returns the units for some arguments.
    """

    @wraps(function)
    def paid(*args: Any) -> Any:
        account = CURRENT.get()
        if account is None:
            return function(*args)
        account.spend(price(args))
        value = function(*args)
        units = _units_of(value)
        if units:
            account.spend(units)
        return value

    return paid


def by_size(args: tuple[Any, ...]) -> int:
    """Return the price of a function that runs over its arguments: a unit for 8 characters, or for one element."""
    return 1 + sum(map(_units_of, args))


def _units_of(value: Any) -> int:
    kind = value.__class__
    if kind is str or kind is bytes:
        return len(value) >> 3
    if kind in _SINGLE:
        return 0
    # Whether it is a map of another class is asked last: that takes ten times as long.
    return len(value) if kind is dict or kind in LISTS or isinstance(value, Mapping) else 0


_SINGLE = frozenset((bool, int, float, type(None)))
