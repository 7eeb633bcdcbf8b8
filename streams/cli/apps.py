"""Makes every command and group of commands in the same way, so that all help pages look alike.

Help texts are Markdown: what is typed stands between backquotes, which the terminal shows as code. The markup of rich
was rejected: it takes `[sts]` for a style and leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import typer
from typer._param_types import coerce_cli_path
from typer.core import TyperCommand, TyperGroup

MARKUP: Literal["markdown"] = "markdown"

SIGNING_PANEL = "Signing"
LOG_PANEL = "Where the log is"
_LAST_PANELS = (SIGNING_PANEL, LOG_PANEL)
_LAST_OPTIONS = ("--as", "--json", "--help")
"""What most commands have stands at the end, in this order, so that what a command has of its own comes first."""
_OPTION = "option"


class _Command(TyperCommand):
    """A command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options and arguments, also that for help."""
        return _prepared(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with examples at the end."""
        super().format_help(ctx, formatter)
        _write_examples(ctx)


class Group(TyperGroup):
    """A group of commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options and arguments, also that for help."""
        return _prepared(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with examples at the end."""
        super().format_help(ctx, formatter)
        _write_examples(ctx)


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


class _CheckedWhenGiven:
    """Checks and converts a value of an option as typer does, but makes what does it when there is a value.

    Typer makes a model of pydantic for each option of a command, whether it is given or not. That takes a short command
    15 ms, and a help page, which otherwise needs no pydantic, 60 ms. For a text, a flag and a path no model is needed.
    """

    def __init__(self, descriptor: Any) -> None:
        self._descriptor = descriptor
        self._made: Any = None

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value for the command."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        annotation, info = self._descriptor.annotation, self._descriptor.parameter_info
        if info.parser is None:
            if annotation in (str, bool) and type(value) is annotation:
                return value
            # Only a path that is shown as it was typed, where something is wrong with it.
            if annotation is Path and info.path_type is None and str(path := Path(value)) == value:
                return coerce_cli_path(path, info, path_type=Path, param=param, ctx=ctx)
        if self._made is None:
            from typer._coercion import build_runtime_param  # noqa: PLC0415 - typer offers no public name for it

            self._made = build_runtime_param(self._descriptor)
        return self._made.coerce(value, param=param, ctx=ctx)


def _prepared(params: list[Any]) -> list[Any]:
    """Return options and arguments after having made them show less in their help, and take less time.

    Typer shows `<bool>` for an option that takes no value, `<list[str]>` beside the name of an argument, and `{INTENT}`
    for an argument that is required.
    """
    for param in params:
        if getattr(param, "_runtime_param", 0) is None:
            param._runtime_param = _CheckedWhenGiven(param.type_descriptor)
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
        if param.param_type_name == "argument" and not (param.type_descriptor.is_choice and param.show_choices):
            param.display_type_rich = _no_type
        if param.param_type_name == "argument":
            param.get_usage_pieces = partial(_usage_as_documented, param)
    # Arguments keep their order, which means something.
    return sorted(params, key=_place)


def _place(param: Any) -> tuple[int, int]:
    """Return where an argument or option stands in the help: the section, and the place in it."""
    if param.param_type_name != _OPTION:
        return 0, 0
    panel = param.rich_help_panel
    if panel is not None:
        return 2 + (_LAST_PANELS.index(panel) + 1 if panel in _LAST_PANELS else 0), 0
    last = next((number for number, name in enumerate(_LAST_OPTIONS, start=2) if name in param.opts), None)
    return 1, last or (0 if param.required else 1)


def _write_examples(ctx: Any) -> None:
    """Write the examples of a command, if it can be run."""
    from streams.cli.examples import EXAMPLES  # noqa: PLC0415 - for help only

    examples = EXAMPLES.get(ctx.command_path.partition(" ")[2])
    if examples is None:
        return
    from rich.console import Console  # noqa: PLC0415 - for a person
    from rich.panel import Panel  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    panel = Panel(Text("\n".join(examples)), title="Examples", title_align="left", border_style="dim")
    Console(highlight=False).print(panel)


def _no_type(ctx: Any) -> None:
    """Return that there is no type to show."""


def _usage_as_documented(param: Any, ctx: Any) -> list[str]:
    """Return how the usage of a command names an argument: as pages and examples do."""
    return [piece.replace("{", "").replace("}", "") for piece in type(param).get_usage_pieces(param, ctx)]
