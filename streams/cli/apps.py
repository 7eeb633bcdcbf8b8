"""Makes every command and group of commands in the same way, so that all help pages look alike.

Help texts are Markdown: what is typed stands between backquotes, which the terminal shows as code. The markup of rich
was rejected: it takes `[sts]` for a style and leaves it out.
"""

from __future__ import annotations

from typing import Any, Literal

import typer

MARKUP: Literal["markdown"] = "markdown"


def make_app(text: str | None = None, **more: Any) -> typer.Typer:
    """Return a command, or a group of commands.

    Args:
        text: what a group does, in its help. By default the documentation of its function.
        more: further arguments of `typer.Typer`.
    """
    if text is not None:
        more["help"] = text
    return typer.Typer(add_completion=False, rich_markup_mode=MARKUP, **more)
