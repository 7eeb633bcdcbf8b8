"""Shows entries, differences, findings and what an approval permits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.codec.instants import format_instant
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import GRANTING_STATES, entry_id
from streams.model.plurals import many
from streams.operations.catalog.history import CatalogHistory, Listed
from streams.operations.catalog.proposed_facts import assumed_facts, possible_sinks, strays
from streams.operations.review.diff import Change, claims_of, diff_entries, facts_of
from streams.operations.review.phrases import Concern
from streams.operations.review.scan import TextFinding

if TYPE_CHECKING:
    # It loads the rules, which few of the commands need.
    from streams.operations.review.permitted_use import Reach, RuleReach

STYLES = {
    EntryState.APPROVED: OK,
    EntryState.DEPRECATED: WARN,
    EntryState.PROPOSED: WARN,
    EntryState.BLOCKED: FAIL,
    EntryState.REJECTED: FAINT,
}
_CONCERNS = {Concern.HIGH: FAIL, Concern.MEDIUM: WARN, Concern.LOW: FAINT}
_VALUE_CHARS = 400
_RULES_SHOWN_MAX = 30
_HOLDERS_SHOWN_MAX = 20

_ALWAYS_SHOWN = frozenset({"output_label", "sink_args"})
"""Facts on which rules depend even if they are not stated."""


def entry_fields(entry: ToolCatalogEntry) -> dict[str, Any]:
    """Return the parts of an entry that programs need, as JSON."""
    return {
        "tool": f"{entry.server_id}/{entry.name}",
        "id": entry_id(entry),
        "catalog_version": entry.catalog_version,
        "state": entry.state.value,
        "definition_digest": entry.definition_digest.hex(),
        "facts": facts_of(entry),
        "proposed_by": entry.proposed_by,
        "reviewed_by": entry.reviewed_by,
        "reviewed_ms": entry.reviewed_at,
        "review_expires_ms": entry.review_expires,
        "review_note": entry.review_note,
    }


def instant(value_ms: int | None) -> str | None:
    """Return an instant as text; None for None."""
    return None if value_ms is None else format_instant(value_ms)


def standing_of(history: CatalogHistory, listed: Listed, now_ms: int) -> str:
    """Return how gates treat an entry: `in force`, `expired`, `refused`, `open`, or empty for an old entry."""
    if listed.fault:
        return "refused"
    in_force = history.in_force.get(listed.name)
    if in_force is None or entry_id(in_force) != listed.own_id:
        return "open" if listed in history.open_proposals(listed.name) else ""
    if listed.entry.state not in GRANTING_STATES:
        return "open" if listed in history.open_proposals(listed.name) else "in force"
    return "in force" if history.is_callable(listed.name, now_ms) else "expired"


def finding_fields(finding: TextFinding) -> dict[str, str]:
    """Return a finding as JSON."""
    return {
        "kind": finding.kind,
        "concern": finding.concern.value,
        "pointer": finding.pointer,
        "excerpt": finding.excerpt,
        "meaning": finding.meaning,
    }


def change_fields(change: Change) -> dict[str, Any]:
    """Return a difference as JSON."""
    return {
        "kind": change.kind.value,
        "pointer": change.pointer,
        "before": change.before,
        "after": change.after,
        "looser": change.is_looser,
    }


def reach_fields(reach: Reach) -> dict[str, Any]:
    """Return what an approval permits, as JSON."""
    return {
        "can": list(reach.can),
        "permitted_by_rules": reach.is_permitted if not reach.rules_note else None,
        "rules": [rule._asdict() for rule in reach.rules],
        "rules_note": reach.rules_note,
        "holders": [
            {"agent": each.agent, "sub": each.user, "tenant_uid": each.tenant, "grants": each.grants_count}
            | {"until_ms": each.until_ms}
            for each in reach.holders
        ],
        "holders_note": reach.holders_note,
    }


def show_entry(screen: Screen, listed: Listed, standing: str) -> None:
    """Write an entry, in a few lines."""
    entry = listed.entry
    by = f", signed by {', '.join(listed.signers)}" if listed.signers else ", not signed"
    screen.say(f"{listed.reference}  version {entry.catalog_version}  {entry.state.value.lower()}  {standing}", STRONG)
    screen.say(f"proposed by {entry.proposed_by or '-'}, reviewed by {entry.reviewed_by or '-'}{by}", FAINT)
    if entry.review_expires is not None:
        screen.say(f"the review expires on {instant(entry.review_expires)}", FAINT)
    if entry.review_note:
        screen.say(f"note: {entry.review_note}")
    if listed.fault:
        screen.say(f"gates reject this entry: {listed.fault}", FAIL)


def show_diff(screen: Screen, before: ToolCatalogEntry | None, after: ToolCatalogEntry) -> None:
    """Write how an entry differs from the approved one."""
    if before is None:
        screen.say("no version was approved before; everything is new", WARN)
        return
    changes = diff_entries(before, after)
    if not changes:
        screen.say(f"no changes since version {before.catalog_version}, which was approved", OK)
        return
    screen.say(f"changes since version {before.catalog_version}, which was approved:")
    for change in changes:
        looser = "  (rules permit more)" if change.is_looser else ""
        screen.say(f"  {change.kind.value} {change.pointer}{looser}", WARN if change.is_looser else STRONG)
        if change.lines:
            for line in change.lines:
                screen.say(f"    {short(line, _VALUE_CHARS)}", OK if line.startswith("+") else FAIL)
            continue
        if change.before:
            screen.say(f"    - {short(change.before, _VALUE_CHARS)}", FAIL)
        if change.after:
            screen.say(f"    + {short(change.after, _VALUE_CHARS)}", OK)


def show_facts(screen: Screen, entry: ToolCatalogEntry) -> None:
    """Write the facts about a tool, where its server claims that it is safer, and what gates assume for the rest.

    Those that are neither stated nor remarked on are named in one line.
    """
    assumed = assumed_facts(entry)
    rows, unstated = [], []
    for name, value in facts_of(entry).items():
        if name in assumed:
            remark = Text(f"gates assume {_fact_text(assumed[name])}", style=FAINT)
        else:
            remark = Text(doubt(entry, name), style=WARN)
        if value in (None, [], ()) and not remark.plain and name not in _ALWAYS_SHOWN:
            unstated.append(name)
        else:
            rows.append((name, short(_fact_text(value), _VALUE_CHARS), remark))
    screen.table(("fact", "value", "remark"), rows)
    if unstated:
        screen.prose(f"not stated: {', '.join(unstated)}", FAINT)


def doubt(entry: ToolCatalogEntry, name: str) -> str:
    """Return what to check about a fact; empty if there is nothing."""
    claims = claims_of(entry)
    if name in claims:
        return f"the server claims {str(claims[name]).lower()}; check whether that is true"
    if name == "sink_args" and not entry.sink_args and not entry.read_only and (possible := possible_sinks(entry)):
        return (
            f"rules notice no stranger in {', '.join(possible)}: state those that say where data goes, or what is "
            """acted on, with --fact 'sink_args=["/..."]'"""
        )
    gone = strays(entry, name)
    return f"no argument of its schema: {', '.join(gone)}" if gone else ""


def _fact_text(value: Any) -> str:
    """Return a fact's value in words."""
    match value:
        case None:
            return "not set"
        case bool():
            return "yes" if value else "no"
        case [] | ():
            return "none"
        case {"integrity": integrity, "confidentiality": confidentiality}:
            readers = value.get("readers")
            known_to = "" if readers is None else f", for {', '.join(readers) or 'nobody'}"
            return f"{integrity}, {confidentiality}{known_to}".lower()
        case {"path": path, "role": role}:
            return f"{path} {str(role).lower()}"
        case {"path": path, "source": source}:
            return f"{path} from {source}"
        case {"path": path, "label": label}:
            return f"{path}: {_fact_text(label)}"
        case [[*_], *_]:
            return "; ".join(" with ".join(each) for each in value)
        case list() | tuple():
            return "; ".join(_fact_text(each) for each in value)
        case _:
            return str(value)


def show_findings(screen: Screen, findings: Sequence[TextFinding]) -> None:
    """Write the findings in a tool's texts."""
    if not findings:
        screen.say("no findings in its texts; read them anyway", FAINT)
        return
    rows = [
        (Text(each.concern.value, style=_CONCERNS[each.concern]), each.pointer, each.meaning, each.excerpt)
        for each in findings
    ]
    screen.table(("concern", "where", "what", "text"), rows)


def show_reach(screen: Screen, reach: Reach) -> None:
    """Write what an approval permits."""
    screen.say("according to its facts, the tool:", STRONG)
    for sentence in reach.can:
        screen.prose(f"  {sentence}")
    screen.say("rules in force that apply to it:", STRONG)
    if reach.rules_note:
        screen.say(f"  {reach.rules_note}", WARN)
    elif not reach.is_permitted:
        screen.say("  no rule permits it: nobody can call it until one does", WARN)
    screen.table(("", "", ""), [_rule_row(rule) for rule in reach.rules[:_RULES_SHOWN_MAX]])
    if len(reach.rules) > _RULES_SHOWN_MAX:
        screen.say(f"  and {len(reach.rules) - _RULES_SHOWN_MAX} more", FAINT)
    screen.say("who holds a grant for it now:", STRONG)
    if reach.holders_note:
        screen.say(f"  {reach.holders_note}", WARN)
    for holder in reach.holders[:_HOLDERS_SHOWN_MAX]:
        until = instant(holder.until_ms)
        grants = many(holder.grants_count, "grant")
        screen.say(f"  {holder.agent} for {holder.user} ({holder.tenant}), {grants}, until {until}")
    if not reach.holders and not reach.holders_note:
        screen.say("  nobody", FAINT)
    if len(reach.holders) > _HOLDERS_SHOWN_MAX:
        screen.say(f"  and {len(reach.holders) - _HOLDERS_SHOWN_MAX} more", FAINT)


def _rule_row(rule: RuleReach) -> tuple[str, str, Text]:
    """Return what a rule does, for whom if not for all, and why; of one that permits, also when."""
    mode = "" if rule.mode == "enforce" else f" ({rule.mode})"
    limits = (("agents", rule.agents), ("tenants", rule.tenants))
    whom = [f"for {what} {', '.join(names)} only" for what, names in limits if names]
    told = Text(printable(": ".join((*whom, rule.reason))))
    if rule.effect == "permit":
        told.append(f"\nwhen {short(rule.when, _VALUE_CHARS)}", FAINT)
    return f"  {rule.rule_id}", f"{rule.effect}{mode}", told


def show_signing(screen: Screen, shown: Sequence[Listed], draft: Path) -> None:
    """Write the command that signs exactly the entries of the draft that were shown."""
    references = " ".join(quote(listed.reference) for listed in shown)
    screen.say()
    screen.say(f"    stoplog catalog sign {quote(str(draft))} {references} --key FILE", STRONG)
    screen.say()


def show_next(screen: Screen, listed: Listed, key: str) -> None:
    """Write the commands that decide on the entry that was shown.

    Args:
        screen: where they are written.
        listed: the entry.
        key: the option that a decision needs for its signature, with a space before it; empty if it needs none.
    """
    # The server chose the tool's name, and these lines are pasted into a shell.
    reference = quote(listed.reference)
    screen.say()
    screen.say(f"    stoplog catalog approve {reference}{key}", STRONG)
    screen.say(f"    stoplog catalog reject {reference}{key} --why TEXT", STRONG)
    screen.say()
