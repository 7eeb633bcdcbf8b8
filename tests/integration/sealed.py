"""Checks on a real log that each verdict and audit record of gates is in one seal, and that the seals are one log."""

from __future__ import annotations

from collections.abc import Iterator

from streams.audit.merkle import Frontier, leaf_hash
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import SealError
from streams.model.audit import Seal
from streams.model.topics import AUDIT, AUDIT_CHECKPOINT, SEAL_KEY, VERDICT
from streams.operations.topics.reader import read_to_end
from streams.ports import Received
from streams.wiring.clock import SystemClock
from tests.frontiers import extends_its_frontier
from tests.integration.deployment import PARTITIONS, Deployment


def seal_faults(deployment: Deployment, keys: SealKeys) -> Iterator[str]:
    """Yield what is wrong, a line each. The gates must have stopped."""
    topics = [topic.name for topic in (VERDICT, AUDIT, AUDIT_CHECKPOINT)]
    found: dict[tuple[str, int], list[Received]] = {}
    for each in read_to_end(deployment.log, topics, SystemClock()):
        found.setdefault((each.topic, each.partition), []).append(each)
    for number in range(PARTITIONS):
        verdicts, audits, heads = (found.get((name, number), []) for name in topics)
        yield from _partition_faults(deployment, keys, number, verdicts, audits, heads)


def _partition_faults(
    deployment: Deployment,
    keys: SealKeys,
    number: int,
    on_verdicts: list[Received],
    audits: list[Received],
    heads: list[Received],
) -> Iterator[str]:
    log, signed, open_verdicts = Frontier(), [], []
    left = [leaf_hash(each.value or b"") for each in audits]
    for each in on_verdicts:
        where = f"{VERDICT.name}/{number}/{each.offset}"
        if each.key != SEAL_KEY:
            open_verdicts.append(leaf_hash(each.value or b""))
            continue
        seal = deployment.codec.decode(each.topic, each.value, each.headers)
        assert isinstance(seal, Seal), where
        try:
            batch = keys.opened(seal, number)
        except SealError as error:
            yield f"{where}: {error}"
            continue
        own, audited = batch.leaves_of(ord("V")), batch.leaves_of(ord("A"))
        if own != open_verdicts:
            yield f"{where}: it has {len(own)} verdicts, and {len(open_verdicts)} stand before it"
        if audited != left[: len(audited)]:
            yield f"{where}: its {len(audited)} audit records are not the next ones on the topic"
        if batch.before != log or not extends_its_frontier(batch):
            yield f"{where}: the log does not go on with it"
        log, open_verdicts, left = batch.before.appended(batch.leaves), [], left[len(audited) :]
        signed.append(seal.signed_head)
    if open_verdicts or left:
        yield f"partition {number}: {len(open_verdicts)} verdicts and {len(left)} audit records are not sealed"
    checkpoints = [deployment.codec.decode(each.topic, each.value, each.headers) for each in heads]
    if [getattr(each, "signed_head", None) for each in checkpoints] != signed:
        yield f"partition {number}: the checkpoints are not the heads of the seals"
