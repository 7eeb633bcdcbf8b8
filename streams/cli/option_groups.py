"""Groups of options: a command takes one parameter for each, and the command line shows the options in it.

**Idea.** A group is a frozen dataclass whose fields are options, with a default each. `takes_groups` replaces every
parameter of a group by the options of its fields before typer looks at the command, and puts them together again when
the command is run.

**Rejected.** A callback above all commands that keeps the options in typer's context: they would have to stand before
the command's name. Lists of the same parameters in every command: thirty copies, which begin to differ.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_type_hints


class OptionGroup:
    """A base of dataclasses whose fields are options. Every field has a default."""


def takes_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command as typer is to see it: with the options of its groups, each in its group's place.

    Args:
        command: its parameters are all given by keyword; those of a group need no default.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type[OptionGroup]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        kind = hints[name]
        if isinstance(kind, type) and issubclass(kind, OptionGroup):
            groups[name] = kind
            parameters += _options_of(kind)
        else:
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{option.name: given.pop(option.name) for option in _options_of(kind)})
        command(**given)

    del run.__wrapped__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions have no such attribute of their own
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _options_of(kind: type[OptionGroup]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
        )
        for field in fields(kind)  # type: ignore[arg-type]  # the base is no dataclass, but every group is
    ]
