"""What is measured of a verdict, once it is committed."""

from __future__ import annotations

import msgspec

from streams.model.approval import GRANT_PREFIX
from streams.model.intent import Intent
from streams.model.verdict import Verdict
from streams.processors.gate.case import Asked


class Judged(msgspec.Struct, frozen=True, gc=False):
    """An intent and its verdict. A verdict that is given again has none.

    Attributes:
        asked: what was asked, when it arrived, and what it has waited for.
        verdict: the verdict.
    """

    asked: Asked
    verdict: Verdict

    @property
    def intent(self) -> Intent:
        """Return the intent."""
        return self.asked.intent

    @property
    def is_granted(self) -> bool:
        """Return whether a grant of people has approved the call: the verdict then ends its path with it."""
        path = self.verdict.delegation_path
        return bool(path) and path[-1].startswith(GRANT_PREFIX)


class Questioned(msgspec.Struct, frozen=True, gc=False):
    """A call about which people are asked.

    Attributes:
        number: which question of its session it has raised; 0 if it has joined one that was open.
    """

    number: int
