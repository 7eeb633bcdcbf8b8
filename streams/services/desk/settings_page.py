"""Renders the reference of the settings of the desk, from the settings themselves."""

from __future__ import annotations

from pydantic import BaseModel

from streams.desk.messages import Kind
from streams.services.desk import settings
from streams.services.section_table import section_table

_SECTIONS: tuple[type[BaseModel], ...] = (
    settings.DeskSection,
    settings.RouteSection,
    settings.MaintenanceSection,
    settings.WebhookSinkSection,
    settings.SlackSection,
    settings.PagerdutySection,
    settings.SplunkSection,
    settings.SyslogSection,
    settings.FileSection,
)
_KIND_TEXTS = {
    Kind.NEW: "an incident has begun",
    Kind.UPDATE: "its count has passed a power of ten, or it is more severe",
    Kind.ESCALATION: "nobody has acknowledged it in time",
    Kind.ACKNOWLEDGED: "somebody has acknowledged it",
    Kind.RESOLVED: "all its alerts are closed",
    Kind.SUMMARY: "maintenance is over; `incidents` has a line for each incident that waited, at most 20",
    Kind.TEST: "`stoplog desk test`",
}


def desk_page() -> str:
    """Return the page in Markdown."""
    parts = [
        "# The desk",
        "Settings of `stoplog desk`, and what it sends. [Notify people of alerts](../how-to/route-alerts.md) shows how "
        "to use it. A setting that is unknown or has a wrong value stops the start, and the error names file and line.",
        *(section_table(each) for each in _SECTIONS),
        "## Messages\n\nWebhooks (in `data`), files and Splunk (in `event`) get JSON. `id` is the same for each "
        "attempt and each sink. `incident` is the same for all messages about an incident. `finding` is what "
        "`stoplog alerts ack` takes. `ocsf` is the alert as a Detection Finding of OCSF, in the kinds `new` and "
        "`escalation`. CEF has the kind in `cat`, and in `act` what was done with the call: `blocked` or `logged`.",
        "\n".join(
            ["| `kind` | sent when |", "| --- | --- |", *(f"| `{kind}` | {_KIND_TEXTS[kind]} |" for kind in Kind)]
        ),
    ]
    return "\n\n".join(parts) + "\n"
