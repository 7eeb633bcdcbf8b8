"""Makes, signs and publishes decisions on tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from streams.audit.keyring import with_signature
from streams.audit.signatures import SigningKey
from streams.codec.jsonform import JsonFormError, from_json, to_json
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.catalog_signature import GRANTING_STATES, entry_key, entry_message
from streams.model.errors import FormError, RecordError, StoplogError
from streams.model.topics import CATALOG
from streams.operations.bounded_file import read_bounded
from streams.operations.catalog.history import CatalogHistory, Listed, ToolName, read_catalog_history, reference_of
from streams.operations.operator import Operator
from streams.operations.private_file import replace_whole
from streams.operations.review.diff import definition_of
from streams.operations.review.scan import is_serious, scan_tool
from streams.processors.control.entry_checks import definition_fault

DRAFT_FORM = "stoplog catalog entries v1"
DRAFT_BYTES_MAX = 64_000_000
KEPT_MAX = 20
"""How many entries of a tool stay on the topic besides those that gates apply."""

_DAY_MS = 86_400_000
_PARTS_SHOWN_MAX = 6
replace = msgspec.structs.replace


class ReviewError(StoplogError):
    """A decision can't be made or published; says why, and what to do."""


class ReviewFormError(ReviewError, FormError):
    """The name of a server, or a key, is malformed."""


def draft_approval(
    operator: Operator,
    history: CatalogHistory,
    listed: Listed,
    *,
    facts: Mapping[str, Any] | None = None,
    note: str | None = None,
    expires_ms: int | None = None,
    never_expires: bool = False,
    version: int | None = None,
    accepts_findings: bool = False,
) -> ToolCatalogEntry:
    """Return an unsigned approval of an entry.

    Args:
        facts: the reviewer's facts about the tool, which replace those that were proposed.
        expires_ms: when the approval expires; by default after the time in the settings.
        never_expires: whether the approval never expires.
        version: the version, if the topic has lost its records; by default the next one.
        accepts_findings: whether the reviewer accepts the findings in the tool's texts.

    Raises:
        ReviewError: the entry can't be approved as it is.
    """
    entry = listed.entry
    if entry.definition_json is None:
        raise ReviewError(f"`{listed.reference}` has no definition; import the tool with `stoplog catalog import`")
    fault = definition_fault(entry)
    if fault is not None:
        raise ReviewError(f"`{listed.reference}` is inconsistent: {fault}; import the tool again")
    found = scan_tool(definition_of(entry), history.mentions)
    if is_serious(found) and not accepts_findings:
        what = "; ".join(f"{each.pointer} {each.meaning}" for each in found[:_PARTS_SHOWN_MAX])
        raise ReviewError(
            f"`{listed.reference}` has suspicious texts: {what}; see `stoplog catalog review`, and if the texts are "
            "harmless, approve with `--accept-findings`"
        )
    days = operator.deployment.catalog.review_days
    now_ms = operator.clock.now_ms()
    default_ms = now_ms + days * _DAY_MS if days and not never_expires else None
    return replace(
        _decided(operator, history, listed, EntryState.APPROVED, note, version),
        **(facts or {}),
        review_expires=default_ms if expires_ms is None else expires_ms,
    )


def draft_decision(
    operator: Operator, history: CatalogHistory, listed: Listed, state: EntryState, *, note: str | None
) -> ToolCatalogEntry:
    """Return an unsigned rejection, deprecation or block.

    Raises:
        ReviewError: the entry is to be deprecated, but is not approved.
    """
    if state is EntryState.DEPRECATED and (listed.entry.state not in GRANTING_STATES or listed.fault):
        raise ReviewError(f"`{listed.reference}` is not approved, so it can't be deprecated")
    return _decided(operator, history, listed, state, note)


def _decided(
    operator: Operator,
    history: CatalogHistory,
    listed: Listed,
    state: EntryState,
    note: str | None,
    version: int | None = None,
) -> ToolCatalogEntry:
    return replace(
        listed.entry,
        header=operator.header(),
        catalog_version=history.next_version(listed.name) if version is None else version,
        state=state,
        reviewed_by=operator.name,
        reviewed_at=operator.clock.now_ms(),
        review_note=note,
        signatures=(),
    )


def sign_entry(entry: ToolCatalogEntry, key: SigningKey) -> ToolCatalogEntry:
    """Return the entry with one more signature, which replaces an earlier one by the same key."""
    return replace(entry, signatures=with_signature(entry.signatures, entry_message(entry), key))


def publish_decisions(operator: Operator, entries: Sequence[ToolCatalogEntry]) -> list[ToolCatalogEntry]:
    """Publish decisions, and delete entries that are older than `KEPT_MAX` others. Block until that is stored.

    Somebody else may decide between reading the topic and writing to it, so the topic is read afterwards.

    Raises:
        ReviewError: a decision lacks signatures, is inconsistent, or has been superseded, also by one that was stored
            at the same time.
        TopicReadError, PublishError, LogError: the topic can't be read, or it is not known whether they are stored.
    """
    history = read_catalog_history(operator)
    for entry in entries:
        check_decision(history, entry)
    operator.write(CATALOG, [(entry_key(entry), entry, entry.header) for entry in entries])
    after = read_catalog_history(operator)
    names: set[ToolName] = {(entry.server_id, entry.name) for entry in entries}
    operator.delete(CATALOG, [key for name in sorted(names) for key in after.outdated(name, KEPT_MAX)])
    _check_not_late(entries, after)
    return list(entries)


def _check_not_late(entries: Sequence[ToolCatalogEntry], after: CatalogHistory) -> None:
    """Check that gates accept decisions that are stored.

    Raises:
        ReviewError: they reject some, because somebody else has decided at the same time.
    """
    faults = {each.key: each.fault for each in after.listed}
    late = [(entry, faults.get(entry_key(entry), "")) for entry in entries]
    told = [f"`{entry.server_id}/{entry.name}`: {fault}" for entry, fault in late if fault]
    if told:
        raise ReviewError(
            f"somebody else has decided at the same time, and gates take what came first ({'; '.join(told)}). See "
            "`stoplog catalog list`, and decide again if that is still wanted"
        )


def check_decision(history: CatalogHistory, entry: ToolCatalogEntry) -> None:
    """Check that gates would accept a decision.

    Raises:
        ReviewError: they would reject it; says why.
    """
    what = f"version {entry.catalog_version} of `{entry.server_id}/{entry.name}`"
    try:
        signers = history.reviewers.signers(entry)
        if entry.state in GRANTING_STATES:
            history.reviewers.approvers(entry)
    except RecordError as error:
        raise ReviewError(str(error)) from None
    if not signers and history.reviewers.are_asked and entry.state is not EntryState.BLOCKED:
        raise ReviewError(f"{what} has no signature of a configured reviewer; sign with your key (`--key FILE`)")
    fault = definition_fault(entry)
    if fault is not None:
        raise ReviewError(f"{what} is inconsistent: {fault}")
    next_version = history.next_version((entry.server_id, entry.name))
    if entry.catalog_version < next_version:
        raise ReviewError(f"{what} is not above {next_version - 1}, which has been decided since; decide again")


def write_entries(entries: Sequence[ToolCatalogEntry], path: Path) -> None:
    """Write decisions to a file, for others to sign. Blocking.

    Raises:
        ReviewError: the file can't be written.
    """
    made = {"form": DRAFT_FORM, "entries": [to_json(entry) for entry in entries]}
    data = msgspec.json.format(msgspec.json.encode(made), indent=1)
    try:
        replace_whole(path, data + b"\n")
    except OSError as error:
        raise ReviewError(f"draft `{path}` can't be written: {error.strerror}") from None


def check_named(path: Path, entries: Sequence[ToolCatalogEntry], references: Sequence[str]) -> None:
    """Check that a draft has exactly the entries that the signer has reviewed: the file may have changed since.

    Raises:
        ReviewError: the draft has other entries.
    """
    held, look = {reference_of(entry) for entry in entries}, f"`stoplog catalog review --draft {path}`"
    for reference in references:
        if reference not in held:
            raise ReviewError(f"`{path}` has no entry `{reference}`; review what it has now: {look}")
    unseen = sorted(held - set(references))
    if unseen:
        named = "`, `".join(unseen)
        raise ReviewError(f"`{path}` also has `{named}`; review the draft ({look}), and name every entry that you sign")


def read_entries(path: Path) -> list[ToolCatalogEntry]:
    """Read decisions from a file, and check that each is consistent. Blocking.

    Raises:
        ReviewError: the file can't be read, is not a draft, or has an inconsistent decision.
    """
    data = read_bounded(path, DRAFT_BYTES_MAX, ReviewError, "draft")
    try:
        draft = msgspec.json.decode(data)
        listed = draft.get("entries") if isinstance(draft, dict) and draft.get("form") == DRAFT_FORM else None
        if not isinstance(listed, list) or not listed:
            raise ReviewError(
                f"`{path}` is not a draft of this version; write one with "
                "`stoplog catalog approve SERVER/TOOL@ID --out FILE`"
            )
        entries = [from_json(ToolCatalogEntry, each, "entry") for each in listed]
    except (msgspec.DecodeError, UnicodeError, RecursionError, JsonFormError) as error:
        raise ReviewError(f"`{path}` is not a draft: {error}") from None
    for entry in entries:
        fault = definition_fault(entry)
        if fault is not None:
            raise ReviewError(f"`{path}`: `{entry.server_id}/{entry.name}` is inconsistent: {fault}")
        if entry.state in GRANTING_STATES and entry.definition_json is None:
            # With a digest alone, the signer has not seen what is signed.
            raise ReviewError(f"`{path}`: `{entry.server_id}/{entry.name}` has no definition, so it can't be reviewed")
    return entries


def is_draft(path: Path) -> bool:
    """Return whether a file is a draft of decisions, which can still be damaged. Blocking."""
    try:
        with path.open("rb") as file:
            return DRAFT_FORM.encode() in file.read(200)
    except OSError:
        return False
