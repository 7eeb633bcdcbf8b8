"""Tables of what rule bundles do with attacks and honest work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bench.tables.cells import Result, table

_FORMS = (
    "The shipped rules and the same cases in other forms: with the task scope that an issuer would state in every "
    "session, with contents that are reported as if no sentence read like an instruction, and with harmless "
    "imperatives of people, and of the tools' own verbs, in what others have written in honest tasks"
)
_POLICIES = (
    "policy",
    "ASR %",
    "ASR % always yes",
    "honest unaided %",
    "calm %",
    "refused %",
    "questions a task",
    "own calls done %",
)
_COLUMNS = ("policy", "ASR %", "if yes", "unaided", "calm", "refused", "questions", "own done")
_LEGEND = """\
ASR %      attacks in which the attacker's goal is reached though nobody approves anything
if yes     the same, if every question gets a yes
unaided    honest tasks of which all calls run without a question, in %
calm       the same, without the sentences full of imperatives in what others have written
refused    honest tasks of which a call doesn't run even if every question gets a yes, in %
questions  the mean for each honest task
own done   attacked tasks in which all of the user's own calls run unaided, in %"""
_NOTE = (
    "The attacked agent always obeys. ASR: the attacker's goal is reached although nobody approves anything; always "
    "yes: every question gets a yes. Honest unaided: all calls of an honest task run without a question; "
    "calm: the same without the sentences full of imperatives in what others have written; refused: one of the calls "
    "doesn't run even with a yes to every question. Own calls done: attacked tasks in which all of the user's "
    "own calls run unaided. Every bundle is extended by a rule that permits all tools of the catalog. The last two "
    "policies are computed from the histories, the others are decided by the gate."
)


def injection_table(result: Result) -> str:
    """Return the figures of all policies in Markdown: one table of the policies, and one by technique."""
    policies: dict[str, Any] = result["policies"]
    return "\n".join(
        [
            f"{_head(result)}. {_NOTE}\n",
            table(_POLICIES, list(_policy_rows(policies))),
            f"{_by_domain(result)}:\n",
            table(("domain", *_POLICIES[1:]), list(_policy_rows(result["domains"]))),
            "ASR in % by technique, without a yes / with a yes to every question:\n",
            table(("technique", "attacks", *policies), list(_technique_rows(policies))),
        ]
    )


def forms_table(result: Result) -> str:
    """Return the figures of one bundle in all forms of the cases in Markdown: all in all, and by technique."""
    forms: dict[str, Any] = result["policies"]
    return "\n".join(
        [
            f"{_FORMS}. {_head(result)}; the columns are those of [injection](#injection).\n",
            table(("form", *_POLICIES[1:]), _with_dashes(_policy_rows(forms))),
            "ASR in % by technique, without a yes / with a yes to every question:\n",
            table(("technique", "attacks", *forms), _with_dashes(_technique_rows(forms))),
        ]
    )


def printed(result: Result) -> str:
    """Return the figures for a screen, 100 columns wide."""
    policies: dict[str, Any] = result["policies"]
    names = [f"[{number}] {name}" for number, name in enumerate(policies, start=1)]
    short = dict(zip([f"[{number}]" for number in range(1, len(policies) + 1)], policies.values(), strict=True))
    rows = [(name, *row[1:]) for name, row in zip(names, _policy_rows(policies), strict=True)]
    techniques = list(_technique_rows(short))
    return "\n".join(
        [
            _head(result),
            "",
            *_aligned(_COLUMNS, rows),
            "",
            _by_domain(result),
            "",
            *_aligned(("domain", *_COLUMNS[1:]), list(_policy_rows(result["domains"]))),
            "",
            "ASR in % by technique (with a yes to every question)",
            "",
            *_aligned(("technique", "attacks", *short), [_with_brackets(row) for row in techniques]),
            "",
            _LEGEND,
        ]
    )


def _head(result: Result) -> str:
    first = next(iter(result["policies"].values()))
    half = {"develop": "the half to develop on", "once": "the half to look at once"}.get(result["half"], "both halves")
    return f"{first['honest']['tasks']} honest tasks and {first['attacks']['attacks']} attacks ({half})"


def _by_domain(result: Result) -> str:
    return f"By domain, of {next(iter(result['policies']))}"


def _policy_rows(policies: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    for name, found in policies.items():
        honest, attacks = found["honest"], found["attacks"]
        yield (
            name,
            attacks["success"],
            attacks["success_with_yes"],
            honest["unaided"],
            honest["unaided_calm"],
            honest["refused"],
            honest["questions_per_task"],
            attacks["own_unaided"],
        )


def _technique_rows(policies: dict[str, Any]) -> Iterator[tuple[object, ...]]:
    first = next(iter(policies.values()))
    for technique, about in first["techniques"].items():
        each = [found["techniques"].get(technique) for found in policies.values()]
        yield technique, about["attacks"], *(row and f"{row['success']} / {row['success_with_yes']}" for row in each)


def _with_dashes(rows: Iterator[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return rows with a dash for each figure that a form doesn't have."""
    return [tuple("-" if cell is None else cell for cell in row) for row in rows]


def _with_brackets(row: Sequence[object]) -> tuple[object, ...]:
    name, attacks, *cells = row
    return name, attacks, *(cell and "{} ({})".format(*str(cell).split(" / ")) for cell in cells)


def _aligned(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield lines with the first column to the left and the others to the right."""
    texts = [tuple("-" if cell is None else str(cell) for cell in row) for row in (head, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    for row in texts:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()
