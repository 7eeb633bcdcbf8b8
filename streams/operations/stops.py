"""Stops and releases: writes the records of `agent.revocation.v1`."""

from __future__ import annotations

import re
from contextlib import closing

import msgspec

from streams.audit.releasers import Releasers, signed_release
from streams.audit.signatures import SigningKey
from streams.codec.instants import parse_instant
from streams.codec.varints import MalformedError
from streams.model.errors import FormError, RecordError, StoplogError
from streams.model.keys import revocation_key
from streams.model.reasons import DeadLetterReason
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.revocation_set import RevocationSet
from streams.model.revocation_targets import EVERYTHING, RULES_NAME
from streams.model.topics import REVOCATION
from streams.model.types import Record
from streams.operations.known_names import is_known
from streams.operations.operator import Operator
from streams.ports import TopicPartition

_TENANT_SEPARATOR = "|"
_PLACE = TopicPartition(REVOCATION.name, 0)
RELEASE_TRIES_MAX = 5
"""How often a release is written if stops of the same name are written meanwhile."""
_SCOPED = frozenset({RevocationKind.SESSION, RevocationKind.AGENT, RevocationKind.SUBJECT})


_DURATION = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class RevocationTargetError(StoplogError):
    """The name of the target is malformed, unknown or ambiguous."""


class TargetFormError(RevocationTargetError, FormError):
    """The name of the target has not the form of the names of its kind."""


class ReleaseError(StoplogError):
    """A stop can't be released like this."""


class UntilError(StoplogError):
    """The end of a stop, or of what a person has granted, is invalid."""


def until_instant(text: str, now_ms: int) -> int:
    """Return the instant that a person has typed: RFC 3339, or a duration from now such as `30m`.

    Raises:
        UntilError: the text is neither, or the instant is not in the future.
    """
    duration = _DURATION.fullmatch(text.strip())
    if duration is not None:
        until_ms = now_ms + int(duration["count"]) * _UNIT_MS[duration["unit"]]
    else:
        try:
            until_ms = parse_instant(text.strip())
        except MalformedError:
            text = f"`{text[:40]}` is neither an instant such as `2026-01-31T09:00:00Z` nor a duration such as `30m`"
            raise UntilError(text) from None
    if until_ms <= now_ms:
        raise UntilError(f"`{text[:40]}` is not in the future")
    return until_ms


def revocation_target(kind: RevocationKind, stated: str, tenant_uid: str) -> str:
    """Return the `id` of a revocation, from what a person typed.

    Args:
        stated: a session, agent or subject, with or without the tenant (`acme|s-1`); a tool as `server/name`, or
            `server/*`; a model as `provider/name`; a tenant; a grant; rules by their digest; anything for all.
        tenant_uid: the tenant where none is stated.

    Raises:
        TargetFormError: the name is empty, or has the wrong form.
        RevocationTargetError: it could belong to another tenant.
    """
    if kind is RevocationKind.ALL:
        return EVERYTHING
    if not stated.strip():
        raise TargetFormError(f"the name of the {kind.value.lower()} is empty")
    if kind in _SCOPED:
        tenant, separator, _ = stated.partition(_TENANT_SEPARATOR)
        if separator and tenant != tenant_uid:
            # Names may contain the separator, too. A stop must not guess what is meant.
            raise RevocationTargetError(
                f"`{stated}` is ambiguous because of its `|`: if that is the name, write `{tenant_uid}|{stated}`; "
                f"to stop something of tenant `{tenant}`, set STOPLOG_TENANT={tenant}"
            )
        return stated if separator else f"{tenant_uid}{_TENANT_SEPARATOR}{stated}"
    if kind is RevocationKind.MODEL and not all(stated.partition("/")):
        raise TargetFormError(f"model `{stated}` is not of the form `provider/name`")
    if kind is RevocationKind.TOOL and not all(stated.partition("/")):
        # A person may know it from a rule, which writes it with a dot.
        is_dotted = "/" not in stated and all(stated.partition("."))
        meant = f"; did you mean `{stated.replace('.', '/', 1)}`?" if is_dotted else ""
        raise TargetFormError(f"tool `{stated}` is not of the form `server/name` (or `server/*`){meant}")
    if kind is RevocationKind.RULESET and RULES_NAME.fullmatch(stated) is None:
        raise TargetFormError(
            f"`{stated[:80]}` is not the digest of rules, which has 64 lower-case hexadecimal digits "
            "(`stoplog rules status --json` shows it)"
        )
    return stated


def meant_target(operator: Operator, kind: RevocationKind, stated: str) -> str:
    """Return the `id` of a revocation as `revocation_target` does. Blocking.

    A name of another tenant than that of the settings is accepted if the log knows it, and knows nothing of this name
    in the own tenant.

    Raises:
        RevocationTargetError: see `revocation_target`.
        TopicReadError, LogError: the log can't be read.
    """
    tenant_uid = operator.deployment.tenant_uid
    try:
        return revocation_target(kind, stated, tenant_uid)
    except RevocationTargetError:
        own = f"{tenant_uid}{_TENANT_SEPARATOR}{stated}"
        if kind not in _SCOPED or not all(stated.partition(_TENANT_SEPARATOR)):
            raise
        if is_known(operator, kind, own) or not is_known(operator, kind, stated):
            raise
        return stated


def write_revocation(
    operator: Operator, kind: RevocationKind, target: str, state: RevocationState, why: str, until_ms: int | None = None
) -> Revocation:
    """Stop something, or release it without a signature; the record is on the log when this returns.

    Raises:
        PublishError, LogError: it is not known whether the record is stored.
    """
    return _write(operator, _record(operator, kind, target, state, why, until_ms))


def stored_ms(operator: Operator, written: Revocation) -> int | None:
    """Return the log's time of a record that was written, which gates compare with its end; None if it is gone already.
    Blocking.

    Raises:
        TopicReadError, LogError: the topic can't be read.
    """
    found = operator.find(REVOCATION)
    return next((received.timestamp_ms for received, record in found if _is_same(record, written)), None)


def _is_same(record: Record, written: Revocation) -> bool:
    return isinstance(record, Revocation) and record.header.id == written.header.id


def release_stop(operator: Operator, kind: RevocationKind, target: str, why: str, key: SigningKey | None) -> Revocation:
    """Release something; the record is on the log when this returns, and it counts.

    Somebody may stop the same thing again between reading the topic and writing the release, and a gate writes a stop
    again that was pushed out of the topic. So the topic is read afterwards, and the release repeated if it came too
    late.

    Args:
        key: the key of a releaser; None where releases need no signature.

    Raises:
        ReleaseError: no key is given, the key is not a releaser's, or the release does not count.
        PublishError, LogError: it is not known whether the record is stored.
        TopicReadError: the topic can't be read.
    """
    releasers = operator.deployment.release.trusted()
    record = _record(operator, kind, target, RevocationState.RELEASED, why)
    if not releasers.are_asked:
        return _write(operator, record)
    if key is None:
        raise ReleaseError("a release needs the signature of a releaser; give the key with `--key FILE`")
    if releasers.ring.name_of(key.public) is None:
        raise ReleaseError(
            f"`{key.public}` is not the key of a releaser, so gates and executors would ignore the release; add it to "
            "the setting `release.releasers` of the gates, the token service and the executors, and of this command"
        )
    for _ in range(RELEASE_TRIES_MAX):
        record = _record(operator, kind, target, RevocationState.RELEASED, why)
        unsigned = msgspec.structs.replace(record, lifts_before=_end_of_stops(operator))
        record = _write(operator, signed_release(unsigned, key, releasers.deployment))
        error = _fault_of(operator, record, releasers)
        if error is None:
            return record
        if error.reason != DeadLetterReason.RELEASE_OUTDATED:
            break
    raise ReleaseError(f"{error}")


def _record(
    operator: Operator,
    kind: RevocationKind,
    target: str,
    state: RevocationState,
    why: str,
    until_ms: int | None = None,
) -> Revocation:
    header = operator.header()
    return Revocation(
        header=header,
        kind=kind,
        id=target,
        state=state,
        effective_at=header.time,
        until=until_ms,
        reason=why,
        initiating_entity=operator.name,
    )


def _write(operator: Operator, record: Revocation) -> Revocation:
    operator.write(REVOCATION, [(revocation_key(record.kind, record.id), record, record.header)])
    return record


def _end_of_stops(operator: Operator) -> int:
    with closing(operator.log.reader()) as reader:
        return reader.end_offsets([_PLACE])[_PLACE]


def _fault_of(operator: Operator, release: Revocation, releasers: Releasers) -> RecordError | None:
    """Return why a release that was written does not count; None if it does."""
    _, faults = read_stops(operator, releasers)
    return faults.get(release.header.id)


def read_stops(operator: Operator, releasers: Releasers) -> tuple[RevocationSet, dict[str, RecordError]]:
    """Return the stops on the topic, and why records do not count, by the records' ids. Blocking.

    Args:
        releasers: whose releases count.

    Raises:
        TopicReadError, LogError: the topic can't be read.
    """
    found, faults = RevocationSet(releasers), {}
    for received, record in operator.find(REVOCATION):
        if not isinstance(record, Revocation):
            continue
        found.next_offset = received.offset + 1
        try:
            found.apply(record, received.key, received.timestamp_ms)
        except RecordError as error:
            faults[record.header.id] = error
    return found, faults
