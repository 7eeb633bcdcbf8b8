"""Replays recorded verdicts, and reports which of them are the same byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from streams.audit.attribute_writers import AttributeWriters
from streams.audit.publishers import UNSIGNED, Publishers
from streams.audit.releasers import Releasers
from streams.audit.reviewers import Reviewers
from streams.codec.jsonform import to_json
from streams.engine.settings import EngineSettings
from streams.history.recording import place_of
from streams.history.replay import PartitionReplay
from streams.history.replayed import Replayed, ReplayPlan
from streams.model.attributes import Room
from streams.model.control import RulesetBundle
from streams.model.revocation_set import RevocationSet
from streams.model.topics import RULESET
from streams.model.verdict import Verdict
from streams.operations.replay.recorded import RecordedLog
from streams.policy import CompiledRuleset, compile_bundle
from streams.policy.errors import PolicyError
from streams.policy.language.bundle import BundleSource
from streams.ports.wire import Wire
from streams.processors.control.attributes import Attributes
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import CompileBundle, InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.settings import GateSettings

DIFFERENCES_MAX = 10_000
"""Differences that are kept; the others are only counted."""


class ReplayKind(StrEnum):
    """How a verdict came out."""

    SAME = "same"
    DIFFERENT = "different"
    NOT_MADE = "not made again"
    NOT_RECORDED = "not recorded"
    NOT_YET = "not decided yet"


@dataclass(frozen=True, kw_only=True)
class ReplaySetup:
    """The settings that decided, besides what is on the topics: those of the gates whose verdicts are replayed.

    Attributes:
        wire: the codec.
        gate: the settings of the gate's core.
        engine: the settings of the engine.
        publishers, reviewers, releasers, writers: whose signatures count.
        attributes_room: how many bytes of attributes are held.
    """

    wire: Wire
    gate: GateSettings
    engine: EngineSettings
    publishers: Publishers
    reviewers: Reviewers
    releasers: Releasers
    writers: AttributeWriters
    attributes_room: Room

    def plan(self, recorded: RecordedLog, *, bundle: RulesetBundle | None = None) -> ReplayPlan:
        """Return the plan of a replay.

        Args:
            recorded: the log.
            bundle: rules to use in place of the recorded ones; then verdicts are not expected to be the same.
        """
        compiled = _compiling_once(compile_bundle)

        def make_control() -> ControlState:
            publishers = self.publishers if bundle is None else UNSIGNED
            rules = Publications(self.gate.bundle_name, publishers, InlineCompiler(compiled))
            if bundle is not None:
                rules.offer(bundle, 0)
            attributes = Attributes(self.writers, self.attributes_room)
            return ControlState(rules, Catalog(self.reviewers), RevocationSet(self.releasers), attributes)

        tape = recorded.tape if bundle is None else recorded.tape.without(RULESET.name)
        return ReplayPlan(
            wire=self.wire,
            gate=self.gate,
            engine=self.engine,
            tape=tape,
            make_control=make_control,
            partition_counts=recorded.partition_counts,
            is_strict=bundle is None,
        )


class FieldDifference(NamedTuple):
    """A field of a verdict that came out differently, as JSON."""

    name: str
    recorded: object
    replayed: object


class Difference(NamedTuple):
    """A verdict that did not come out as it was recorded.

    Attributes:
        kind: how it came out.
        place: topic, partition and offset of the recorded verdict; empty if there is none.
        verdict: the recorded verdict, or the one that was made if there is none.
        fields: what differs, in the order of the schema.
    """

    kind: ReplayKind
    place: str
    verdict: Verdict
    fields: tuple[FieldDifference, ...]


@dataclass
class ReplayReport:
    """The outcome of a replay; complete once it has been run.

    Attributes:
        counts: how many verdicts came out how.
        inputs_count: how many input records were processed.
        partitions: how many partitions were replayed.
        differences: what did not come out as recorded, in order of time within each partition.
    """

    counts: Counter[ReplayKind] = field(default_factory=Counter)
    inputs_count: int = 0
    partitions: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Whether every recorded verdict was made again byte for byte, and no other."""
        return not any(self.counts[kind] for kind in _WRONG)

    @property
    def compared_count(self) -> int:
        """Return how many verdicts were compared. Without any, the log may be whole, and nothing shows that it is."""
        return self.counts.total() - self.counts[ReplayKind.NOT_YET]

    @property
    def first(self) -> Difference | None:
        """Return the earliest difference."""
        return min(self.wrong(), key=lambda each: each.verdict.evaluated_at, default=None)

    def wrong(self) -> list[Difference]:
        """Return the differences without what is only not decided yet."""
        return [each for each in self.differences if each.kind in _WRONG]


_WRONG = (ReplayKind.DIFFERENT, ReplayKind.NOT_MADE, ReplayKind.NOT_RECORDED)


class Stretch(NamedTuple):
    """Which verdicts are compared: those of instants from `from_ms` on and before `to_ms`; None: without a bound."""

    from_ms: int | None = None
    to_ms: int | None = None

    def takes(self, at_ms: int) -> bool:
        """Return whether the verdict of an instant is among them."""
        return (self.from_ms is None or at_ms >= self.from_ms) and (self.to_ms is None or at_ms < self.to_ms)


def replay_log(recorded: RecordedLog, setup: ReplaySetup, stretch: Stretch) -> ReplayReport:
    """Replay all partitions from their first records, and compare the verdicts of a stretch of time. Blocking.

    Args:
        recorded: the log.
        setup: the settings of the gates.
        stretch: which verdicts to compare.

    Raises:
        TopicReadError, LogError: the log can't be read.
    """
    report = ReplayReport(partitions=recorded.partitions)
    plan = setup.plan(recorded)
    for number in range(recorded.partitions):
        replay = PartitionReplay(plan, recorded.recording(number))
        latest_ms, before_count = 0, len(report.differences)
        for each in replay.run():
            if each.recorded is not None:
                latest_ms = max(latest_ms, each.recorded.stated.evaluated_at)
            _note(report, each, stretch)
        _excuse(report, before_count, latest_ms)
        report.inputs_count += replay.inputs_count
    return report


def _note(report: ReplayReport, each: Replayed, stretch: Stretch) -> None:
    if not stretch.takes(each.evaluated_at):
        return
    kind = kind_of(each)
    report.counts[kind] += 1
    if kind is not ReplayKind.SAME and len(report.differences) < DIFFERENCES_MAX:
        place = "" if each.recorded is None else place_of(each.recorded.received)
        report.differences.append(Difference(kind, place, each.verdict, tuple(differing_fields(each))))


def kind_of(each: Replayed) -> ReplayKind:
    """Return how a verdict came out."""
    if each.is_same:
        return ReplayKind.SAME
    if each.made is None:
        return ReplayKind.NOT_MADE
    return ReplayKind.NOT_RECORDED if each.recorded is None else ReplayKind.DIFFERENT


def differing_fields(each: Replayed) -> Iterator[FieldDifference]:
    """Yield the fields in which the verdicts differ, in the order of the schema."""
    if each.recorded is None or each.made is None or each.is_same:
        return
    recorded, replayed = to_json(each.recorded.verdict), to_json(each.made.verdict)
    if each.recorded.received.key != each.made.key:
        yield FieldDifference("(key)", _text(each.recorded.received.key), _text(each.made.key))
    for name in each.recorded.verdict.__struct_fields__:
        if recorded.get(name) != replayed.get(name):
            yield from _inside(name, recorded.get(name), replayed.get(name))


def _inside(name: str, recorded: object, replayed: object) -> Iterator[FieldDifference]:
    """Yield the members that differ of two objects; the field itself otherwise."""
    if isinstance(recorded, Mapping) and isinstance(replayed, Mapping):
        for member in dict.fromkeys((*recorded, *replayed)):
            if recorded.get(member) != replayed.get(member):
                yield from _inside(f"{name}.{member}", recorded.get(member), replayed.get(member))
        return
    yield FieldDifference(name, recorded, replayed)


def _excuse(report: ReplayReport, first: int, latest_ms: int) -> None:
    """Set apart what the gate has not decided yet: verdicts later than all that it has written in the partition.

    Args:
        first: the index of the partition's first difference.
        latest_ms: the instant of its last recorded verdict.
    """
    for index, each in enumerate(report.differences[first:], first):
        if each.kind is ReplayKind.NOT_RECORDED and each.verdict.evaluated_at > latest_ms:
            report.differences[index] = each._replace(kind=ReplayKind.NOT_YET)
            report.counts[ReplayKind.NOT_RECORDED] -= 1
            report.counts[ReplayKind.NOT_YET] += 1


def _compiling_once(compile_one: CompileBundle) -> CompileBundle:
    """Return what compiles each bundle once: control state is put back again and again."""
    kept: dict[bytes, CompiledRuleset | PolicyError] = {}

    def compiled(source: BundleSource) -> CompiledRuleset:
        found = kept.get(source.digest)
        if found is None:
            try:
                found = compile_one(source)
            except PolicyError as error:
                found = error
            kept[source.digest] = found
        if isinstance(found, PolicyError):
            raise found
        return found

    return compiled


def _text(key: bytes | None) -> str | None:
    return None if key is None else key.decode("utf-8", "replace")


def told_fields(fields: Sequence[FieldDifference]) -> list[dict[str, object]]:
    """Return differences as JSON."""
    return [each._asdict() for each in fields]
