"""The checks before the rules, cheapest and most certain first. Each returns a denial, or None to go on.

Fail closed: what is missing, stale, unknown or in error denies (docs/explanation/deciding.md).
"""

from __future__ import annotations

from streams.delegation.keys import verified_jkt
from streams.model.canonical import CanonicalError, canonical_args, sha256
from streams.model.intent import Intent
from streams.model.proof import proof_message, session_secret, verify_hmac
from streams.model.reasons import Reason
from streams.model.revocation import RevocationKind
from streams.model.revocation_set import Call, session_target
from streams.model.types import Proof, ProofAlg
from streams.processors.control.state import CALLABLE_STATES, ControlState
from streams.processors.gate.case import Case, Judgement, deny
from streams.processors.gate.settings import GateSettings
from streams.processors.sessions.grants import check_delegated, check_grant
from streams.processors.sessions.lifecycle import reason_expired, reason_over
from streams.processors.state import SessionRow, SessionStatus

_DETAIL_CHARS_MAX = 200


def check_all(case: Case, control: ControlState, settings: GateSettings) -> Judgement | None:
    """All of them, in the order of DECISIONS.md."""
    return (
        check_time(case, settings)
        or check_session(case, control)
        or check_control(case, control)
        or check_parties(case)
        or check_grant(case, settings)
        or check_args(case, settings)
        or check_proof(case, settings)
        or check_delegated(case)
        or check_tool(case, control)
    )


def check_time(case: Case, settings: GateSettings) -> Judgement | None:
    """The time that the intent claims, and the agent's own deadline, against broker time."""
    made_ms = case.intent.header.time
    if made_ms > case.received_ms + settings.skew_ms:
        return deny(Reason.INTENT_FROM_FUTURE, f"{made_ms - case.received_ms} ms ahead")
    if made_ms < case.received_ms - settings.intent_age_max_ms:
        return deny(Reason.INTENT_STALE, f"{case.received_ms - made_ms} ms old")
    deadline = case.intent.deadline
    if deadline is not None and deadline <= case.now_ms:
        return deny(Reason.DEADLINE_PASSED)
    return None


def check_session(case: Case, control: ControlState) -> Judgement | None:
    """Whether the session lives."""
    session = case.session
    if session.status is SessionStatus.FROZEN:
        if not _released(case, control):
            return deny(Reason.SESSION_FROZEN)
    elif session.status is not SessionStatus.LIVE:
        return deny(Reason.SESSION_UNKNOWN if session.status is SessionStatus.UNKNOWN else reason_over(session))
    if session.expires_ms <= case.now_ms:
        return deny(reason_expired(session))
    return None


def _released(case: Case, control: ControlState) -> bool:
    """Whether a person has released the session since it was frozen, by the order of the log and nobody's clock."""
    target = session_target(case.intent.header.tenant_uid, case.intent.session_id)
    return control.revocations.released_since(RevocationKind.SESSION, target, case.session.frozen_offset)


def check_control(case: Case, control: ControlState) -> Judgement | None:
    """Whether control state is current, and nothing of the call has been taken back."""
    if control.stale:
        return deny(Reason.CONTROL_STATE_STALE)
    return check_revoked(case, control)


def check_revoked(case: Case, control: ControlState) -> Judgement | None:
    """Whether nothing of the call has been taken back, as far as is known."""
    intent = case.intent
    reason = control.revocations.reason_against(call_of(intent, case.session), case.now_ms)
    return None if reason is None else deny(reason)


def call_of(intent: Intent, session: SessionRow) -> Call:
    """What a revocation could name of the intent."""
    return Call(
        tenant_uid=intent.header.tenant_uid,
        session_id=intent.session_id,
        sub=intent.sub,
        act=intent.act,
        delegation_uids=session.delegation_uids,
        tool=intent.tool,
        model=intent.model,
        ancestor_session_ids=session.ancestor_session_ids,
        ancestor_actors=session.ancestor_actors,
    )


def check_parties(case: Case) -> Judgement | None:
    """Subject, actor and grant must be the session's."""
    intent, session = case.intent, case.session
    if intent.sub != session.sub:
        return deny(Reason.SUBJECT_MISMATCH)
    if (intent.act.iss, intent.act.sub) != (session.act_iss, session.act_sub):
        return deny(Reason.ACTOR_MISMATCH)
    if intent.delegation_uid != session.delegation_uid:
        return deny(Reason.DELEGATION_UNSTATED if intent.delegation_uid is None else Reason.DELEGATION_UNKNOWN)
    return None


def check_args(case: Case, settings: GateSettings) -> Judgement | None:
    """The arguments must have one reading, and the digest that is stated for it."""
    text = case.intent.args_json
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > settings.args_bytes_max:
        return _too_large(size, settings)
    try:
        args, canonical = canonical_args(text)
        if len(canonical) > settings.args_bytes_max:  # `1e20` grows
            return _too_large(len(canonical), settings)
        # What is judged must be what runs: `7.0` becomes `7`, which a rule may tell apart.
        case.args = args if canonical == text.encode() else canonical_args(canonical.decode())[0]
    except CanonicalError as error:
        return deny(Reason.ARGS_NOT_CANONICALIZABLE, str(error)[:_DETAIL_CHARS_MAX])
    if sha256(canonical) != case.intent.args_digest:
        return deny(Reason.ARGS_DIGEST_MISMATCH)
    case.args_json = canonical.decode()
    return None


def _too_large(size: int, settings: GateSettings) -> Judgement:
    return deny(Reason.ARGS_TOO_LARGE, f"{size} bytes, at most {settings.args_bytes_max} are accepted")


def check_proof(case: Case, settings: GateSettings) -> Judgement | None:
    """Whoever made the intent holds the session's key."""
    intent = case.intent
    proof = intent.proof
    if proof is None:
        return deny(Reason.PROOF_MISSING)
    authority = case.authority
    if authority is not None and authority.row.cnf_jkt is not None:
        return _check_signature(case, proof, authority.row.cnf_jkt)
    if proof.alg is not ProofAlg.HMAC_SHA256:
        return deny(Reason.PROOF_UNSUPPORTED, proof.alg.value)
    if not case.secret:
        case.secret = session_secret(settings.root_key, intent.header.tenant_uid, intent.session_id)
    if not verify_hmac(case.secret, proof_message(intent), proof.value):
        return deny(Reason.PROOF_INVALID)
    case.proven = True
    return None


def _check_signature(case: Case, proof: Proof, jkt: str) -> Judgement | None:
    """A grant that is bound to a key is used with that key alone: the session's would be the weaker of the two."""
    if proof.alg is not ProofAlg.ED25519:
        return deny(Reason.PROOF_UNSUPPORTED, f"{proof.alg.value}, but the session's grant is bound to an Ed25519 key")
    if verified_jkt(proof, proof_message(case.intent)) != jkt:
        return deny(Reason.PROOF_INVALID)
    case.proven = True
    return None


def check_tool(case: Case, control: ControlState) -> Judgement | None:
    """The tool is cataloged, approved, still the one that was approved, and the arguments fit its schema."""
    wanted = case.intent.tool
    tool = control.tools.get((wanted.server_id, wanted.name))
    if tool is None:
        return deny(Reason.TOOL_UNKNOWN, f"{wanted.server_id}/{wanted.name}"[:_DETAIL_CHARS_MAX])
    entry = tool.entry
    if entry.state not in CALLABLE_STATES:
        return deny(Reason.TOOL_NOT_APPROVED, entry.state.value)
    if entry.review_expires is not None and entry.review_expires <= case.now_ms:
        return deny(Reason.TOOL_REVIEW_EXPIRED)
    if wanted.definition_digest is None:
        return deny(Reason.TOOL_DEFINITION_UNSTATED)
    if wanted.definition_digest != entry.definition_digest:
        return deny(Reason.TOOL_DEFINITION_CHANGED)
    case.tool = tool
    fault = tool.schema.fault(case.args)
    return None if fault is None else deny(Reason.ARGS_INVALID, fault)
