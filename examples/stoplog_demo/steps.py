"""What the demonstration tells its view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

USER = "user"
"""Names the user as the one who asked for a call, if the agent has not read the request somewhere."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One proposed call and its outcome.

    Attributes:
        asked_by: `USER`, or the file in which the agent has read the request.
        words: the request, in its words.
        text: why the call was allowed or stopped, with the rules that decided.
        result: `done`, `tool_error`, `not run`, or `refused` if the executor refused it.
        intent_id, session_id: its ids, to look it up.
    """

    session: str
    user: str
    tool: str
    argument: str
    asked_by: str
    words: str = ""
    outcome: str
    reason: str
    text: str
    result: str
    intent_id: str = ""
    session_id: str = ""

    @property
    def stopped(self) -> bool:
        """Return whether it did not run."""
        return self.result not in {"done", "tool_error"}


@dataclass(frozen=True, kw_only=True)
class Check:
    """A result that the demonstration must have."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail in the mail folder."""

    to: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The end of the demonstration.

    Attributes:
        mails: the content of the mail folder, oldest first.
        folder_text: the mail folder in a sentence.
        closing: what it all means, in a sentence.
        commands: what to type next, and what each command shows.
    """

    checks: Sequence[Check]
    mails: Sequence[Mail]
    folder_text: str
    closing: str
    commands: Sequence[tuple[str, str]]

    @property
    def ok(self) -> bool:
        """Return whether every check has passed."""
        return bool(self.checks) and all(check.ok for check in self.checks)
