"""Generates the reference pages from the code: `python -m scripts.reference` rewrites them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scripts.alerts_page import alerts_page
from scripts.markdown import MADE, as_code, codes_table, page_of, table_of
from scripts.topics_page import topics_page
from streams.cli.commands_page import commands_page
from streams.metrics.declared import METRICS, OTHER, Exporter, Metric
from streams.model.reasons import (
    CONTROL_TEXTS,
    DEAD_LETTER_TEXTS,
    INPUT_LOSS_TEXTS,
    REASON_TEXTS,
    REFUSAL_TEXTS,
    SESSION_CHANGE_TEXTS,
    TIME_CORRECTION_TEXTS,
)
from streams.model.token_reasons import TOKEN_TEXTS
from streams.model.topics import VERDICT
from streams.model.verdict import FINAL_OUTCOMES, Outcome
from streams.operations.behaviour.history_file import read_histories
from streams.operations.behaviour.packs_page import packs_page
from streams.operations.topics.asyncapi import render_asyncapi
from streams.policy import run_case_files
from streams.policy.authoring.attacks_page import attacks_page
from streams.policy.authoring.facts_page import facts_page
from streams.policy.authoring.file_schema import schema_text
from streams.policy.authoring.functions_page import functions_page
from streams.policy.errors import Findings
from streams.policy.language.bundle import load_detector_files
from streams.processors.watch.behaviour_file import parse_behaviour
from streams.services.desk.settings_page import desk_page
from streams.wiring.settings_page import settings_page

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
RULES_SCHEMA = FOLDER.parents[1] / "rules" / "schema.json"

OUTCOME_TEXTS: dict[Outcome, str] = {
    Outcome.DENY: "do not run the call; the reason is a stable code that an agent can act on",
    Outcome.QUARANTINE: "do not run the call; the session is quarantined until a person releases it",
    Outcome.REQUIRE_APPROVAL: "wait; a final verdict for the same intent follows when people have decided, or when the "
    "time for approval is over",
    Outcome.DEFER: "wait; the call is deferred for a cancel window, after which a final verdict follows",
    Outcome.ALLOW: "run exactly the call in the verdict, once, before `expires_at`, and fulfil its obligations",
}

_EXPORTER_TEXTS = {
    Exporter.GATE: "Gate",
    Exporter.EXECUTOR: "Executor",
    Exporter.TOKENS: "Token service",
    Exporter.EVENTS: "Security event service",
    Exporter.QUESTIONS: "Service for questions",
    Exporter.DESK: "Desk",
}

_LABEL_PAGES = {
    "reason": "a code of [reasons](reasons.md)",
    "topic": "a name of [topics](topics.md)",
}


def render_reasons() -> str:
    """Return `reasons.md`: every code of verdicts, dead letters and refusals."""
    outcomes = (
        (as_code(outcome), "yes" if outcome in FINAL_OUTCOMES else "no", text)
        for outcome, text in OUTCOME_TEXTS.items()
    )
    return page_of(
        "Outcomes and reasons",
        "Codes are stable, because agents, dashboards and alerts act on them. The wording of a meaning may change. The "
        "text beside a code begins with its meaning and may say more, but never quotes an argument: it names places "
        "and bounds. In the place of an argument, a name that only the arguments have is written as `*`.",
        "## Outcomes\n\nThe outcome of a verdict says what the executor must do. A reader treats an unknown outcome as "
        "DENY.",
        table_of(("outcome", "final", "meaning"), outcomes),
        f"## Reasons of verdicts\n\nThe field `reason` of records on `{VERDICT.name}`.",
        codes_table(REASON_TEXTS),
        "## Reasons of dead letters\n\nThe header `stoplog.reason` of records on `.dlq` topics.",
        codes_table(DEAD_LETTER_TEXTS),
        "## Refusals of executors\n\nThe reason why an executor did not run a call: the field `reason` of its audit "
        "record.",
        codes_table(REFUSAL_TEXTS),
        "## Publications of rules and tools\n\nThe field `reason` of audit records of type CONTROL. A rejected "
        "publication has the reason of its dead letter.",
        codes_table(CONTROL_TEXTS),
        "## Lost input\n\nThe field `reason` of audit records of type DEAD_LETTER that have no dead letter.",
        codes_table(INPUT_LOSS_TEXTS),
        "## Corrected time\n\nThe field `reason` of audit records of type DEAD_LETTER that have no dead letter.",
        codes_table(TIME_CORRECTION_TEXTS),
        "## Sessions\n\nThe field `reason` of audit records of type SESSION. A session that has ended has the reason "
        "of its denials.",
        codes_table(SESSION_CHANGE_TEXTS),
        "## The token service\n\nThe field `reason` of its refusals, and of its audit records of type SESSION and "
        "REFUSAL.",
        codes_table(TOKEN_TEXTS),
    )


def render_metrics() -> str:
    """Return `metrics.md`: every metric, with its labels, and the paths that serve them."""
    parts: list[str] = []
    for exporter, text in _EXPORTER_TEXTS.items():
        own = [metric for metric in METRICS if metric.exporters[0] is exporter or len(metric.exporters) > 1]
        parts.append(f"## {text}")
        parts.append(table_of(("metric", "type", "labels", "meaning"), map(_metric_row, own)))
    labels = {(label.name, label.values, label.limit) for metric in METRICS for label in metric.labels}
    return page_of(
        "Metrics and health",
        "`streams/metrics/declared.py` declares the metrics, and this page is generated from it. A process serves them "
        "at `/metrics` where the setting `metrics.listen` says, with the extra `metrics` installed, along with "
        "`/health/live` and `/health/ready` ([how to watch it](../how-to/run-in-production.md)). It also exports the "
        "`process_` and `python_` metrics of Prometheus' client library.",
        "The names follow the conventions of Prometheus: base units, the unit last, `_total` after counters. A "
        "histogram has the series `_bucket`, `_sum` and `_count`. A series appears with its first value; metrics "
        "without labels are there from the start.",
        *parts,
        "## Labels\n\nNobody outside chooses how many series there are. A value that is not listed, or that comes "
        f"after as many others as a label has room for, counts as `{OTHER}`. No label holds a tenant, a session, an "
        "agent, a user or a tool.",
        table_of(("label", "values"), sorted({(as_code(name), _label_text(name, v, n)) for name, v, n in labels})),
    )


def _metric_row(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(as_code(label.name) for label in metric.labels)
    return as_code(metric.name), metric.kind.value, labels, metric.help


def _label_text(name: str, values: frozenset[str] | None, limit: int) -> str:
    if values is None:
        return f"any, at most {limit}"
    if name in _LABEL_PAGES:
        return _LABEL_PAGES[name]
    return ", ".join(as_code(value) for value in sorted(values))


def render_all() -> dict[str, str]:
    """Return the text of every generated page, by the name of its file."""
    asyncapi = json.dumps(render_asyncapi(), indent=2, ensure_ascii=False)
    return {
        "reasons.md": render_reasons(),
        "alerts.md": alerts_page(),
        "topics.md": topics_page(),
        "metrics.md": render_metrics(),
        "commands.md": f"{MADE}\n\n{commands_page()}",
        "desk.md": f"{MADE}\n\n{desk_page()}",
        "settings.md": f"{MADE}\n\n{settings_page()}",
        "facts.md": f"{MADE}\n{facts_page()}",
        "functions.md": f"{MADE}\n{functions_page()}",
        "starter-packs.md": f"{MADE}\n{attacks_page(run_case_files(RULES_SCHEMA.parent).attacks)}",
        "behaviour-packs.md": f"{MADE}\n{_behaviour_packs()}",
        "asyncapi.json": f"{asyncapi}\n",
    }


def _behaviour_packs() -> str:
    root = RULES_SCHEMA.parent
    files = parse_behaviour(load_detector_files(root))
    return packs_page(files, read_histories(root, files.packs, Findings()))


def main() -> int:
    """Rewrite the pages of the source tree, and the schema of rule files. Return the exit status."""
    if not FOLDER.is_dir():
        sys.stderr.write(f"`{FOLDER}` does not exist: reference pages are generated in a source tree\n")
        return 1
    for name, text in render_all().items():
        (FOLDER / name).write_text(text, "utf-8")
    RULES_SCHEMA.write_text(schema_text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
