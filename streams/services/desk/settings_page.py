"""Renders the reference of the settings of the desk, from the settings themselves."""

from __future__ import annotations

import re
from inspect import cleandoc

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from streams.desk.messages import Kind
from streams.services.desk import settings

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
    Kind.RESOLVED: "all its findings are closed",
    Kind.SUMMARY: "maintenance is over; `incidents` has a line for each incident that waited, at most 20",
    Kind.TEST: "`stoplog desk test`",
}
_MEMBER = re.compile(r"^    ([a-z_, ]+): (.*)$")


def desk_page() -> str:
    """Return the page in Markdown."""
    parts = [
        "# The desk",
        "Settings of `stoplog desk`, and what it sends. [Notify people of alerts](../how-to/route-alerts.md) shows how "
        "to use it. A setting that is unknown or has a wrong value stops the start, and the error names file and line.",
        *(_section(each) for each in _SECTIONS),
        "## Messages\n\nWebhooks (in `data`), files and Splunk (in `event`) get JSON. `id` is the same for each "
        "attempt and each sink. `incident` is the same for all messages about an incident. `finding` is what "
        "`stoplog alerts ack` takes. `ocsf` is the alert as a Detection Finding of OCSF, in the kinds `new` and "
        "`escalation`.",
        "\n".join(
            ["| `kind` | sent when |", "| --- | --- |", *(f"| `{kind}` | {_KIND_TEXTS[kind]} |" for kind in Kind)]
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _section(section: type[BaseModel]) -> str:
    described, meanings = _documented(section)
    title, _, about = described.partition(": ")
    named = {name: field for name, field in section.model_fields.items() if name in meanings}
    rows = [f"| `{name}` | {_default(field)} | {meanings[name]} |" for name, field in named.items()]
    head = ["| setting | default | meaning |", "| --- | --- | --- |"]
    return f"## {title}\n\n{about[:1].upper()}{about[1:]}\n\n" + "\n".join([*head, *rows])


def _documented(section: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """Return what a section is, and what each of its settings means, also those that it has from its base."""
    text = cleandoc(section.__doc__ or "")
    described = " ".join(text.partition("\n\n")[0].split())
    meanings = _meanings(text)
    if issubclass(section, settings.MatchSection):
        meanings |= _meanings(cleandoc(settings.MatchSection.__doc__ or ""))
    return described, meanings


def _meanings(text: str) -> dict[str, str]:
    meanings: dict[str, str] = {}
    names: list[str] = []
    for line in text.partition("Attributes:\n")[2].splitlines():
        found = _MEMBER.match(line)
        if found is not None:
            names = found[1].split(", ")
            meanings |= dict.fromkeys(names, found[2])
        else:
            meanings |= {name: f"{meanings[name]} {line.strip()}" for name in names}
    return meanings


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if field.default is None or field.default in ([], {}):
        return "none"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    if isinstance(field.default, int):
        return f"`{field.default:_}`"
    return f"`{field.default}`"
