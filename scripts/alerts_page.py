"""The reference page of the alerts."""

from __future__ import annotations

from scripts.markdown import as_code, page_of, table_of
from streams.model.alert import severity_word
from streams.model.analytics import CONTROLS, DEAD_LETTERS, OTHERS, VERDICTS, Analytic
from streams.model.reasons import Reason
from streams.model.topics import ALERT_OCSF

_ALERT_HEADS = ("analytic uid", "severity", "raised when", "tags", "what to do")

_ALERT_FIELDS = {
    "`finding_info.uid`": "the finding. Both of its records have it",
    "`metadata.uid`": "the record",
    "`metadata.correlation_uid`": "the dedup key: occurrences with the same key are the same finding",
    "`activity_id`, `type_uid`": "1 (Create), 200401: the finding has occurred. 2 (Update), 200402: its window has "
    "ended, and it had occurred more than once",
    "`count`, `finding_info.first_seen_time`, `finding_info.last_seen_time`": "how often it has occurred, and when",
    "`severity_id`, `confidence_id`": "as in OCSF. Confidence is 3 (high), for `tool_text_suspicious` 2 (medium)",
    "`action_id`, `disposition_id`": "2, 2: it was denied. 3, 17: it was only seen",
    "`finding_info.analytic.uid`, `.version`": "the rule that decided, or the reason in the tables below",
    "`metadata.event_code`": "the reason, also where a rule decided",
    "`finding_info.attacks[].technique.uid`": "techniques of MITRE ATLAS: of the rule that decided, or of the reason",
    "`finding_info.types[]`, `metadata.tags[]`": "ids of the OWASP Top 10 for Agentic Applications, likewise",
    "`finding_info.desc`": "the explanation: a sentence that quotes no argument",
    "`finding_info.related_events[].uid`": "the audit record and the verdict, of the first and of the last occurrence",
    "`evidences[0].api`": "the call: `operation` is the tool, `service.name` its server, `request.uid` the intent",
    "`evidences[0].actor`": "`app_name` is the agent, `user.uid` the subject, `session.uid` the session",
    "`evidences[1...].uid`": "events in which the session had read what nobody vouches for, the latest last",
    "`evidences[1...].file.name`": "the documents that were read there, if their reader has named them and their label "
    "says that anybody may see them (`PUBLIC`, and no list of readers). All others are named by arguments of the "
    "calls that read them, which `stoplog session show` shows to those who may read verdicts",
    "`metadata.tenant_uid`": "the tenant; empty for findings about the deployment",
    "`remediation.desc`": "commands, one in a line: what shows more, and what stops the session",
}

_HANDLED_FIELDS = {
    "`finding_info.uid`": "the finding that changes",
    "`metadata.uid`": "the signed record on `agent.alert.status.v1`",
    "`activity_id`, `type_uid`": "2 (Update), 200402: acknowledged. 3 (Close), 200403: resolved, or a false positive",
    "`status_id`, `status_detail`": "2 (In Progress), `acknowledged`. 4 (Resolved), `resolved` or `false positive`",
    "`comment`": "who has done it, and why",
    "`metadata.event_code`": "`alert_acknowledged`, `alert_resolved` or `alert_false_positive`",
}


def alerts_page() -> str:
    """Return `alerts.md`: every kind of alert, when it is raised, and what to do."""
    return page_of(
        "Alerts",
        "Gates and the catalog review write each alert twice: to `agent.alert.v1` as a record, and to "
        f"`{ALERT_OCSF.name}` as a Detection Finding (class 2004) of OCSF 1.8.0. `stoplog tail alerts` and "
        "`stoplog tail ocsf` print them. [How to triage an alert](../how-to/triage-an-alert.md) begins with one.",
        "## Fields",
        table_of(("field of OCSF", "content"), _ALERT_FIELDS.items()),
        "## What people do with an alert\n\nWhen somebody acknowledges or closes an alert, and the signature counts, "
        f"the watch writes a further event of the same finding to `{ALERT_OCSF.name}`. It has `is_alert` false, no "
        "evidence, and these fields. Those that are not named here are as above.",
        table_of(("field of OCSF", "content"), _HANDLED_FIELDS.items()),
        "## A flood is one alert\n\nThe first occurrence of a finding is written at once. For `gate.alert_window_ms` "
        "(1 minute), further occurrences with the same dedup key are only counted. At the end, a second record says "
        "how often the finding occurred; there is none if it occurred once. The next occurrence is a new finding with "
        "the same dedup key. Of each reason, a partition has at most 256 findings of a tenant at once, and 1,024 of "
        "all tenants (32 if nobody has proven who caused them); all others count for a common one, whose dedup key is "
        '`[reason, "common", partition]`. The '
        "audit records are complete in any case. [ADR 0047](../adr/0047-a-flood-is-one-alert.md) says why.\n\nThe "
        "dedup key is a JSON list that begins with the reason. Its other parts have this order:",
        table_of(
            ("alert about", "dedup key"),
            (
                ("a verdict", "reason, tenant, and the parts that the next table names"),
                ("a grant that arrives", "reason, tenant, session, `grant`, id of the grant"),
                ("a dead letter", "reason, topic, partition"),
                ("rules, tools and stops", "reason; `rules`, `catalog` or `stop`; name; place of the record"),
                ("a definition of a tool", "reason, the tools, digest of the definition"),
            ),
        ),
        "Session, tool, rule, budget and other parts are names as the log has them, cut to 200 characters. A budget "
        "has its name and a digest of whose it is.",
        "## Verdicts and grants\n\nReasons that begin with `delegation_` also raise an alert when the grant arrives.",
        table_of(
            (*_ALERT_HEADS, "dedup key"),
            ((*_alert_row(reason, kind), ", ".join(kind.key) or "nothing more") for reason, kind in VERDICTS.items()),
        ),
        "## Dead letters",
        table_of(_ALERT_HEADS, (_alert_row(reason, kind) for reason, kind in DEAD_LETTERS.items())),
        "## Rules, tools and stops\n\nAny other reason for which one of these is rejected raises an alert of severity "
        "critical, too.",
        table_of(_ALERT_HEADS, (_alert_row(reason, kind) for reason, kind in CONTROLS.items())),
        "## Others",
        table_of(_ALERT_HEADS, (_alert_row(reason, kind) for reason, kind in OTHERS.items())),
    )


def _alert_row(reason: str, kind: Analytic) -> tuple[str, ...]:
    tags = ", ".join((*kind.types, *(attack.technique_uid for attack in kind.attacks)))
    uid = "the rule's id" if "rule" in kind.key and reason != Reason.RULE_ERROR else as_code(reason)
    about = f" (`{reason}`)" if uid != as_code(reason) else ""
    tags = "those of the rule" if about else tags or "none"
    return uid + about, severity_word(kind.severity_id), kind.when, tags, kind.advice
