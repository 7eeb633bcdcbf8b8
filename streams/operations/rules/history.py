"""Reads the publications of a bundle from the topic, and finds out which of them are in force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from streams.model.bundle_signature import publication_key
from streams.model.control import BundleAction, RulesetBundle
from streams.model.errors import RecordError
from streams.model.revocation_set import RevocationSet
from streams.model.topics import REVOCATION, RULESET, VERDICT
from streams.model.verdict import Verdict
from streams.operations.operator import Operator
from streams.operations.stops import read_stops
from streams.operations.topics.reader import TopicReadError, hidden_topics, partitions_of
from streams.ports.log import LogError

COUNT_RECORDS_BACK = 1_000
COUNT_READ_MS_MAX = 10_000
_POLL_MS = 200


class Standing(NamedTuple):
    """A publication on the topic with the required signatures; `time_ms` is the broker's append time."""

    bundle: RulesetBundle
    key: bytes
    offset: int
    time_ms: int
    signers: tuple[str, ...]


@dataclass(frozen=True)
class RuleHistory:
    """The publications of one bundle, by serial.

    Attributes:
        standing: those with the required signatures.
        unsigned_count: how many lack signatures.
        highest_serial: the highest serial of those with the required signatures.
    """

    standing: tuple[Standing, ...]
    unsigned_count: int
    highest_serial: int

    @property
    def next_serial(self) -> int:
        """Return the serial of the next publication."""
        return self.highest_serial + 1

    @property
    def stable(self) -> Standing | None:
        """Return the publication for all sessions that have no canary."""
        whole = [each for each in self.standing if not each.bundle.canary_bp]
        return whole[-1] if whole else None

    @property
    def canary(self) -> Standing | None:
        """Return the publication for a share of sessions."""
        stable = self.stable
        newest = self.standing[-1] if self.standing else None
        if newest is None or not newest.bundle.canary_bp:
            return None
        return newest if stable is None or newest.bundle.serial > stable.bundle.serial else None

    @property
    def former(self) -> Standing | None:
        """Return the last publication of other rules for all sessions before the current one."""
        stable = self.stable
        if stable is None:
            return None
        other = [
            each
            for each in self.standing
            if each.bundle.serial < stable.bundle.serial
            and not each.bundle.canary_bp
            and each.bundle.action is not BundleAction.WITHDRAW
            and each.bundle.digest != stable.bundle.digest
        ]
        return other[-1] if other else None

    def of_serial(self, serial: int) -> Standing | None:
        """Return the publication of a serial."""
        return next((each for each in self.standing if each.bundle.serial == serial), None)

    def outdated(self, kept: int) -> list[bytes]:
        """Return the keys of publications to delete: all but the newest `kept` and those in force."""
        in_force = {each.key for each in (self.stable, self.canary) if each is not None}
        return [each.key for each in self.standing[: max(len(self.standing) - kept, 0)] if each.key not in in_force]


def read_history(operator: Operator, name: str) -> RuleHistory:
    """Read what has been published of a bundle.

    Raises:
        SettingsError: the publishers of the settings are invalid.
        TopicReadError, LogError: the topic can't be read.
    """
    publishers = operator.deployment.rules.trusted()
    by_serial: dict[int, Standing] = {}
    unsigned_count, highest = 0, 0
    for received, record in operator.find(RULESET):
        if not isinstance(record, RulesetBundle) or record.name != name:
            continue
        try:
            signers = publishers.signers(record)
        except RecordError:
            unsigned_count += 1
            continue
        highest = max(highest, record.serial)
        key = received.key or publication_key(record)
        standing = Standing(record, key, received.offset, received.timestamp_ms, signers)
        # Of two with one serial, gates take the first.
        by_serial.setdefault(record.serial, standing)
    return RuleHistory(tuple(by_serial[serial] for serial in sorted(by_serial)), unsigned_count, highest)


def read_stops_of_rules(operator: Operator) -> RevocationSet | None:
    """Return the stops, with those of rules among them; None if this client can't read them. Blocking."""
    try:
        if hidden_topics(operator.log, (REVOCATION.name,)):
            return None
        return read_stops(operator, operator.deployment.release.trusted())[0]
    except (TopicReadError, LogError):
        return None


class Judged(NamedTuple):
    """The number of the newest verdicts under some rules, by outcome."""

    digest: bytes
    outcomes: Counter[str]


def count_verdicts(operator: Operator) -> list[Judged]:
    """Count the last `COUNT_RECORDS_BACK` verdicts of each partition, by rules and outcome.

    Raises:
        TopicReadError, LogError: the topic can't be read.
    """
    counts: dict[bytes, Counter[str]] = {}
    for verdict in _newest_verdicts(operator):
        if verdict.ruleset_digest is not None:
            counts.setdefault(verdict.ruleset_digest, Counter())[verdict.outcome.value] += 1
    return [Judged(digest, outcomes) for digest, outcomes in counts.items()]


def _newest_verdicts(operator: Operator) -> Iterator[Verdict]:
    partitions = partitions_of(operator.log, [VERDICT.name])
    with closing(operator.log.reader()) as reader:
        ends = {partition: end for partition, end in reader.end_offsets(partitions).items() if end > 0}
        reader.assign({partition: max(end - COUNT_RECORDS_BACK, 0) for partition, end in ends.items()})
        deadline_ms = operator.clock.monotonic_ms() + COUNT_READ_MS_MAX
        while any(reader.position(partition) < end for partition, end in ends.items()):
            if operator.clock.monotonic_ms() >= deadline_ms:
                raise TopicReadError(f"`{VERDICT.name}` could not be read within {COUNT_READ_MS_MAX} ms")
            for received in reader.poll(COUNT_RECORDS_BACK, _POLL_MS):
                record = _decoded(operator, received.value or b"", received.headers)
                if record is not None:
                    yield record


def _decoded(operator: Operator, value: bytes, headers: tuple[tuple[str, bytes], ...]) -> Verdict | None:
    try:
        record = operator.codec.decode(VERDICT.name, value, headers)
    except RecordError:
        return None
    return record if isinstance(record, Verdict) else None
