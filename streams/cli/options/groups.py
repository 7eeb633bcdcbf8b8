"""Groups of options: a command takes one parameter for each group, and the command line shows the options in it.

**Idea.** A group is a frozen dataclass. Each field is an option with a default. `takes_groups` replaces every parameter
that is a group with the options of its fields before typer inspects the command, and builds the groups again from the
given options when the command is run.

**Rejected.** A callback above all commands that keeps the options in typer's context: the options would have to precede
the command's name. The same parameters written out in every command: thirty copies that drift apart.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_type_hints


class OptionGroup:
    """The base of dataclasses whose fields are options. Every field has a default."""


def takes_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command in the form that typer needs: the options of each group replace the group.

    Args:
        command: takes keyword arguments only; parameters that are groups need no default.
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
    run.__doc__ = _unwrapped(command.__doc__)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions declare no such attribute
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _unwrapped(text: str | None) -> str | None:
    """Return a docstring with each paragraph on one line: the help breaks lines where the terminal ends."""
    if text is None:
        return None
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def _options_of(kind: type[OptionGroup]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
        )
        for field in fields(kind)  # type: ignore[arg-type]  # the base isn't a dataclass, but every group is
    ]
