"""A small token service, for development and tests.

It trusts whoever calls it: it has no authentication, no token exchange and no key management. On the log it does what a
real token service does (opens, ends and revokes sessions), so that everything else can run.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from streams.model.canonical import sha256
from streams.model.delegation import Delegation, GrantBody, ToolGrant
from streams.model.ids import sub_session_id
from streams.model.keys import revocation_key
from streams.model.labels import Label
from streams.model.proof import ROOT_KEY_BYTES_MIN, proven_event, session_secret, session_writer_key
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_targets import EVERYTHING, session_target
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import DELEGATION, REVOCATION, SESSION, Topic
from streams.model.types import Actor, Header, Record
from streams.ports import LogError
from streams.provenance.extraction.digests import atom_key
from streams.provenance.extraction.events import described
from streams.provenance.requests.scope import Deriver, derive_scopes
from streams.sdk.agent.credential import NOTHING_STATED, OpenedWith, SessionCredential
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import PublishError, TokenServiceError, refuse_text

SESSION_TTL_MS = 3_600_000
SESSIONS_MAX = 100_000
"""How many sessions one service keeps track of at a time."""

_ENDED = -1
"""Replaces the next sequence number of a session that its grant must not open again."""


class DevTokenService:
    """Opens, ends and revokes sessions. For development and tests. Thread-safe."""

    def __init__(
        self, transport: Transport, root_key: bytes, *, issuer: str, tenant_uid: str, entropy: Entropy = SYSTEM
    ) -> None:
        """Create a token service with no open sessions.

        Args:
            root_key: the key that session keys are derived from, the same as the gate's.
            issuer: the name of this service in its records.
            tenant_uid: the tenant of all its sessions.

        Raises:
            TokenServiceError: the root key is too short.
        """
        if len(root_key) < ROOT_KEY_BYTES_MIN:
            raise TokenServiceError(f"root key has {len(root_key)} bytes, needed are {ROOT_KEY_BYTES_MIN}")
        self._transport = transport
        self._root_key = root_key
        self._writer_key = session_writer_key(root_key)
        self._issuer = issuer
        self._tenant_uid = tenant_uid
        self._entropy = entropy
        self._lock = threading.Lock()
        self._sequences: dict[str, tuple[int, int]] = {}

    def open_session(
        self,
        sub: str,
        act: Actor,
        scopes: tuple[str, ...],
        *,
        purpose: str | None = None,
        ttl_ms: int = SESSION_TTL_MS,
        session_id: str | None = None,
        risk_level: str | None = None,
        traceparent: str | None = None,
        tools: Sequence[ToolGrant] | None = None,
        max_depth: int = 0,
        attended: bool = False,
        opened_with: OpenedWith = NOTHING_STATED,
    ) -> SessionCredential:
        """Open a session in which `act` acts for `sub`; it is on the log when this returns.

        Args:
            scopes: the part of the subject's rights that the session has.
            purpose: what the subject asked for.
            ttl_ms: how long the session lives.
            session_id: by default a new id; an id can be used only once.
            tools: the tools that the session may call (`streams.sdk.agent.delegation.tool`). The session then has a
                grant of them, which gates with this service as a trust anchor (`hmac`) accept. Without tools it has no
                grant.
            max_depth: how deep the grant may be delegated.
            attended: whether a person is present.
            opened_with: the model, system prompt and toolset that the session's later intents are compared with.

        Raises:
            TokenServiceError: too many sessions are open, the lifetime is not positive, nobody is named, or `scopes` is
                a text.
            PublishError: it is not known to be stored.
        """
        if ttl_ms <= 0:
            raise TokenServiceError(f"a session can't live {ttl_ms} ms")
        if not sub:
            raise TokenServiceError("a session needs somebody for whom the agent acts: `sub` is empty")
        refuse_text("scopes", scopes, TokenServiceError)
        now_ms = self._transport.now_ms()
        chosen = session_id or f"s-{self._entropy.uuid(now_ms)}"
        grant = None
        if tools is not None:
            from streams.sdk.agent.development_grants import root_grant  # noqa: PLC0415 - loads the library of signatures

            grant = root_grant(
                self._root_key,
                issuer=self._issuer,
                header=self._header(now_ms, traceparent),
                session_id=chosen,
                sub=sub,
                act=act,
                scopes=scopes,
                tools=tools,
                max_depth=max_depth,
                purpose=purpose,
                expires_ms=now_ms + ttl_ms,
            )
        credential = SessionCredential(
            tenant_uid=self._tenant_uid,
            session_id=chosen,
            secret=session_secret(self._root_key, self._tenant_uid, chosen),
            atom_key=atom_key(self._root_key, self._tenant_uid, sub),
            sub=sub,
            act=act,
            scopes=scopes,
            purpose=purpose,
            expires_ms=now_ms + ttl_ms,
            grant=grant,
        )
        header = self._header(now_ms, traceparent)
        self._establish(credential, header, risk_level=risk_level, attended=attended, opened_with=opened_with)
        return credential

    def open_sub_session(self, grant: Delegation, *, label: Label | None = None) -> SessionCredential:
        """Open the session of an agent that another agent has delegated (a part of) its grant to (`Agent.delegate`).

        Args:
            label: how far the request to the agent can be trusted. Without a label it is untrusted and confidential to
                everybody else, because it may contain anything that the delegating agent has read. Set a label only if
                you know what that was. The agents' claims are not enough: an agent that was manipulated could
                otherwise delegate its work to a session that the rules consider clean.

        Raises:
            TokenServiceError: the grant does not hold, its session was opened before, or too many are open.
            PublishError: it is not known to be stored.
        """
        from streams.sdk.agent.development_grants import check_handed_on  # noqa: PLC0415 - loads the library of signatures

        now_ms = self._transport.now_ms()
        parent = check_handed_on(grant, self._root_key, issuer=self._issuer, tenant_uid=self._tenant_uid, now_ms=now_ms)
        session_id = sub_session_id(self._tenant_uid, parent.session_id or "", grant.uid)
        if grant.session_id != session_id:
            text = f"grant `{grant.uid[:80]}` names another session than the one that follows from it (`{session_id}`)"
            raise TokenServiceError(text)
        credential = SessionCredential(
            tenant_uid=self._tenant_uid,
            session_id=session_id,
            secret=session_secret(self._root_key, self._tenant_uid, session_id),
            atom_key=atom_key(self._root_key, self._tenant_uid, grant.sub),
            sub=grant.sub,
            act=grant.act,
            scopes=grant.scopes,
            purpose=grant.purpose,
            expires_ms=grant.exp,
            grant=grant,
        )
        self._establish(credential, self._header(now_ms, None), parent=parent, label=label)
        return credential

    def _establish(
        self,
        credential: SessionCredential,
        header: Header,
        *,
        risk_level: str | None = None,
        parent: GrantBody | None = None,
        label: Label | None = None,
        attended: bool = False,
        opened_with: OpenedWith = NOTHING_STATED,
    ) -> None:
        """Write a session to the log, with its grant."""
        # A grant can be presented again for as long as its parent holds.
        until_ms = credential.expires_ms if parent is None else parent.exp
        event = SessionEvent(
            header=header,
            session_id=credential.session_id,
            sequence=self._begin_sequence(credential.session_id, until_ms, header.time),
            type=SessionEventType.SESSION_ESTABLISHED,
            sub=credential.sub,
            act=credential.act,
            purpose=credential.purpose,
            scopes=credential.scopes,
            expires=credential.expires_ms,
            risk_level=risk_level,
            delegation_uid=credential.delegation_uid,
            parent_session_id=None if parent is None else parent.session_id,
            label=label,
            attended=attended,
            model=opened_with.model,
            system_prompt_digest=opened_with.system_prompt_digest,
            toolset_digest=opened_with.toolset_digest,
        )
        try:
            if credential.grant is not None:
                self._publish(DELEGATION, credential.key, credential.grant, credential.grant.header)
            self._publish(SESSION, credential.key, proven_event(self._writer_key, event), header)
        except PublishError:
            # It may be tried again: gates accept a session that comes twice only once.
            with self._lock:
                self._sequences.pop(credential.session_id, None)
            raise

    def user_message(
        self,
        credential: SessionCredential,
        text: str,
        derive: Deriver = derive_scopes,
        *,
        conversation_id: str | None = None,
    ) -> SessionEvent:
        """Record that the session's user has sent a message; only digests of it and of its values leave this process.

        Args:
            derive: derives from the text what the session may do for it (`streams.provenance.requests.scope`).
            conversation_id: the conversation that the session belongs to. What the user has said counts in all sessions
                of it, also in those to which its agents have delegated.

        Raises:
            PublishError: it is not known to be stored.
        """
        return self._event(credential, SessionEventType.USER_MESSAGE, text, derive, conversation_id)

    def end_session(self, credential: SessionCredential) -> SessionEvent:
        """End a session, and with it the sessions that were opened from it.

        Raises:
            PublishError: it is not known to be stored.
        """
        event = self._event(credential, SessionEventType.SESSION_ENDED)
        grant = credential.grant
        if grant is not None and grant.depth < grant.max_depth:
            # They are on other partitions, and live no longer than this one would have.
            target = session_target(credential.tenant_uid, credential.session_id)
            self.revoke(RevocationKind.SESSION, target, "it has ended", until_ms=credential.expires_ms)
        with self._lock:
            known = self._sequences.pop(credential.session_id, None)
            if known is not None and grant is not None and grant.depth > 0:
                self._sequences[credential.session_id] = (_ENDED, known[1])
        return event

    def revoke(self, kind: RevocationKind, target: str, reason: str, *, until_ms: int | None = None) -> Revocation:
        """Revoke something for every gate and every executor.

        Args:
            kind, target: what is revoked; `streams.model.revocation_set` makes targets (`session_target`, ...).
            until_ms: the instant at which the revocation ends by itself, ms since the epoch.

        Raises:
            PublishError: it is not known to be stored.
        """
        return self._revocation(kind, target, reason, RevocationState.REVOKED, until_ms)

    def release(self, kind: RevocationKind, target: str, reason: str) -> Revocation:
        """Undo `revoke`, where releases need no signature (`release.allow_unsigned`).

        Raises:
            PublishError: it is not known to be stored.
        """
        return self._revocation(kind, target, reason, RevocationState.RELEASED, None)

    def _revocation(
        self, kind: RevocationKind, target: str, reason: str, state: RevocationState, until_ms: int | None
    ) -> Revocation:
        if kind is RevocationKind.UNKNOWN:
            raise TokenServiceError("a revocation must name the kind of what it revokes")
        named = EVERYTHING if kind is RevocationKind.ALL else target
        now_ms = self._transport.now_ms()
        revocation = Revocation(
            header=self._header(now_ms, None),
            kind=kind,
            id=named,
            state=state,
            effective_at=now_ms,
            until=until_ms,
            reason=reason,
            initiating_entity=self._issuer,
        )
        self._publish(REVOCATION, revocation_key(kind, named), revocation, revocation.header)
        return revocation

    def _event(
        self,
        credential: SessionCredential,
        kind: SessionEventType,
        content: str | None = None,
        derive: Deriver = derive_scopes,
        conversation_id: str | None = None,
    ) -> SessionEvent:
        said = SessionEvent(
            header=self._header(self._transport.now_ms(), None),
            session_id=credential.session_id,
            sequence=self._next_sequence(credential.session_id),
            type=kind,
            sub=credential.sub,
            act=credential.act,
            content_digest=None if content is None else sha256(content.encode()),
            conversation_id=conversation_id,
        )
        if content is not None:
            said = described(said, content, credential.atom_key, derive=derive)
        event = proven_event(self._writer_key, said)
        self._publish(SESSION, credential.key, event, event.header)
        return event

    def _begin_sequence(self, session_id: str, until_ms: int, now_ms: int) -> int:
        with self._lock:
            if session_id in self._sequences:
                raise TokenServiceError(f"session `{session_id}` was opened before: a session id is used once")
            if len(self._sequences) >= SESSIONS_MAX:
                self._sequences = {key: value for key, value in self._sequences.items() if value[1] > now_ms}
            if len(self._sequences) >= SESSIONS_MAX:
                raise TokenServiceError(f"{SESSIONS_MAX} sessions are open already: end some first")
            self._sequences[session_id] = (1, until_ms)
            return 0

    def _next_sequence(self, session_id: str) -> int:
        with self._lock:
            known = self._sequences.get(session_id)
            if known is None or known[0] == _ENDED:
                text = f"session `{session_id}` was not opened by this service, or has ended"
                raise TokenServiceError(text)
            self._sequences[session_id] = (known[0] + 1, known[1])
            return known[0]

    def _header(self, now_ms: int, traceparent: str | None) -> Header:
        return Header(
            id=self._entropy.uuid(now_ms),
            source=self._issuer,
            time=now_ms,
            tenant_uid=self._tenant_uid,
            traceparent=traceparent,
        )

    def _publish(self, topic: Topic, key: bytes, record: Record, header: Header) -> None:
        try:
            ready = outgoing(self._transport, topic, key, record, header)
        except LogError as error:
            raise PublishError(f"a record for `{topic.name}` was not sent: {error}") from error
        publish(self._transport, [ready])
