"""Renders the reference page of the attack corpora: what each pack catches, and what it doesn't claim."""

from __future__ import annotations

from collections.abc import Iterable

from streams.policy.authoring.attack_file import AttackReport, TechniqueResult

_HEAD = """# What the starter packs catch

Every starter pack has a corpus of attacks beside its cases (`rules/PACK/PACK.attacks.yaml`), and innocent calls of
everyday work. `stoplog rules test rules` judges all of them by the whole bundle. It fails if more than 5 in 100 attacks
of a technique pass, or if an innocent call has another verdict than expected. An attack is *caught* if a rule of the
pack denies the call, or if the call needs a person's approval. The attacks are written for this corpus; the column
"idea" names where the technique is described.

The corpus shows what the packs do against known techniques. It doesn't prove that there are no others. Each pack
therefore says what it does **not** claim.
"""


def attacks_page(report: AttackReport) -> str:
    """Return the page.

    Args:
        report: the results of all corpora of the starter bundle.
    """
    innocent: dict[str, int] = {}
    for group in report.innocent:
        innocent[group.pack] = innocent.get(group.pack, 0) + len(group.calls)
    parts = [_HEAD]
    for pack, unclaimed in sorted((report.unclaimed or {}).items()):
        results = [result for result in report.techniques if result.technique.pack == pack]
        parts.append(_section(pack, results, innocent.get(pack, 0), unclaimed))
    return "\n".join(parts)


def _section(pack: str, results: Iterable[TechniqueResult], innocent: int, unclaimed: Iterable[str]) -> str:
    lines = [
        f"## {pack}",
        "",
        "| technique | idea | attacks | denied | need approval | caught |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        technique = result.technique
        lines.append(
            f"| {technique.name} | {technique.idea} | {len(technique.calls)} | {result.denied} | {result.asked} "
            f"| {result.caught_percent:.0f}% |"
        )
    lines += ["", f"Innocent calls with the expected verdict: {innocent}.", "", "Not claimed:", ""]
    lines += [f"- {' '.join(text.split())}" for text in unclaimed]
    return "\n".join(lines) + "\n"
