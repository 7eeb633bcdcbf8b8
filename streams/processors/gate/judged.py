"""What is measured of a verdict, once it is committed."""

from __future__ import annotations

import msgspec

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
