"""The tool catalog, which is the permission catalog."""

from __future__ import annotations

from enum import StrEnum

from streams.model.labels import Label
from streams.model.types import Header, Millis, Proof, Record, Sha256


class EntryState(StrEnum):
    """The state of an entry. Only tools with APPROVED and DEPRECATED entries can be called.

    BLOCKED stops the tool; REJECTED rejects a proposal and leaves the entry in force as it is.
    """

    BLOCKED = "BLOCKED"
    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    DEPRECATED = "DEPRECATED"
    REJECTED = "REJECTED"


class OutputLabel(Record, frozen=True, kw_only=True):
    """The label of the part of a tool's result that `path` matches (dotted, `*` for one step)."""

    path: str
    label: Label


class ArgumentRole(StrEnum):
    """What an argument is for.

    TARGET says what is acted on, DESTINATION where data or value goes, SELECTOR what is read; CONTENT is what is passed
    on, AMOUNT how much, TIME when. UNKNOWN is for everything that the operator has not decided.
    """

    UNKNOWN = "UNKNOWN"
    TARGET = "TARGET"
    DESTINATION = "DESTINATION"
    CONTENT = "CONTENT"
    AMOUNT = "AMOUNT"
    SELECTOR = "SELECTOR"
    TIME = "TIME"


class ArgumentUse(Record, frozen=True, kw_only=True):
    """The role of the arguments that `path` matches (a JSON pointer, `*` for one step)."""

    path: str
    role: ArgumentRole = ArgumentRole.UNKNOWN


class CompensatingArgument(Record, frozen=True, kw_only=True):
    """An argument of the compensating call: `path` there is taken from `source`.

    `source` is a JSON pointer into `{"args": the call's arguments, "result": the call's result}`.
    """

    path: str
    source: str


class ToolCatalogEntry(Record, frozen=True, kw_only=True):
    """A reviewed tool. Facts that the operator has not set count as destructive, open-world and `WORST`.

    `definition_json` is the complete tool as its server listed it; the digests and texts in the entry are derived from
    it. `streams.model.catalog_signature` defines what reviewers sign.

    `kind` is the kind of act (`streams.provenance.acts.kinds`), or that of the value of the argument at `kind_arg`.
    `owner_args` are JSON pointers of arguments, and `output_owners` paths in results, that name whose data or account
    it is. `content_type` is the media type of results; without it, the form is recognised by the content.
    `identifying_args` are sets of JSON pointers of arguments: whoever knows all values of one set is the person whom
    the tool returns.
    """

    header: Header
    server_id: str
    name: str
    catalog_version: int
    state: EntryState = EntryState.BLOCKED
    title: str | None = None
    description: str | None = None
    input_schema_json: str
    output_schema_json: str | None = None
    annotations_json: str | None = None
    meta_json: str | None = None
    definition_json: str | None = None
    definition_digest: Sha256
    description_digest: Sha256
    input_schema_digest: Sha256
    read_only: bool = False
    destructive: bool = True
    idempotent: bool = False
    open_world: bool = True
    reversible: bool = False
    compensating_tool: str | None = None
    output_label: Label | None = None
    output_labels: tuple[OutputLabel, ...] = ()
    sink_args: tuple[str, ...] = ()
    owner: str | None = None
    proposed_by: str | None = None
    reviewed_by: str | None = None
    reviewed_at: Millis | None = None
    review_expires: Millis | None = None
    review_note: str | None = None
    signatures: tuple[Proof, ...] = ()
    kind: str | None = None
    kind_arg: str | None = None
    arg_roles: tuple[ArgumentUse, ...] = ()
    owner_args: tuple[str, ...] = ()
    output_owners: tuple[str, ...] = ()
    content_type: str | None = None
    compensating_args: tuple[CompensatingArgument, ...] = ()
    identifying_args: tuple[tuple[str, ...], ...] = ()
