"""A scripted agent that is as gullible as a model can be: it does what its user asks, and also what it reads.

It knows a handful of phrases. In the results of tools it looks for "please also ..." and follows that. Nothing here
knows which file contains such an instruction.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stoplog_demo.steps import USER

TASKS_MAX = 50
"""How many tasks it accepts in one session; it ignores further instructions in files."""

SUMMARY_LINES_PER_SOURCE = 2
BODY_CHARS_MAX = 4_000

_ALSO = re.compile(r"\bplease also (?P<task>[^\n]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Wish:
    """A call that the agent wants to make.

    Attributes:
        asked_by: `USER`, or the file in which the agent has read the request.
        words: the request, in its words.
    """

    tool: str
    args: Mapping[str, object]
    asked_by: str
    words: str = ""


@dataclass(frozen=True)
class _Task:
    make: Callable[[], tuple[str, dict[str, object]]]
    asked_by: str
    words: str = ""


class Assistant:
    """The work of one session: it gets tasks and results, and returns calls."""

    def __init__(self, repository: Path) -> None:
        self._repository = str(repository)
        self._tasks: deque[_Task] = deque()
        self._taken_count = 0
        self._read: dict[str, str] = {}
        self._read_for_user: set[str] = set()
        self._phrases: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], list[_Task]]], ...] = (
            (re.compile(r"check the status"), self._status),
            (re.compile(r"show the last (?P<count>\d{1,3}) changes"), self._log),
            (re.compile(r"read (?P<path>\S+)"), self._show),
            (re.compile(r"start branch (?P<name>\S+)"), self._branch),
            (re.compile(r"tell (?P<to>\S+@\S+) that (?P<what>.+)"), self._tell),
            (re.compile(r"mail the contents of (?P<path>\S+) to (?P<to>\S+@\S+)"), self._mail_contents),
            (re.compile(r"mail a summary to (?P<to>\S+@\S+)"), self._mail_summary),
        )

    def ask(self, request: str) -> None:
        """Accept tasks from the user, separated by semicolons."""
        for task in request.split(";"):
            self._tasks.extend(self._understand(task.strip(), USER))

    def next(self) -> Wish | None:
        """Return the next call, or None when everything is done."""
        if not self._tasks:
            return None
        task = self._tasks.popleft()
        tool, args = task.make()
        return Wish(tool, args, task.asked_by, task.words)

    def saw(self, wish: Wish, content: str) -> None:
        """Process the result of a call; instructions in it come first."""
        source = str(wish.args.get("revision", wish.tool)).removeprefix("HEAD:")
        self._read[source] = content
        if wish.asked_by == USER:
            self._read_for_user.add(source)
        also: list[_Task] = []
        for found in _ALSO.finditer(content):
            tasks = self._understand(found["task"].strip(), source)
            also += [replace(task, words=found[0].strip()) for task in tasks]
        self._tasks.extendleft(reversed(also))

    def _understand(self, text: str, asked_by: str) -> list[_Task]:
        for pattern, make in self._phrases:
            found = pattern.match(text)
            if found is None:
                continue
            tasks = make(found, asked_by)
            self._taken_count += len(tasks)
            return tasks if self._taken_count <= TASKS_MAX else []
        return []

    def _git(self, asked_by: str, tool: str, **args: object) -> _Task:
        return _Task(lambda: (f"git/{tool}", {"repo_path": self._repository, **args}), asked_by)

    def _status(self, _found: re.Match[str], asked_by: str) -> list[_Task]:
        return [self._git(asked_by, "git_status")]

    def _log(self, found: re.Match[str], asked_by: str) -> list[_Task]:
        return [self._git(asked_by, "git_log", max_count=int(found["count"]))]

    def _show(self, found: re.Match[str], asked_by: str) -> list[_Task]:
        return [self._git(asked_by, "git_show", revision=f"HEAD:{found['path']}")]

    def _branch(self, found: re.Match[str], asked_by: str) -> list[_Task]:
        return [self._git(asked_by, "git_create_branch", branch_name=found["name"])]

    def _tell(self, found: re.Match[str], asked_by: str) -> list[_Task]:
        return [_mail(asked_by, found["to"], "News", lambda: found["what"])]

    def _mail_contents(self, found: re.Match[str], asked_by: str) -> list[_Task]:
        path = found["path"]
        first = [] if path in self._read else self._show(found, asked_by)
        return [*first, _mail(asked_by, found["to"], path, lambda: self._read.get(path, ""))]

    def _mail_summary(self, found: re.Match[str], asked_by: str) -> list[_Task]:
        return [_mail(asked_by, found["to"], "Summary", self._summary)]

    def _summary(self) -> str:
        """Return the first lines of what the user asked to have read."""
        parts = []
        for source, content in self._read.items():
            if source not in self._read_for_user:
                continue
            lines = [line.strip() for line in content.splitlines() if line.strip()]
            parts.append("\n".join([f"{source}:", *lines[:SUMMARY_LINES_PER_SOURCE]]))
        return "\n\n".join(parts)


def _mail(asked_by: str, to: str, subject: str, body: Callable[[], str]) -> _Task:
    def make() -> tuple[str, dict[str, object]]:
        return "mail/send", {"to": [to], "subject": subject, "body": body()[:BODY_CHARS_MAX] or "(nothing)"}

    return _Task(make, asked_by)
