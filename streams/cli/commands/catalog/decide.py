"""The commands of `stoplog catalog` that decide which tools may be called."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from streams.audit.signatures import SigningKey
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import (
    ByOption,
    Connection,
    FollowOption,
    Output,
    OwnKeyOption,
    PassphraseOption,
    Signature,
    SignedDraft,
    WhyOption,
    load_key,
)
from streams.cli.options.stretches import instant_ms
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.views.catalog import entry_fields
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import format_instant
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import GRANTING_STATES
from streams.model.errors import RecordError
from streams.operations.catalog.decision import (
    ReviewError,
    check_named,
    draft_approval,
    draft_decision,
    publish_decisions,
    read_entries,
    sign_entry,
    write_entries,
)
from streams.operations.catalog.definition_change import watch_reports
from streams.operations.catalog.history import (
    CatalogHistory,
    CatalogQueryError,
    Listed,
    read_catalog_history,
    tool_name,
)
from streams.operations.catalog.stated_facts import FACT_NAMES, FactError, stated_facts
from streams.operations.operator import Operator
from streams.operations.review.diff import FACT_FIELDS
from streams.operations.settings import CatalogSection
from streams.wiring.operators import open_operator

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

ReferencesArgument = Annotated[
    list[str],
    typer.Argument(metavar="SERVER/TOOL@ID", help="Which entries, with the ids that `catalog review` shows."),
]
ToolsArgument = Annotated[list[str], typer.Argument(metavar="SERVER/TOOL", help="Which tools.")]
NoteOption = Annotated[
    str | None, typer.Option("--why", "--note", metavar="TEXT", help="The reason, which is recorded.")
]
VersionOption = Annotated[
    int | None,
    typer.Option(
        "--version", metavar="N", min=1, help="The version, if the topic has lost its records. By default the next one."
    ),
]


@takes_groups
def approve(
    *,
    references: ReferencesArgument,
    fact: Annotated[
        list[str] | None,
        typer.Option(
            "--fact", metavar="NAME=VALUE", help="A fact about the tool, such as `read_only=true`. Can be repeated."
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="TIME",
            help="When the approval expires: `2026-11-25`, `2026-11-25T09:00:00Z`, or `never`. By default after as "
            "many days as the setting `catalog.review_days` says.",
        ),
    ] = None,
    accept_findings: Annotated[
        bool, typer.Option("--accept-findings", help="Approve even if a text contains instructions to the model.")
    ] = False,
    note: NoteOption = None,
    version: VersionOption = None,
    signing: SignedDraft,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Approve tools: they can then be called, with exactly the definitions that were reviewed.

    The id covers everything that the review showed; an entry that has changed since has another id. Where two
    signatures are required, one person writes a draft (`--out DRAFT`), another signs it (`catalog sign`), and either
    publishes it.
    """
    facts, expires_ms = parse_facts(fact or ()), _expires_ms(expires)
    screen = output.screen()
    with _deciding(connection.settings(), signing, by) as desk:
        found = [desk.history.find(reference) for reference in references]
        entries = [
            draft_approval(
                desk.operator,
                desk.history,
                listed,
                facts=facts,
                note=note,
                expires_ms=expires_ms,
                never_expires=expires == "never",
                version=version,
                accepts_findings=accept_findings,
            )
            for listed in found
        ]
        _finish(screen, desk, entries, signing.out, "approved")
        for listed in found:
            if listed.entry.state in GRANTING_STATES and not listed.fault:
                _tell_renewed(screen, listed.entry)


@takes_groups
def reject(
    *,
    references: ReferencesArgument,
    why: WhyOption,
    signing: SignedDraft,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Reject proposed entries. Approved entries stay in force; a blocked tool stays blocked."""
    with _deciding(connection.settings(), signing, by) as desk:
        entries = [
            draft_decision(desk.operator, desk.history, desk.history.find(reference), EntryState.REJECTED, note=why)
            for reference in references
        ]
        _finish(output.screen(), desk, entries, signing.out, "rejected")


@takes_groups
def deprecate(
    *,
    tools: ToolsArgument,
    why: WhyOption,
    signing: SignedDraft,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Mark tools as deprecated. They can still be called; the mark says that they will be removed."""
    with _deciding(connection.settings(), signing, by) as desk:
        now_ms = desk.operator.clock.now_ms()
        for tool in tools:
            if not desk.history.is_callable(tool_name(tool), now_ms):
                raise ReviewError(f"tool `{tool}` can't be called, so it can't be deprecated")
        entries = [
            draft_decision(desk.operator, desk.history, _approved(desk.history, tool), EntryState.DEPRECATED, note=why)
            for tool in tools
        ]
        _finish(output.screen(), desk, entries, signing.out, "deprecated")


@takes_groups
def block(
    *,
    tools: ToolsArgument,
    why: WhyOption,
    signing: Signature,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Block tools until somebody approves them again. No key is needed. `stoplog kill` also stops calls in progress."""
    with _deciding(connection.settings(), signing, by) as desk:
        entries = [
            draft_decision(desk.operator, desk.history, _newest(desk.history, tool), EntryState.BLOCKED, note=why)
            for tool in tools
        ]
        screen = output.screen()
        blocked = _finish(screen, desk, entries, None, "blocked")
    key = desk.operator.deployment.catalog.key_option
    undo = [f"catalog approve {quote(desk.history.as_listed(entry).reference)}{key}" for entry in blocked]
    tell_steps(screen, connection, [("to undo", command) for command in undo])


@takes_groups
def watch(
    *,
    follow: FollowOption = True,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Block a tool and send an alert when an executor reports that the tool's definition has changed.

    Run it beside the gates, as a principal that may write the catalog.
    """
    screen = output.screen()
    with open_operator(connection.settings(), by) as operator:
        for blocked in watch_reports(operator, follows=follow):
            shown = entry_fields(blocked.entry)
            screen.record(
                shown
                | {
                    "action": "blocked",
                    "reported_by": blocked.reported_by,
                    "finding_uid": blocked.alert.finding_uid,
                }
            )
            screen.say(
                f"{shown['tool']}: blocked, {blocked.entry.review_note}; reported by {blocked.reported_by}", FAIL
            )


@takes_groups
def sign(
    *,
    draft: Annotated[Path, typer.Argument(metavar="DRAFT", help="A draft that was written with `--out`.")],
    references: ReferencesArgument,
    key: OwnKeyOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Check a draft, and add your signature to each decision in it.

    Review it first with `catalog review --draft DRAFT`, which shows the id of each entry. You sign the whole definition
    and all facts. If the draft has changed since the review, an id differs and nothing is signed.
    """
    entries = read_entries(draft)
    check_named(draft, entries, references)
    signing_key = load_key(key, passphrase_file)
    signed = [sign_entry(entry, signing_key) for entry in entries]
    write_entries(signed, draft)
    screen = output.screen()
    tell(screen, signed, "signed")
    _tell_lacking(screen, Connection().settings().deployment.catalog, signed)


def parse_facts(texts: Sequence[str]) -> dict[str, Any]:
    """Return facts from `NAME=VALUE` pairs, whose values are JSON or plain text.

    Raises:
        typer.BadParameter: a fact is not known, or its value is invalid.
    """
    stated: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in FACT_NAMES:
            raise typer.BadParameter(
                f"`{text}` is not a fact; write NAME=VALUE with one of the names {', '.join(FACT_NAMES)}"
            )
        try:
            stated[name] = json.loads(value)
        except ValueError:
            stated[name] = value
    try:
        facts = stated_facts(stated)
    except FactError as error:
        raise typer.BadParameter(f"a fact has an invalid value: {error}") from None
    return {name: getattr(facts, name) for name in FACT_FIELDS if name in stated}


def tell(screen: Screen, entries: Sequence[ToolCatalogEntry], act: str) -> None:
    """Write what was decided."""
    for entry in entries:
        shown = entry_fields(entry)
        screen.record(shown | {"signatures": len(entry.signatures), "action": act})
        screen.say(f"{shown['tool']}@{shown['id']} version {entry.catalog_version}: {act}", OK)
        screen.say(f"  {entry.state.value.lower()} by {entry.reviewed_by}{_until(entry)}", FAINT)


def _tell_renewed(screen: Screen, before: ToolCatalogEntry) -> None:
    """Say that an entry was approved already: the approval may be meant for another one."""
    was = f"version {before.catalog_version} by {before.reviewed_by}{_until(before)}"
    screen.say(f"{before.server_id}/{before.name} was approved already: {was}; this replaces it", WARN)


def _until(entry: ToolCatalogEntry) -> str:
    """Return until when an approval counts. Other decisions have no end, whatever the approval before them had."""
    if entry.review_expires is None or entry.state not in GRANTING_STATES:
        return ""
    return f", until {format_instant(entry.review_expires)}"


class _Desk(NamedTuple):
    """Everything that a person needs to decide."""

    operator: Operator
    history: CatalogHistory
    key: SigningKey | None


@contextmanager
def _deciding(settings: Settings, signing: Signature, by: str | None) -> Iterator[_Desk]:
    """Open the catalog for a person, whose name is that of the key's owner in the settings unless another is given."""
    signing_key = signing.signing_key()
    with open_operator(settings, by or _name_of(settings, signing_key)) as operator:
        yield _Desk(operator, read_catalog_history(operator), signing_key)


def _finish(
    screen: Screen, desk: _Desk, entries: list[ToolCatalogEntry], out: Path | None, act: str
) -> list[ToolCatalogEntry]:
    """Sign the entries, then write a draft or publish them, and return the signed or published entries."""
    if desk.key is not None:
        entries = [sign_entry(entry, desk.key) for entry in entries]
    if out is not None:
        write_entries(entries, out)
        tell(screen, entries, "drafted")
        screen.say(f"draft written: {out}", STRONG)
        _tell_lacking(screen, desk.operator.deployment.catalog, entries)
        return entries
    published = publish_decisions(desk.operator, entries)
    tell(screen, published, act)
    return published


def _tell_lacking(screen: Screen, section: CatalogSection, entries: Sequence[ToolCatalogEntry]) -> None:
    reviewers = section.trusted()
    for entry in entries:
        try:
            reviewers.approvers(entry)
        except RecordError as error:
            screen.say(str(error), WARN)


def _name_of(settings: Settings, key: SigningKey | None) -> str | None:
    """Return the name of a key's owner in the settings."""
    return None if key is None else settings.catalog.trusted().ring.name_of(key.public)


def _approved(history: CatalogHistory, tool: str) -> Listed:
    approved = history.approved(tool_name(tool))
    if approved is None:
        raise CatalogQueryError(f"tool `{tool}` was never approved; see `stoplog catalog list`")
    return approved


def _newest(history: CatalogHistory, tool: str) -> Listed:
    name = tool_name(tool)
    newest = history.approved(name) or next(iter(history.of_tool(name)[-1:]), None)
    if newest is None:
        raise CatalogQueryError(f"tool `{tool}` has no entry; see `stoplog catalog list`")
    return newest


def _expires_ms(text: str | None) -> int | None:
    if text is None or text == "never":
        return None
    return instant_ms(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text, "--expires")
