"""Makes well-formed records for tests and the workload, as agents, token services and reviewers would write them.

Ids follow from names and counts, so that a test or a seed makes the same records every time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from streams.audit.keyring import with_signature
from streams.audit.releasers import signed_release
from streams.audit.report_keys import ReportKey
from streams.audit.signatures import SigningKey
from streams.delegation.digest import grant_message, lineage_of, travelling
from streams.delegation.issuance import narrow
from streams.delegation.keys import Ed25519Key, hop_grant_key, root_grant_key
from streams.delegation.tools import ANYTHING
from streams.model import catalog_signature
from streams.model.approval import ApprovalDecision, ApprovalStatus
from streams.model.canonical import canonical, sha256
from streams.model.catalog import EntryState, ToolCatalogEntry
from streams.model.control import BundleAction, BundleFile, RulesetBundle
from streams.model.delegation import AuthorizationDetail, Delegation, DelegationOp, GrantBody, ToolGrant
from streams.model.ids import approval_task_id, verdict_id_of
from streams.model.intent import Intent
from streams.model.keys import revocation_key, session_key_of
from streams.model.labels import Confidentiality, Integrity, Label
from streams.model.proof import (
    derived_uuid,
    make_hmac,
    proof_message,
    proven_event,
    session_report,
    session_secret,
    session_writer_key,
)
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.session import COMPLETIONS, PROVEN_EVENTS, REPORTS, SessionEvent, SessionEventType
from streams.model.types import Actor, Header, Proof, ProofAlg, SubProfile, ToolRef
from streams.model.verdict import Outcome
from streams.policy.language.bundle import bundle_from_files
from streams.sdk.mcp.catalog import report_keys_entry

ROOT_KEY = b"a root key for tests, 32 bytes.."
TRUSTED = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PUBLIC)
UNTRUSTED = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.PRIVATE)
SESSION_LIFE_MS = 3_600_000
EVERYTHING_GRANTED = AuthorizationDetail(type="tools", tools=(ToolGrant(server_id=ANYTHING, name=ANYTHING),))
ISSUER = "https://issuer.example"
replace = msgspec.structs.replace


def header(name: str, time_ms: int, tenant: str = "acme") -> Header:
    """Return a header whose id follows from `name`."""
    return Header(id=derived_uuid("test record", name), source="test", time=time_ms, tenant_uid=tenant)


def agent(sub: str) -> Actor:
    """Return an agent as an actor."""
    return Actor(iss=ISSUER, sub=sub, sub_profile=SubProfile.AI_AGENT)


def person(sub: str) -> Actor:
    """Return a person as an actor."""
    return Actor(iss=ISSUER, sub=sub, sub_profile=SubProfile.USER)


def tool_entry(
    server_id: str, name: str, *, time_ms: int = 0, schema: Mapping[str, Any] | None = None, **changes: Any
) -> ToolCatalogEntry:
    """Return an approved catalog entry; `changes` replace any field."""
    schema_json = json.dumps(schema if schema is not None else {"type": "object"}, sort_keys=True)
    definition = canonical({"name": name, "inputSchema": schema_json, "server": server_id})
    entry = ToolCatalogEntry(
        header=header(f"tool {server_id}/{name}", time_ms, tenant=""),
        server_id=server_id,
        name=name,
        catalog_version=1,
        state=EntryState.APPROVED,
        input_schema_json=schema_json,
        definition_digest=sha256(definition),
        description_digest=sha256(b""),
        input_schema_digest=sha256(schema_json.encode()),
        output_label=TRUSTED,
    )
    return replace(entry, **changes)


def report_keys(server_id: str, *keys: str, **changes: Any) -> ToolCatalogEntry:
    """Return the approved entry of a server's report keys: by default the one that `SessionMaker` reports with."""
    made = report_keys_entry(
        server_id,
        keys or (str(ReportKey.derived(ROOT_KEY, server_id).public),),
        header=header(f"report keys {server_id}", 0, tenant=""),
        reviewed_by="test",
    )
    return replace(made, reviewed_at=0, **changes)


def reviewed(entry: ToolCatalogEntry, *keys: SigningKey) -> ToolCatalogEntry:
    """Return the entry, signed with these keys."""
    message = catalog_signature.entry_message(entry)
    signatures: tuple[Proof, ...] = ()
    for key in keys:
        signatures = with_signature(signatures, message, key)
    return replace(entry, signatures=signatures)


def entry_key(entry: ToolCatalogEntry) -> bytes:
    """Return the key of a catalog entry."""
    return catalog_signature.entry_key(entry)


def tool_ref(entry: ToolCatalogEntry) -> ToolRef:
    """Return the tool as an agent names it that was shown the entry."""
    return ToolRef(server_id=entry.server_id, name=entry.name, definition_digest=entry.definition_digest)


def ruleset(files: Mapping[str, str], *, name: str = "default", serial: int = 1, time_ms: int = 0) -> RulesetBundle:
    """Return a bundle as published; without files it withdraws the rules."""
    return RulesetBundle(
        header=header(f"ruleset {name} {serial}", time_ms, tenant=""),
        name=name,
        version=str(serial),
        serial=serial,
        digest=bundle_from_files(files).digest,
        files=tuple(BundleFile(path=path, content=text) for path, text in sorted(files.items())),
        published_by="test",
        action=BundleAction.PUBLISH if files else BundleAction.WITHDRAW,
    )


def revocation(
    kind: RevocationKind,
    target: str,
    *,
    time_ms: int,
    state: RevocationState = RevocationState.REVOKED,
    until_ms: int | None = None,
) -> tuple[bytes, Revocation]:
    """Return a revocation or a release, with its key."""
    record = Revocation(
        header=header(f"revocation {kind.value} {target} {state.value} {time_ms}", time_ms, tenant=""),
        kind=kind,
        id=target,
        state=state,
        effective_at=time_ms,
        until=until_ms,
        reason="test",
        initiating_entity="admin",
    )
    return revocation_key(kind, target), record


RELEASER = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
"""The key of who may release stops."""

STRANGER = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
"""The key of somebody who may not."""


def release(
    kind: RevocationKind, target: str, *, time_ms: int, lifts_before: int, key: SigningKey, deployment: str = ""
) -> tuple[bytes, Revocation]:
    """Return a signed release of the stops before an offset, with its key."""
    record_key, unsigned = revocation(kind, target, time_ms=time_ms, state=RevocationState.RELEASED)
    stated = msgspec.structs.replace(unsigned, lifts_before=lifts_before)
    return record_key, signed_release(stated, key, deployment)


class SessionMaker:
    """Makes the records of one session. Knows its secret, as its agent does.

    Attributes:
        key: the key of all records of the session.
        secret: the secret that its agent proves intents with.
        delegation_uid: the first grant made for the session, which its intents name.
    """

    def __init__(
        self,
        session_id: str = "s-1",
        *,
        tenant: str = "acme",
        sub: str = "alice",
        act: str = "assistant",
        root_key: bytes = ROOT_KEY,
    ) -> None:
        self.session_id = session_id
        self.tenant = tenant
        self.sub = sub
        self.act = agent(act)
        self.key = session_key_of(tenant, session_id)
        self.secret = session_secret(root_key, tenant, session_id)
        self._root_key = root_key
        self._writer_key = session_writer_key(root_key)
        self.delegation_uid: str | None = None
        self._made_count = 0

    def event(
        self, kind: SessionEventType, time_ms: int, *, unproven: Mapping[str, Any] | None = None, **fields: Any
    ) -> SessionEvent:
        """Return a session event, as executors and the token service write it.

        Args:
            unproven: fields that are changed after the proof was made, as somebody without the key would.
        """
        self._made_count += 1
        event = SessionEvent(
            header=self._header("event", time_ms),
            session_id=self.session_id,
            sequence=self._made_count,
            type=kind,
            **fields,
        )
        return replace(self.proven(event), **(unproven or {}))

    def proven(self, event: SessionEvent) -> SessionEvent:
        """Return the event with the proof that its kind needs: the token service's, its server's, or the session's."""
        if event.type in PROVEN_EVENTS:
            return proven_event(self._writer_key, event)
        if event.type not in COMPLETIONS:
            return session_report(self.secret, event, "") if event.type in REPORTS else event
        tool = event.tool
        if tool is None or event.intent_id is None:
            return event
        if event.verdict_id is None:
            verdict_id = verdict_id_of(self.tenant, self.session_id, event.intent_id, Outcome.ALLOW)
            event = replace(event, verdict_id=verdict_id)
        return ReportKey.derived(self._root_key, tool.server_id).proven(event)

    def established(
        self, time_ms: int, *, expires_ms: int | None = None, scopes: tuple[str, ...] = (), **fields: Any
    ) -> SessionEvent:
        """Return SESSION_ESTABLISHED; by default the session lives for an hour."""
        return self.event(
            SessionEventType.SESSION_ESTABLISHED,
            time_ms,
            sub=self.sub,
            act=self.act,
            expires=time_ms + SESSION_LIFE_MS if expires_ms is None else expires_ms,
            scopes=scopes,
            **fields,
        )

    def result(self, intent: Intent, time_ms: int, *, label: Label | None = None) -> SessionEvent:
        """Return the report of an allowed call's result."""
        return self.event(
            SessionEventType.TOOL_RESULT,
            time_ms,
            intent_id=intent.intent_id,
            tool=intent.tool,
            label=label,
        )

    def grant(
        self,
        uid: str,
        time_ms: int,
        *,
        op: DelegationOp = DelegationOp.GRANT,
        key: Ed25519Key | None = None,
        unproven: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Delegation:
        """Return a root grant of everything to the session, or its revocation, signed by `ISSUER`.

        Args:
            key: what it is signed with; derived from the root key by default.
            unproven: fields that are changed after it was signed, as somebody without the key would.
            changes: fields that are changed before.
        """
        self._made_count += 1
        body = GrantBody(
            op=op,
            tenant_uid=self.tenant,
            uid=uid,
            root_uid=uid,
            depth=0,
            max_depth=4,
            issuer_uid=ISSUER,
            sub=self.sub,
            delegator=person(self.sub),
            act=self.act,
            audience=(ANYTHING,),
            authorization_details=(EVERYTHING_GRANTED,),
            session_id=self.session_id,
            iat=time_ms,
            exp=time_ms + SESSION_LIFE_MS,
        )
        if op is DelegationOp.GRANT:
            self.delegation_uid = self.delegation_uid or uid
        body = replace(body, **changes)
        signer = key or root_grant_key(self._root_key, self.tenant, body.issuer_uid)
        body = replace(body, proof=signer.prove(grant_message(body)))
        return travelling((replace(body, **(unproven or {})),), self._header("grant", time_ms))

    def handed_on(
        self,
        parent: Delegation,
        uid: str,
        time_ms: int,
        receiver: SessionMaker,
        *,
        key: Ed25519Key | None = None,
        unproven: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Delegation:
        """Return the session's grant, or a part of it, delegated to another session; arguments as of `grant`.

        Args:
            parent: the session's grant.
            receiver: whose session it is for.
            key: what it is signed with; the session's own by default.
        """
        self._made_count += 1
        receiver.delegation_uid = receiver.delegation_uid or uid
        body = narrow(parent, uid=uid, act=receiver.act, session_id=receiver.session_id, iat=time_ms)
        body = replace(body, **changes)
        signer = key or hop_grant_key(self.secret)
        body = replace(body, proof=signer.prove(grant_message(body)))
        lineage = (*lineage_of(parent), replace(body, **(unproven or {})))
        return travelling(lineage, self._header("grant", time_ms))

    def intent(
        self,
        entry: ToolCatalogEntry,
        args: Mapping[str, Any] | str,
        time_ms: int,
        *,
        key: Ed25519Key | None = None,
        unproven: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Intent:
        """Return an intent with a valid proof.

        Args:
            entry: the tool, as the agent was shown it.
            args: the arguments; a text goes as it is, without a canonical form.
            time_ms: the agent's clock.
            key: what it is signed with; the session's own by default.
            unproven: fields that are changed after the proof was made, as somebody without the key would.
            changes: fields that are changed before.
        """
        self._made_count += 1
        text = args if isinstance(args, str) else canonical(dict(args)).decode()
        intent_id = derived_uuid("test intent", self.tenant, self.session_id, str(self._made_count))
        intent = Intent(
            header=self._header("intent", time_ms),
            intent_id=intent_id,
            session_id=self.session_id,
            turn=1,
            tool_call_id=f"call-{self._made_count}",
            sub=self.sub,
            act=self.act,
            delegation_uid=self.delegation_uid,
            tool=tool_ref(entry),
            args_json=text,
            args_digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(),
        )
        intent = replace(intent, **changes)
        message = proof_message(intent)
        own = Proof(alg=ProofAlg.HMAC_SHA256, value=make_hmac(self.secret, message))
        proof = own if key is None else key.prove(message)
        return replace(replace(intent, proof=proof), **(unproven or {}))

    def decision(
        self,
        intent: Intent,
        approver: str,
        time_ms: int,
        *,
        status: ApprovalStatus = ApprovalStatus.APPROVED,
        groups: tuple[str, ...] = (),
        round_no: int = 0,
        **changes: Any,
    ) -> ApprovalDecision:
        """Return a person's decision about an intent, in round `round_no`; `changes` replace any field."""
        self._made_count += 1
        decision = ApprovalDecision(
            header=self._header("decision", time_ms),
            task_id=approval_task_id(self.tenant, self.session_id, intent.intent_id, round_no),
            intent_id=intent.intent_id,
            session_id=self.session_id,
            status=status,
            approver=person(approver),
            approver_groups=groups,
            args_digest=intent.args_digest,
        )
        return replace(decision, **changes)

    def _header(self, what: str, time_ms: int) -> Header:
        return header(f"{what} {self.tenant} {self.session_id} {self._made_count}", time_ms, self.tenant)
