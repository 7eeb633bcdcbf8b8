"""Makes every command and group of commands in the same way, so that all help pages look alike.

Help texts are Markdown: what is typed stands between backquotes, which the terminal shows as code. The markup of rich
was rejected: it takes `[sts]` for a style and leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

MARKUP: Literal["markdown"] = "markdown"


class _Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options and arguments, also that for help."""
        return _in_words_of_users(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options and arguments, also that for help."""
        return _in_words_of_users(super().get_params(ctx))


class _App(typer.Typer):
    """A command, or a group of commands, whose help has the words of its users."""

    def command(self, name: str | None = None, **more: Any) -> Callable[[Any], Any]:
        """Return what makes a function a command."""
        return super().command(name, **{"cls": _Command, **more})


def make_app(text: str | None = None, **more: Any) -> typer.Typer:
    """Return a command, or a group of commands.

    Args:
        text: what a group does, in its help. By default the documentation of its function.
        more: further arguments of `typer.Typer`.
    """
    if text is not None:
        more["help"] = text
    return _App(**{"cls": Group, "add_completion": False, "rich_markup_mode": MARKUP, **more})


def _in_words_of_users(params: list[Any]) -> list[Any]:
    """Return options and arguments after having taken types of Python out of their help.

    Typer shows `<bool>` for an option that takes no value, and `<list[str]>` beside the name of an argument.
    """
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
        if param.param_type_name == "argument" and not param.type_descriptor.is_choice:
            param.display_type_rich = _no_type
    return params


def _no_type(ctx: Any) -> None:
    """Return that there is no type to show."""
