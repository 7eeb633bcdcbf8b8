"""Renders the reference page of the packs of detectors: what each finds, and on what it is tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.operations.behaviour.history_file import History
from streams.processors.watch.behaviour_file import BehaviourFiles

_HEAD = """# Packs of behaviour detectors

The watch judges by the detectors and correlations in `rules/behaviour/`. There is a pack for each kind of abuse. Beside
each pack are histories: weeks of everyday work, and then either the abuse or the honest work that looks most like it.
`stoplog rules test rules` runs them through the whole watch. It fails unless exactly the expected alerts are raised, so
a threshold that is too low fails as well as one that is too high. [How to write
them](behaviour-histories.md).

A detector without alerts only adds to risk, and can be selected by correlations. Histories show that a pack finds the
abuse at all and stays quiet about its counterpart. How often that is so on a fleet, [is
measured](../../bench/results/README.md).
"""


def packs_page(files: BehaviourFiles, histories: Iterable[History]) -> str:
    """Return the page.

    Args:
        files: the declarations of the shipped packs.
        histories: their histories.
    """
    written = list(histories)
    packs = sorted({*files.packs.values()}, key=lambda pack: (pack == "core", pack))
    return "\n".join([_HEAD, *(_section(pack, files, written) for pack in packs)])


def _section(pack: str, files: BehaviourFiles, histories: list[History]) -> str:
    lines = [f"## {pack}", "", files.descriptions.get(pack, ""), ""]
    lines += ["| name | kind | alerts | severity | tags |", "|---|---|---|---|---|"]
    lines += _declared(pack, files)
    lines += ["", "| history | expected alerts |", "|---|---|"]
    for history in histories:
        if history.pack == pack:
            found = ", ".join(f"`{name}`" for name in history.alerts) or "none"
            lines.append(f"| {history.name} | {found} |")
    return "\n".join(lines) + "\n"


def _declared(pack: str, files: BehaviourFiles) -> Iterator[str]:
    for each in files.declared.detectors:
        if files.packs[each.name] == pack:
            alerts, severity = ("yes", each.severity) if each.alerts else ("no", "")
            yield f"| `{each.name}` | `{each.kind}` | {alerts} | {severity} | {', '.join(each.tags)} |"
    for rule in files.declared.correlations:
        if files.packs[rule.name] == pack:
            tags = ", ".join(rule.tags)
            alerts = "yes" if rule.alerts else "no"
            yield f"| `{rule.name}` | correlation, `{rule.type}` | {alerts} | {rule.severity} | {tags} |"
