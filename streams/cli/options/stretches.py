"""The options that name instants: a stretch of time, one instant, and when something ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options.groups import OptionGroup
from streams.codec.instants import parse_instant
from streams.codec.varints import MalformedError

if TYPE_CHECKING:
    # Loaded when a command is run, so that its help answers at once.
    from streams.operations.replay.run import Stretch


@dataclass(frozen=True, kw_only=True)
class StretchOptions(OptionGroup):
    """Which verdicts a command is about, by their instants."""

    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Only verdicts from this instant on (`2025-11-25T09:00:00Z`)."),
    ] = None
    to: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only verdicts before this instant.")] = None

    def stretch(self) -> Stretch:
        """Return the stretch of time.

        Raises:
            BadParameter: an instant is not one, or the stretch ends before it begins.
        """
        from streams.operations.replay.run import Stretch  # noqa: PLC0415 - see above

        begin_ms, end_before_ms = instant_ms(self.from_, "--from"), instant_ms(self.to, "--to")
        if begin_ms is not None and end_before_ms is not None and end_before_ms <= begin_ms:
            raise typer.BadParameter(f"`{self.to}` is not after `--from {self.from_}`", param_hint="--to")
        return Stretch(begin_ms, end_before_ms)


def instant_ms(text: str | None, option: str) -> int | None:
    """Return the instant that an option names; None if it names none.

    Raises:
        BadParameter: the text is not an instant.
    """
    try:
        return None if text is None else parse_instant(text)
    except MalformedError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def end_ms(text: str | None, now_ms: int, option: str = "--until") -> int | None:
    """Return the instant that `--until`, or another option, names; None if it names none.

    Raises:
        BadParameter: the text is neither an instant nor a duration, or the instant is not in the future.
    """
    from streams.operations.stops import UntilError, until_instant  # noqa: PLC0415 - see above

    try:
        return None if text is None else until_instant(text, now_ms)
    except UntilError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
