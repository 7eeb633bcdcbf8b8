"""The agent's side: propose a call, and wait for its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import msgspec

from streams.model.canonical import sha256
from streams.model.content import FIELD_OF_EVENT
from streams.model.delegation import Delegation
from streams.model.errors import RecordError
from streams.model.intent import Intent, ReplyTo
from streams.model.keys import partition_for
from streams.model.labels import Label
from streams.model.outcome import IntentOutcome
from streams.model.proof import session_report
from streams.model.session import COMPLETIONS, REPORTS, SessionEvent, SessionEventType
from streams.model.topics import INTENT, REPORT, outcome_topic_name
from streams.model.types import Actor, Header, Model, ToolRef
from streams.model.verdict import Outcome
from streams.ports import LogError, TopicPartition
from streams.ports.content import ContentSealer
from streams.provenance.extraction.events import described
from streams.provenance.requests.scope import Deriver, derive_scopes
from streams.sdk.agent.credential import SessionCredential, prompt_digest
from streams.sdk.agent.intents import CallContext, build_intent
from streams.sdk.agent.toolset import Toolset, parse_tool
from streams.sdk.connection.inbox import Expected
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.sdk.errors import OutcomeTimeoutError, ProposalError, PublishError, refuse_text

if TYPE_CHECKING:
    from streams.sdk.agent.delegation import Share

OUTCOME_TIMEOUT_MS = 30_000
RESEND_AFTER_SHARE = 0.5
"""The share of the timeout after which an unanswered intent is sent again, in case it was lost."""


class Agent:
    """The agent of one session. Thread-safe: its calls may be proposed in parallel.

    Outcomes come on a topic of the agent's tenant (`agent.outcome.<tenant>.v1`), which
    `stoplog topics apply --tenant ID` creates. Opening the agent looks up the end of the session's partition there;
    closing it stops reading it.
    """

    def __init__(
        self,
        transport: Transport,
        credential: SessionCredential,
        *,
        toolset: Toolset | None = None,
        model: Model | None = None,
        source: str | None = None,
        version: str | None = None,
        system_prompt: str | None = None,
        content_sealer: ContentSealer | None = None,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Open the agent. Blocks until the end of the session's outcome partition is known.

        Args:
            toolset: the tools that the model is shown; pins the definitions of tools that are given by name.
            model: the model that proposes the calls.
            source: the name of the writer, as a URI reference; by default the actor's.
            version: the version of the agent's program, which audit records name. Gates must be as new as this library.
            system_prompt: the system prompt, without what differs from session to session, such as the date or the
                user's name. Only its digest is sent, with each call whose context states none. The watch tells by it
                which prompt an agent works with.
            content_sealer: encrypts what `report` is given for the record (`SessionSealer`), where gates capture it.
                None captures nothing.

        Raises:
            OutcomeReadError: outcomes can't be read.
            ProposalError: the system prompt is not valid Unicode.
            LogError: the tenant has no topic for them, or the log did not answer.
        """
        self.credential = credential
        self.key = credential.key
        self._transport = transport
        self._toolset = Toolset() if toolset is None else toolset
        self._model = model
        self._source = source or f"agent/{credential.act.sub}"
        self._version = version
        self._prompt_digest = None if system_prompt is None else prompt_digest(system_prompt)
        self._content_sealer = content_sealer
        self._entropy = entropy
        self._inbox = transport.outcomes()
        topic = outcome_topic_name(credential.tenant_uid)
        self._replies = TopicPartition(topic, partition_for(self.key, transport.partitions(topic)))
        self._inbox.watch(self._replies)
        self._closed = False

    def propose(
        self,
        tool: ToolRef | str,
        args: Mapping[str, object],
        *,
        deadline_ms: int | None = None,
        wait_final: bool = True,
        timeout_ms: int = OUTCOME_TIMEOUT_MS,
        context: CallContext | None = None,
    ) -> IntentOutcome:
        """Ask whether a call may run, and wait for what is decided.

        Args:
            tool: the tool, or its name as `server/name` in the agent's toolset.
            args: the call's arguments.
            deadline_ms: the instant after which the call must not run any more.
            wait_final: whether to keep waiting after REQUIRE_APPROVAL and DEFER, which a final outcome follows.
            timeout_ms: how long to wait.
            context: where in the agent's work the call stands.

        Returns:
            The outcome of exactly this call. Only ALLOW lets it run, and only as the verdict has it, which executors
            read. An outcome says nothing of the call itself.

        Raises:
            ProposalError: it can't be proposed; nothing was sent.
            PublishError: it is not known whether the intent was stored.
            OutcomeTimeoutError: no outcome came in time; `resend` asks again, safely.
            OutcomeReadError: outcomes can't be read.
        """
        intent = self.prepare(tool, args, deadline_ms=deadline_ms, context=context)
        return self.resend(intent, wait_final=wait_final, timeout_ms=timeout_ms)

    def resend(self, intent: Intent, *, wait_final: bool = True, timeout_ms: int = OUTCOME_TIMEOUT_MS) -> IntentOutcome:
        """Send an intent (again) that `prepare` or a OutcomeTimeoutError returned, and wait for its outcome.

        Repeating it is safe: a gate judges an intent once, and answers a repeated intent with the same outcome.

        Raises:
            ProposalError, PublishError, OutcomeTimeoutError, OutcomeReadError: see `propose`.
        """
        expected = self.expect(intent, wait_final=wait_final)
        try:
            self.send(intent)
            first_ms, rest_ms = waits(timeout_ms)
            try:
                return expected.future.result(first_ms / 1000)
            except TimeoutError:
                self.send_again(expected)
            return expected.future.result(rest_ms / 1000)
        except TimeoutError:
            raise timed_out(expected, timeout_ms) from None
        finally:
            self.forget(expected)

    def prepare(
        self,
        tool: ToolRef | str,
        args: Mapping[str, object],
        *,
        deadline_ms: int | None = None,
        context: CallContext | None = None,
    ) -> Intent:
        """Build and prove an intent without sending it.

        Raises:
            ProposalError: the arguments can't be sent, or the agent is closed.
        """
        if self._closed:
            raise ProposalError(f"the agent of session `{self.credential.session_id}` is closed")
        about = context or CallContext()
        if about.toolset_digest is None and self._toolset:
            about = replace(about, toolset_digest=self._toolset.digest)
        if about.system_prompt_digest is None and self._prompt_digest is not None:
            about = replace(about, system_prompt_digest=self._prompt_digest)
        now_ms = self._transport.now_ms()
        return build_intent(
            self.credential,
            self._resolve(tool),
            args,
            intent_id=self._entropy.uuid(now_ms),
            header_id=self._entropy.uuid(now_ms),
            source=self._source,
            now_ms=now_ms,
            model=self._model,
            agent_version=self._version,
            deadline_ms=deadline_ms,
            context=about,
            reply_to=ReplyTo(topic=self._replies.topic, partition=self._replies.partition),
        )

    def delegate(
        self, act: Actor, share: Share | None = None, *, session_id: str | None = None, uid: str | None = None
    ) -> Delegation:
        """Delegate the session's grant, or a part of it, to another agent.

        Nothing is sent: the token service accepts the grant, opens the receiver's session with it, and writes both to
        the log.

        Args:
            act: the agent that receives it.
            share: the part of the session's grant that it conveys (`streams.sdk.agent.delegation`); by default all.
            session_id: the receiver's session; by default the one that token services open for this grant.
            uid: the new grant's id; a new one by default.

        Returns:
            The grant with its whole chain, signed.

        Raises:
            DelegationError: the session has no grant, the share is wider than the grant, or its key is missing.
        """
        from streams.sdk.agent.delegation import EVERYTHING, hand_on  # noqa: PLC0415 - loads the library of signatures

        now_ms = self._transport.now_ms()
        return hand_on(
            self.credential,
            act,
            share or EVERYTHING,
            uid=uid or f"g-{self._entropy.uuid(now_ms)}",
            session_id=session_id,
            header=Header(
                id=self._entropy.uuid(now_ms),
                source=self._source,
                time=now_ms,
                tenant_uid=self.credential.tenant_uid,
            ),
        )

    def report(
        self,
        kind: SessionEventType,
        *,
        content: str | None = None,
        content_type: str | None = None,
        content_digest: bytes | None = None,
        label: Label | None = None,
        tool: ToolRef | None = None,
        sources: Sequence[str] = (),
        deployment: str = "",
        derive: Deriver = derive_scopes,
        conversation_id: str | None = None,
    ) -> SessionEvent:
        """Report what has happened in the session beside its calls: a message, or what was read from elsewhere.

        It is proven with the session's key. It can only lower the trust in the session, never raise it. But values of a
        USER_MESSAGE count as named by the user, so report as such only what the user has written.

        Args:
            kind: USER_MESSAGE, MODEL_OUTPUT, RETRIEVAL, MEMORY_READ, TOOLS_CHANGED or SYSTEM_PROMPT. What models say
                is on the record then: its digest, and where gates capture it, the text. With its content, a yes of the
                user covers only what was proposed.
            content: the content as the model reads it. Only its digest, and keyed digests of the values in it, are
                sent, and with a `content_sealer` the content itself, encrypted. Without it, a gate expects the worst of
                what was read.
            content_type: its media type, if that is known.
            content_digest: SHA-256 of the content, where the content itself is not at hand.
            label: how far the content can be trusted; for RETRIEVAL and MEMORY_READ, without a label or a tool, not at
                all.
            tool: the cataloged tool that it was read with.
            sources: the names of the documents that were read. Alerts name those whose label lets anybody see them.
            deployment: must be the gates' setting `gate.deployment`.
            derive: derives from the content of a USER_MESSAGE which kinds of acts it asks for. It makes no value the
                user's.
            conversation_id: the conversation that the session belongs to, as in `CallContext`.

        Raises:
            ProposalError: executors report events of this kind, or the token service says them; or `sources` is a text.
            PublishError: it is not known to be stored.
        """
        try:
            kind = SessionEventType(kind)  # its text is as good
        except ValueError:
            raise ProposalError(f"there is no event of the kind `{kind}`") from None
        if kind not in REPORTS or kind in COMPLETIONS:
            raise ProposalError(f"an agent can't report {kind.value}")
        refuse_text("sources", sources, ProposalError)
        own, now_ms = self.credential, self._transport.now_ms()
        header = Header(id=self._entropy.uuid(now_ms), source=self._source, time=now_ms, tenant_uid=own.tenant_uid)
        event = SessionEvent(
            header=header,
            session_id=own.session_id,
            sequence=0,
            type=kind,
            tool=tool,
            label=label,
            content_digest=content_digest if content is None else sha256(content.encode("utf-8", "surrogatepass")),
            content_type=content_type,
            sources=tuple(sources),
            conversation_id=conversation_id,
        )
        if content is not None and own.atom_key:
            event = described(event, content, own.atom_key, content_type, derive)
        if content is not None and self._content_sealer is not None and kind in FIELD_OF_EVENT:
            event = self._with_content(event, content, self._content_sealer)
        proven = session_report(own.secret, event, deployment)
        try:
            record = outgoing(self._transport, REPORT, self.key, proven, header)
        except LogError as error:
            raise PublishError(f"{kind.value} of session `{own.session_id}` was not sent: {error}") from error
        publish(self._transport, [record])
        return proven

    def _with_content(self, event: SessionEvent, content: str, sealer: ContentSealer) -> SessionEvent:
        """Return the event with its content, encrypted; without it if the sealer has no key for the tenant."""
        own, header = self.credential, event.header
        field = FIELD_OF_EVENT[event.type]
        sealed = sealer.seal(own.tenant_uid, own.session_id, header.id, field, content, header.time)
        if sealed is None:
            return event
        return msgspec.structs.replace(event, content=sealed.content, content_key=sealed.key)

    def expect(self, intent: Intent, *, wait_final: bool) -> Expected:
        """Start to wait for the intent's outcome; `forget` undoes this. A step of `resend`.

        Raises:
            ProposalError: too many intents wait, this one already waits, or it is not of this agent's session.
            OutcomeReadError: outcomes can't be read.
        """
        own = self.credential
        if (intent.header.tenant_uid, intent.session_id) != (own.tenant_uid, own.session_id):
            raise ProposalError(f"intent `{intent.intent_id}` is of session `{intent.session_id}`, not of this agent's")
        return self._inbox.expect(intent, wait_final=wait_final)

    def send(self, intent: Intent) -> None:
        """Store the intent on the log. A step of `resend`.

        Raises:
            ProposalError: it can't be a record: too large, or a field is not what it must be.
            PublishError: it is not known to be stored.
        """
        try:
            record = outgoing(self._transport, INTENT, self.key, intent, intent.header)
        except (RecordError, UnicodeError) as error:
            raise ProposalError(f"intent `{intent.intent_id}` can't be sent: {error}") from error
        except LogError as error:
            raise PublishError(f"intent `{intent.intent_id}` was not sent: {error}") from error
        publish(self._transport, [record])

    def send_again(self, expected: Expected) -> None:
        """Send an unanswered intent again. A step of `resend`."""
        if expected.interim is None:
            self.send(expected.intent)

    def forget(self, expected: Expected) -> None:
        """Undo `expect`."""
        self._inbox.forget(expected)

    def close(self) -> None:
        """Stop waiting for outcomes. May be called again."""
        if not self._closed:
            self._closed = True
            self._inbox.unwatch(self._replies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _resolve(self, tool: ToolRef | str) -> ToolRef:
        if isinstance(tool, ToolRef):
            return tool
        return self._toolset.get(tool) or parse_tool(tool)


def waits(timeout_ms: int) -> tuple[int, int]:
    """Split a timeout into the time before and after an unanswered intent is sent again, in ms."""
    first_ms = int(timeout_ms * RESEND_AFTER_SHARE)
    return first_ms, timeout_ms - first_ms


def timed_out(expected: Expected, timeout_ms: int) -> OutcomeTimeoutError:
    """Describe to the caller why there is no outcome."""
    intent, interim = expected.intent, expected.interim
    about = f"intent `{intent.intent_id}` of session `{intent.session_id}`"
    if interim is not None:
        text = f"{about} has no final outcome after {timeout_ms} ms: {interim.outcome.value}, {interim.reason}"
        if interim.outcome is Outcome.REQUIRE_APPROVAL:
            text += "; a person has to decide (`stoplog approvals list`), and `resend` waits for that again"
    elif expected.foreign_count:
        text = (
            f"{about} got {expected.foreign_count} outcomes of another call under its id, and none of its own, in "
            f"{timeout_ms} ms: the intent or the outcome was altered in transit; check who may write those topics"
        )
    else:
        text = (
            f"{about} has no outcome after {timeout_ms} ms: check that a gate runs on this log, that its topics are as "
            "declared (`stoplog doctor`), and that it may write the outcomes of this tenant (`stoplog topics check "
            "--tenant ID`)"
        )
    return OutcomeTimeoutError(text, intent, interim)
