"""The part of `stoplog catalog` that decides: what may be called, what not, and what is stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from streams.audit.signatures import SigningKey
from streams.cli.catalog_view import entry_fields
from streams.cli.option_groups import takes_groups
from streams.cli.options import (
    ByOption,
    Connection,
    FollowOption,
    Output,
    OwnKeyOption,
    PassphraseOption,
    Signature,
    SignedDraft,
    load_key,
)
from streams.cli.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.codec.instants import format_instant, parse_instant
from streams.codec.varints import MalformedError
from streams.model.catalog import EntryState, ToolCatalogEntry
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
from streams.operations.operator import Operator
from streams.operations.review.diff import FACT_FIELDS
from streams.operations.settings import CatalogSection
from streams.sdk.mcp_catalog import ToolFacts
from streams.wiring.operators import open_operator
from streams.wiring.settings import Settings

_FACT_NAMES = tuple(field.name for field in fields(ToolFacts))

ReferencesArgument = Annotated[
    list[str], typer.Argument(metavar="SERVER/TOOL@ID ...", help="Which entries, as `catalog review` names them.")
]
ToolsArgument = Annotated[list[str], typer.Argument(metavar="SERVER/TOOL ...", help="Which tools.")]
WhyOption = Annotated[str, typer.Option("--why", metavar="TEXT", help="The reason, for the record.")]
NoteOption = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="What you want on the record.")]
VersionOption = Annotated[
    int | None,
    typer.Option("--version", min=1, help="Instead of the next one: for a topic that has lost its records."),
]


@takes_groups
def approve(
    *,
    references: ReferencesArgument,
    fact: Annotated[
        list[str] | None,
        typer.Option("--fact", metavar="NAME=VALUE", help="What you say of the tool, such as `read_only=true`."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="TIME", help="Until when it holds; `never` for ever.")
    ] = None,
    accept_findings: Annotated[
        bool, typer.Option("--accept-findings", help="You have seen what speaks to the model in its texts.")
    ] = False,
    note: NoteOption = None,
    version: VersionOption = None,
    signing: SignedDraft,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Let tools be called as they were reviewed: exactly these definitions, with these facts.

    The id is that of all that you have seen in the review; what was changed since has another one. Where two
    signatures are wanted, one drafts (`--out DRAFT`), the other signs it (`catalog sign`), either publishes it.
    """
    facts = parse_facts(fact or ())
    with _deciding(connection.settings(), signing, by) as desk:
        entries = [
            draft_approval(
                desk.operator,
                desk.history,
                desk.history.find(reference),
                facts=facts,
                note=note,
                expires_ms=_expires_ms(expires),
                never_expires=expires == "never",
                version=version,
                accepts_findings=accept_findings,
            )
            for reference in references
        ]
        _finish(output.screen(), desk, entries, signing.out, "approved")


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
    """Say no to what is proposed. What is in force stays so; a tool that was blocked stays blocked."""
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
    """Mark tools as given up: they can still be called, and everybody can see that they will not be for long."""
    with _deciding(connection.settings(), signing, by) as desk:
        now_ms = desk.operator.clock.now_ms()
        for tool in tools:
            if not desk.history.is_callable(tool_name(tool), now_ms):
                raise ReviewError(f"`{tool}` can't be called, so there is nothing to deprecate")
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
    """Stop tools, until somebody approves them again. Needs no key; `stoplog kill` also stops calls under way."""
    with _deciding(connection.settings(), signing, by) as desk:
        entries = [
            draft_decision(desk.operator, desk.history, _newest(desk.history, tool), EntryState.BLOCKED, note=why)
            for tool in tools
        ]
        _finish(output.screen(), desk, entries, None, "blocked")


@takes_groups
def watch(
    *,
    follow: FollowOption = True,
    by: ByOption = None,
    connection: Connection,
    output: Output,
) -> None:
    """Block tools whose definition has changed at an executor, and tell the security team, as executors report it.

    Run it with the rights of the catalog's review, beside the gates.
    """
    screen = output.screen()
    with open_operator(connection.settings(), by) as operator:
        for blocked in watch_reports(operator, follows=follow):
            shown = entry_fields(blocked.entry)
            screen.record(
                shown | {"act": "blocked", "reported_by": blocked.reported_by, "alert": blocked.alert.header.id}
            )
            screen.say(
                f"{shown['tool']}: blocked, {blocked.entry.review_note}; reported by {blocked.reported_by}", FAIL
            )


@takes_groups
def sign(
    *,
    draft: Annotated[Path, typer.Argument(metavar="DRAFT", help="Made with `--out`.")],
    references: ReferencesArgument,
    key: OwnKeyOption,
    passphrase_file: PassphraseOption = None,
    output: Output,
) -> None:
    """Add a signature to each decision of a draft, after making sure that it is what it says.

    Review it first (`catalog review --draft DRAFT`), which shows how each entry is named: what you sign is the whole
    definition, and all facts. A draft that was changed since then holds an entry of another name, and is not signed.
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
    """`NAME=VALUE` pairs, values as JSON or plain text.

    Raises:
        typer.BadParameter: a fact is not known, or its value can't be.
    """
    stated: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in _FACT_NAMES:
            raise typer.BadParameter(f"`{text}` is no fact; write NAME=VALUE, of {', '.join(_FACT_NAMES)}")
        try:
            stated[name] = json.loads(value)
        except ValueError:
            stated[name] = value
    try:
        facts = msgspec.convert(stated, ToolFacts)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(f"a fact can't be so: {error}") from None
    return {name: getattr(facts, name) for name in FACT_FIELDS if name in stated}


def tell(screen: Screen, entries: Sequence[ToolCatalogEntry], act: str) -> None:
    """What was decided."""
    for entry in entries:
        shown = entry_fields(entry)
        screen.record(shown | {"signatures": len(entry.signatures), "act": act})
        screen.say(f"{shown['tool']}@{shown['id']} version {entry.catalog_version}: {act}", OK)
        until = "" if entry.review_expires is None else f", until {format_instant(entry.review_expires)}"
        screen.say(f"  {entry.state.value.lower()} by {entry.reviewed_by}{until}", FAINT)


class _Desk(NamedTuple):
    """What a person decides with."""

    operator: Operator
    history: CatalogHistory
    key: SigningKey | None


@contextmanager
def _deciding(settings: Settings, signing: Signature, by: str | None) -> Iterator[_Desk]:
    """Who decides goes by the name that the settings know the key's owner by, unless another is given."""
    signing_key = signing.signing_key()
    with open_operator(settings, by or _name_of(settings, signing_key)) as operator:
        yield _Desk(operator, read_catalog_history(operator), signing_key)


def _finish(screen: Screen, desk: _Desk, entries: list[ToolCatalogEntry], out: Path | None, act: str) -> None:
    """Sign, and write a draft or publish."""
    if desk.key is not None:
        entries = [sign_entry(entry, desk.key) for entry in entries]
    if out is not None:
        write_entries(entries, out)
        tell(screen, entries, "drafted")
        screen.say(f"draft written: {out}", STRONG)
        _tell_lacking(screen, desk.operator.deployment.catalog, entries)
        return
    tell(screen, publish_decisions(desk.operator, entries), act)


def _tell_lacking(screen: Screen, section: CatalogSection, entries: Sequence[ToolCatalogEntry]) -> None:
    reviewers = section.trusted()
    for entry in entries:
        try:
            reviewers.approvers(entry)
        except RecordError as error:
            screen.say(str(error), WARN)


def _name_of(settings: Settings, key: SigningKey | None) -> str | None:
    """The name that the settings know the owner of a key by."""
    return None if key is None else settings.catalog.trusted().ring.name_of(key.public)


def _approved(history: CatalogHistory, tool: str) -> Listed:
    approved = history.approved(tool_name(tool))
    if approved is None:
        raise CatalogQueryError(f"`{tool}` was never approved; see `stoplog catalog list`")
    return approved


def _newest(history: CatalogHistory, tool: str) -> Listed:
    name = tool_name(tool)
    newest = history.approved(name) or next(iter(history.of_tool(name)[-1:]), None)
    if newest is None:
        raise CatalogQueryError(f"there is no entry of `{tool}`; see `stoplog catalog list`")
    return newest


def _expires_ms(text: str | None) -> int | None:
    if text is None or text == "never":
        return None
    try:
        return parse_instant(text if "T" in text else f"{text}T00:00:00Z")
    except MalformedError as error:
        raise typer.BadParameter(str(error)) from None
