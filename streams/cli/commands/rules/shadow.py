"""`stoplog rules shadow`: count what rules in shadow would have done."""

from __future__ import annotations

from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import BundleOption, ChangesMaxOption, Connection, Output
from streams.cli.options.stretches import StretchOptions
from streams.cli.terminal.screen import FAINT, OK, WARN, Screen
from streams.cli.terminal.text import short
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import instant_text
from streams.model.plurals import many
from streams.operations.rules.shadow import ShadowReport, count_shadow
from streams.wiring.operators import open_operator

_SESSION_CHARS = 16


@takes_groups
def shadow(
    *,
    changes_max: ChangesMaxOption = 20,
    stretch: StretchOptions,
    name: BundleOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Count the calls that rules in shadow have matched, and those that each would have decided otherwise.

    It answers what happens if you remove `mode: shadow` from a rule, for each rule by itself, from the verdicts on the
    log: it needs the right to read them, and no root key. What would have followed is not known, nor what other rules
    would have asked about a call that a permit lets through. A call that was already decided at least as strictly is
    not counted as a change. Once enforced, a rule that can't be evaluated for a call denies it, unless the rule
    permits. To try several together, or rules that are not published, use `rules backtest` on a folder in which they
    are not in shadow.
    """
    screen, chosen_stretch = output.screen(), stretch.stretch()
    with open_operator(connection.settings()) as operator:
        report = count_shadow(operator, name or operator.deployment.bundle_name, chosen_stretch)
    _record(screen, report, changes_max)
    if not report.rules:
        screen.say("no rule is in shadow", OK)
        return
    _tell(screen, report, changes_max)
    if report.changes:
        step = f"rules explain --intent {report.changes[0].intent_id} --rule {report.changes[0].rule_id}"
        tell_steps(screen, connection, [("why the rule matched the first one", step)])


def _record(screen: Screen, report: ShadowReport, changes_max: int) -> None:
    for rule_id, counted in sorted(report.rules.items()):
        fields = {"record": "rule", "rule_id": rule_id, "effect": counted.effect.value}
        changed = [{"was": was, "would_be": after, "calls": n} for (was, after), n in counted.changed.most_common()]
        screen.record({**fields, "matched": counted.matched, "failed": counted.failed, "changed": changed})
    for change in report.changes[:changes_max]:
        screen.record({"record": "change", **change._asdict()})
    screen.record({"record": "summary", "calls": report.calls_count, "rules": len(report.rules)})


def _tell(screen: Screen, report: ShadowReport, changes_max: int) -> None:
    screen.table(
        ("rule", "effect", "matched", "failed", "would change"),
        [
            (
                rule_id,
                counted.effect.value.lower(),
                str(counted.matched),
                str(counted.failed),
                ", ".join(f"{n} {was} to {after}" for (was, after), n in counted.changed.most_common()) or "nothing",
            )
            for rule_id, counted in sorted(report.rules.items())
        ],
    )
    screen.say()
    if report.changes:
        screen.table(
            ("at", "intent", "session", "tool", "rule"),
            [
                (
                    instant_text(change.time_ms),
                    change.intent_id,
                    short(change.session_id, _SESSION_CHARS),
                    change.tool,
                    change.rule_id,
                )
                for change in report.changes[:changes_max]
            ],
        )
        screen.say()
    changed_count = sum(counted.changed.total() for counted in report.rules.values())
    if changed_count > changes_max:
        screen.say(f"{many(changed_count - changes_max, 'more call')} would change; see them with `--max`", FAINT)
    alone = ", each counted as if it alone were enforced" if len(report.rules) > 1 else ""
    looked = f"{many(report.calls_count, 'call')}, {many(len(report.rules), 'rule')} in shadow{alone}"
    screen.say(looked, WARN if changed_count or not report.calls_count else OK)
