"""Hold one intent on its way through the gate, in three stages: what was asked, what is known, what was decided.

`Asked` never changes. `Case` adds what is known: each part is `None` until the check that establishes it has passed, so
that mypy rejects code that uses a part without asking whether it is there. What was decided is a `Decision`
(decision.py). A further kind of knowledge is one more part here and one more check or fact.

The stages are msgspec structs because every intent makes them: a struct takes a quarter of the time that a dataclass or
a named tuple takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from streams.delegation.authority import Authority
from streams.delegation.keys import verified_jkt
from streams.model.errors import InvariantError
from streams.model.intent import Intent
from streams.model.labels import Integrity, Label
from streams.model.proof import has_session_proof, prompt_fingerprint, proof_message, session_secret
from streams.processors.control.catalog_tool import CatalogTool
from streams.processors.gate.observed import Observed
from streams.processors.provenance.examined import Examined
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.session_row import SessionRow
from streams.processors.state import PendingKind

# Each look at a member of an enumeration costs as much as a call (ADR 0094).
_TRUSTED = Integrity.TRUSTED


class Progress(NamedTuple):
    """Records what an intent has been through while it was pending.

    Attributes:
        granted_by: approvals by group.
        waited_ms: how long the intent has waited in a cancel window.
        approved_now: the groups whose approval has just been completed; None if that is not why it is judged again.
        asked_count: how often persons were asked about the intent.
        decision_ids: the ids of the persons' decisions that have counted.
        task_ids: the questions that people were asked about the intent, also those that other intents had raised.
        budget_due_ms: until when the intent may wait for a budget; 0 if it has not waited for one.
    """

    granted_by: Mapping[str, int] = {}
    waited_ms: int = 0
    approved_now: tuple[str, ...] | None = None
    asked_count: int = 0
    decision_ids: tuple[str, ...] = ()
    budget_due_ms: int = 0
    task_ids: tuple[str, ...] = ()


FIRST_TIME = Progress()
"""The progress of an intent that has not been pending."""


class Asked(msgspec.Struct, frozen=True):
    """Holds what was asked: the intent, when it arrived, and what it has been through.

    Attributes:
        intent: the intent.
        session_key: the key of its session.
        received_ms: the broker's append time of the intent.
        now_ms: stream time.
        progress: what the intent has been through while it was pending.
        held_for: what it has waited for last; None if it is judged as it comes.
    """

    intent: Intent
    session_key: bytes
    received_ms: int
    now_ms: int
    progress: Progress = FIRST_TIME
    held_for: PendingKind | None = None


class Arguments(msgspec.Struct, frozen=True):
    """Holds the arguments of a call in their only reading: as values, and as canonical JSON."""

    values: dict[str, Any]
    canonical_json: str


class Case(msgspec.Struct):
    """Holds an intent and what is known about it; the checks add what they establish, in order.

    Attributes:
        asked: what was asked.
        session: the row of the intent's session.
        authority: what the session's grant permits; None if the session holds no grant.
        arguments: set by the check of the arguments.
        is_proven: whether the proof of possession holds, and the arguments are those that it covers. Only then does the
            intent count for its session.
        tool: the catalog entry of the tool; set by the check of the tool.
        attributes_offset: up to where the attributes of entities had been read when they were looked up; None if the
            rules don't read them.
        approval_grants: the grants of people that approve the call.
        approved_until_ms: when the first of these ends; 0 if none ends by itself.
        session_proof: whether the intent carries an HMAC under its session's key; None if that was not checked yet.
        examined: where the values of the call come from; None if no rule of the tool reads that.
        asks_origins: whether any rule in force reads a fact of provenance; None if nobody asked yet.
        seen: what the session has read as a whole, as it is stored; None if that was not looked up yet.
        observed: what is unusual about the call in its session; None if no rule of the tool reads that.
        baseline_version: one more than the offset up to which baselines had been read when rules asked for that of the
            agent; 0 if no rule of the tool reads it.
    """

    asked: Asked
    session: SessionRow
    authority: Authority | None = None
    arguments: Arguments | None = None
    is_proven: bool = False
    tool: CatalogTool | None = None
    session_proof: bool | None = None
    attributes_offset: int | None = None
    approval_grants: tuple[str, ...] = ()
    approved_until_ms: int = 0
    examined: Examined | None = None
    asks_origins: bool | None = None
    seen: ProvenanceRow | None = None
    observed: Observed | None = None
    baseline_version: int = 0
    _label: Label | None = None
    _secret: bytes | None = None
    _signer: str | None = None

    def known_arguments(self) -> Arguments:
        """Return the arguments.

        Raises:
            InvariantError: they have not been checked yet.
        """
        if self.arguments is None:
            raise InvariantError("the arguments are used before they were checked")
        return self.arguments

    @property
    def currency_unstated(self) -> str:
        """The currency that an amount without one is in: that of the grant, if the grant limits amounts.

        What is checked, what rules read and what is counted must agree on it.
        """
        if self.authority is None or self.authority.row.amount_max is None:
            return ""
        return self.authority.row.currency or ""

    def label(self) -> Label:
        """Return the join of everything that the session has read or may have read, itself or through others."""
        if self._label is None:
            label, seen = self.session.effective_label(), self.seen
            if seen is not None and seen.is_tainted and label.integrity is _TRUSTED:
                label = msgspec.structs.replace(label, integrity=Integrity.UNTRUSTED)
            self._label = label
        return self._label

    def recorded_label(self) -> Label:
        """Return the label that the verdict records: untrusted also if only single fields were, or a note of others.

        Rules about whole sessions go by `label`, because desks act by the other fields of what they read.
        """
        label, seen = self.label(), self.seen
        if label.integrity is not _TRUSTED:
            return label
        awaited = self.session.trust.pending_reads
        if not (seen is not None and seen.has_untrusted) and not any(read.has_untrusted for read in awaited):
            return label
        return msgspec.structs.replace(label, integrity=Integrity.UNTRUSTED)

    def has_session_proof(self, root_key: bytes) -> bool:
        """Return whether the intent carries an HMAC under its session's key, which is computed once per case."""
        if self.session_proof is None:
            self.session_proof = has_session_proof(root_key, self.asked.intent)
        return self.session_proof

    def is_signed_by(self, jkt: str) -> bool:
        """Return whether the intent is signed with the key of this thumbprint, which is verified once per case."""
        if self._signer is None:
            proof = self.asked.intent.proof
            found = None if proof is None else verified_jkt(proof, proof_message(self.asked.intent))
            self._signer = found or ""
        return self._signer == jkt

    def secret(self, root_key: bytes) -> bytes:
        """Return the key of the session, which is derived from the root key once per case."""
        if self._secret is None:
            intent = self.asked.intent
            self._secret = session_secret(root_key, intent.header.tenant_uid, intent.session_id)
        return self._secret

    def prompt_fingerprint(self, root_key: bytes) -> bytes | None:
        """Return what identifies the system prompt among those of the agent; None if the intent states none."""
        intent = self.asked.intent
        if intent.system_prompt_digest is None:
            return None
        return prompt_fingerprint(root_key, intent.header.tenant_uid, intent.act, intent.system_prompt_digest)
