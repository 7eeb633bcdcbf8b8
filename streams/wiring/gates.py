"""Builds gates, and the workers beside them and watches, from adapters, codec, core and engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from streams.audit.notes import Signer
from streams.codec.avro import Codec
from streams.codec.wire import CodecWire
from streams.engine.ports import Ports
from streams.engine.settings import EngineSettings
from streams.engine.startup import check_topics
from streams.engine.tenant_topics import TenantTopics
from streams.engine.worker import Worker
from streams.engine.worker_meter import CountNotes, WorkerMeter
from streams.metrics.declared import Exporter
from streams.metrics.registry import Metrics
from streams.model.revocation_set import RevocationSet
from streams.operations.topics.access import budgets_group, keying_group, notary_group, watch_group
from streams.policy.language.bundle import load_detector_files
from streams.ports import StoreError, StoreProvider
from streams.ports.open_log import Log
from streams.ports.processor import Processor
from streams.processors.budgets.allocator import BudgetAllocator
from streams.processors.control.attributes import Attributes
from streams.processors.control.catalog import Catalog
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.notary import Notary
from streams.processors.rows import COLD_ROWS
from streams.processors.seals import Seals
from streams.processors.watch.behaviour_file import BehaviourFiles, parse_behaviour
from streams.processors.watch.keying import Keying
from streams.processors.watch.seen import SEEN
from streams.processors.watch.watch import CoveredCalls, Watch
from streams.services.gate.compiler import ChildCompiler
from streams.services.gate.metrics import AttributesRoom, budgets_meter, gate_meter, plain_meter, watch_meter
from streams.stores.lock_file import lock_file
from streams.stores.private_folder import make_private
from streams.stores.rocks import RocksStores
from streams.topology import BUDGETS, GATE, KEYING, NOTARY, WATCH, ProcessorSpec
from streams.wiring.clock import SystemClock
from streams.wiring.contents import build_sealer
from streams.wiring.settings import Settings
from streams.wiring.shipped import rules_directory


def build_gate(
    settings: Settings,
    log: Log,
    codec: Codec,
    root_key: bytes,
    stores: StoreProvider | None = None,
    *,
    resets_time: bool = False,
    metrics: Metrics | None = None,
    tell: Sequence[CountNotes] = (),
    signer: Signer | None = None,
) -> Worker:
    """Build a gate without starting it. Opens connections.

    Args:
        stores: the stores of local state; by default RocksDB in the state folder of the settings.
        resets_time: whether stream times that are far ahead are set back to now.
        metrics: where the gate counts what it does; None counts it nowhere.
        tell: called with what was committed, as its notes and the wall clock in ms.
        signer: signs the heads that prove its verdicts, for example with a key of a key management service; by default
            the key of the settings does.

    Raises:
        StartRefusedError: the topics are not as declared.
        SigningKeyError: the key of the seals can't be read.
        ContentError: a key of captured content can't be read.
        LogError: the log can't be reached.
    """
    gate_settings = settings.gate_settings(root_key)
    wire, clock = CodecWire(codec), SystemClock()
    revocations = RevocationSet(settings.release.trusted())
    signs = settings.seal.signer(root_key) if signer is None else signer
    sealer, room = build_sealer(settings.content), AttributesRoom()

    def processor() -> Processor:
        rules = Publications(gate_settings.bundle_name, settings.rules.trusted(), ChildCompiler(clock))
        attributes = room.follow(Attributes(settings.attributes.trusted(), settings.attributes.room()))
        control = ControlState(rules, Catalog(settings.catalog.trusted()), revocations, attributes)
        return Gate(gate_settings, wire, control, Seals(wire, signs, gate_settings.deployment), sealer)

    meter = gate_meter(metrics or Metrics(Exporter.GATE), revocations, room, clock, *tell)
    engine = settings.engine.for_engine()
    part = _Part(GATE, processor, settings.group, _GATE_KIND, resets_time, meter, engine)
    return _build(settings, log, wire, clock, part, stores)


def build_budgets(
    settings: Settings,
    log: Log,
    codec: Codec,
    stores: StoreProvider | None = None,
    *,
    resets_time: bool = False,
    metrics: Metrics | None = None,
) -> Worker:
    """Build the budget allocator without starting it. It runs beside a gate. Opens connections.

    Args:
        stores: the stores of local state; by default RocksDB in the state folder of the settings.
        resets_time: whether stream times that are far ahead are set back to now.
        metrics: where the allocator counts what it does; None counts it nowhere.

    Raises:
        StartRefusedError: the topics are not as declared.
        LogError: the log can't be reached.
    """
    wire = CodecWire(codec)

    def allocator() -> BudgetAllocator:
        return BudgetAllocator(wire, settings.gate.alert_window_ms)

    group, meter = budgets_group(settings.group), budgets_meter(metrics or Metrics(Exporter.GATE))
    engine = settings.engine.for_engine()
    part = _Part(BUDGETS, allocator, group, "budgets", resets_time, meter, engine)
    return _build(settings, log, wire, SystemClock(), part, stores)


def build_notary(
    settings: Settings,
    log: Log,
    codec: Codec,
    root_key: bytes,
    stores: StoreProvider | None = None,
    *,
    resets_time: bool = False,
    metrics: Metrics | None = None,
    signer: Signer | None = None,
) -> Worker:
    """Build the notary without starting it. It runs beside a gate. Opens connections.

    Args:
        root_key: the key that the key of the seals is derived from, where the settings name none.
        stores: the stores of local state; by default RocksDB in the state folder of the settings.
        resets_time: whether stream times that are far ahead are set back to now.
        metrics: where the notary counts what it does; None counts it nowhere.
        signer: as in `build_gate`.

    Raises:
        StartRefusedError: the topics are not as declared.
        SigningKeyError: the key of the seals can't be read.
        LogError: the log can't be reached.
    """
    wire, deployment = CodecWire(codec), settings.gate_settings(root_key).deployment
    signs = settings.seal.signer(root_key) if signer is None else signer

    def notary() -> Notary:
        return Notary(wire, signs, deployment, settings.gate.alert_window_ms)

    group, meter = notary_group(settings.group), plain_meter(metrics or Metrics(Exporter.GATE), "notary")
    engine = settings.engine.for_engine()
    part = _Part(NOTARY, notary, group, "notary", resets_time, meter, engine)
    return _build(settings, log, wire, SystemClock(), part, stores)


def read_behaviour(settings: Settings, folder: Path | None) -> BehaviourFiles:
    """Return what files declare about behaviour. Blocking.

    Args:
        settings: where they are if `folder` is None; if they don't say, the installed ones are read.
        folder: where they are.

    Raises:
        PolicyError: they can't be read, or are wrong; says what, with file and line.
    """
    return parse_behaviour(load_detector_files(folder or settings.watch.rules or rules_directory()))


def build_watch(
    settings: Settings,
    log: Log,
    codec: Codec,
    files: BehaviourFiles,
    stores: StoreProvider | None = None,
    *,
    metrics: Metrics | None = None,
) -> Worker:
    """Build the watch without starting it. Opens connections.

    Args:
        files: the declared detectors and correlations.
        stores: the stores of local state; by default RocksDB in the state folder of the settings.
        metrics: where the watch counts what it does; None counts it nowhere.

    Raises:
        StartRefusedError: the topics are not as declared.
        LogError: the log can't be reached.
    """
    wire = CodecWire(codec)
    covered = CoveredCalls()
    group, meter = watch_group(settings.group), watch_meter(metrics or Metrics(Exporter.GATE), covered)

    def processor() -> Processor:
        return Watch(wire, files.declared, settings.watch.for_watch(), files.features.extractions, covered)

    engine = settings.watch.for_engine(settings.engine.for_engine())
    part = _Part(WATCH, processor, group, "watch", False, meter, engine)
    return _build(settings, log, wire, SystemClock(), part, stores)


def build_keying(
    settings: Settings,
    log: Log,
    codec: Codec,
    files: BehaviourFiles,
    stores: StoreProvider | None = None,
    *,
    metrics: Metrics | None = None,
) -> Worker:
    """Build the worker that brings decisions to the watch, without starting it. Opens connections.

    Args:
        files: what of a call detectors look at.
        stores: the stores of local state; by default RocksDB in the state folder of the settings.
        metrics: where the worker counts what it does; None counts it nowhere.

    Raises:
        SettingsError: the handlers of alerts in the settings are invalid.
        StartRefusedError: the topics are not as declared.
        LogError: the log can't be reached.
    """
    wire, handlers = CodecWire(codec.reading(SEEN)), settings.alerts.trusted()
    group, meter = keying_group(settings.group), plain_meter(metrics or Metrics(Exporter.GATE), "keying")

    def processor() -> Processor:
        return Keying(wire, files.features, settings.watch.for_watch(), handlers)

    engine = settings.watch.for_engine(settings.engine.for_engine())
    part = _Part(KEYING, processor, group, "keying", False, meter, engine)
    return _build(settings, log, wire, SystemClock(), part, stores)


_GATE_KIND = "gate"
_UNHURRIED = frozenset({"watch", "keying"})
"""Kinds of workers for which nobody waits: see `watch.commit_interval_ms`."""


class _Part(NamedTuple):
    """What differs between the workers: topics, processor, group, kind, what counts, and how the engine runs.

    The kind names the folder of the stores and, of all but gates, ends the transactional id. `resets_time` says whether
    stream times that are far ahead are set back to now.
    """

    spec: ProcessorSpec
    processor: Callable[[], Processor]
    group: str
    kind: str
    resets_time: bool
    meter: WorkerMeter
    engine: EngineSettings


def _build(
    settings: Settings, log: Log, wire: CodecWire, clock: SystemClock, part: _Part, stores: StoreProvider | None
) -> Worker:
    """Check the topics, open the connections and the stores, and build the worker."""
    admin = log.admin()
    try:
        partition_counts = check_topics(part.spec, admin)
    finally:
        admin.close()

    def transactional_id(instance: str) -> str:
        gate_id = f"{settings.group}-{instance}"
        return gate_id if part.kind == _GATE_KIND else f"{gate_id}-{part.kind}"

    def end_transactions(instance: str) -> None:
        producer = log.producer(transactional_id(instance))
        try:
            producer.init_transactions()
        finally:
            producer.close()

    return Worker(
        spec=part.spec,
        processor=part.processor(),
        wire=wire,
        ports=Ports(
            consumer=log.consumer(part.group, settings.instance, positioned=True),
            producer=log.producer(transactional_id(settings.instance), gathers=part.kind in _UNHURRIED),
            open_reader=log.reader,
            stores=stores or _rocks_stores(settings, part.kind),
            clock=clock,
            end_transactions=end_transactions,
            look_for_topics=TenantTopics(part.spec, log.admin, partition_counts).look if part.spec is GATE else None,
            meter=part.meter,
        ),
        settings=part.engine,
        partition_counts=partition_counts,
        resets_time=part.resets_time,
    )


@contextmanager
def sole_process(settings: Settings, kind: str) -> Iterator[None]:
    """Keep other processes from running this instance with this state folder.

    The group takes the newer of two members of one name, and the state folder is the older one's: both would end with
    an error, and nobody would decide.

    Args:
        settings: the settings.
        kind: what runs: `gate` or `watch`.

    Raises:
        StoreError: another process runs it already, or the state folder can't be used.
    """
    path = settings.state_dir / kind / f".{settings.instance}.lock"
    try:
        make_private(path.parent)
        file = lock_file(path)
    except OSError as error:
        raise StoreError(f"can't use `{path}`: {error}") from error
    if file is None:
        raise StoreError(
            f"{kind} `{settings.instance}` runs already with the state folder `{settings.state_dir}`: end that one "
            "first, or give this one a name of its own (`--instance NAME`)"
        )
    with file:
        yield


def _rocks_stores(settings: Settings, kind: str) -> RocksStores:
    """Return stores in a private folder of the instance.

    Raises:
        StoreError: the folder can't be created or used.
    """
    folder = settings.state_dir / kind / settings.instance
    try:
        make_private(folder)
    except OSError as error:
        raise StoreError(f"can't use `{folder}` for stores: {error}") from error
    return RocksStores(folder, cold=COLD_ROWS)
