"""Builds gates and budget allocators from adapters, codec, core and engine."""

from __future__ import annotations

from streams.codec.avro import Codec
from streams.codec.wire import CodecWire
from streams.engine.startup import check_topics
from streams.engine.worker import Ports, Worker
from streams.operations.topics.plan import budgets_group
from streams.ports import StoreError, StoreProvider
from streams.ports.open_log import Log
from streams.processors.budgets.allocator import BudgetAllocator
from streams.processors.control.catalog import Catalog
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.services.gate.compiler import ChildCompiler
from streams.stores.private_folder import make_private
from streams.stores.rocks import RocksStores
from streams.topology import BUDGETS, GATE
from streams.wiring.clock import SystemClock
from streams.wiring.settings import Settings


def build_gate(
    settings: Settings, log: Log, codec: Codec, root_key: bytes, stores: StoreProvider | None = None
) -> Worker:
    """Build a gate without starting it. Opens connections.

    Args:
        stores: the stores of local state; by default RocksDB in the state folder of the settings.

    Raises:
        StartRefusedError: the topics are not as declared.
        LogError: the log can't be reached.
    """
    admin = log.admin()
    try:
        partition_counts = check_topics(GATE, admin)
    finally:
        admin.close()
    clock = SystemClock()
    wire = CodecWire(codec)
    engine_settings = settings.engine.for_engine()
    gate_settings = settings.gate_settings(root_key)
    rules = Publications(gate_settings.bundle_name, settings.rules.trusted(), ChildCompiler(clock))
    control_state = ControlState(rules, Catalog(settings.catalog.trusted()))
    ports = Ports(
        consumer=log.consumer(settings.group, settings.instance, positioned=True),
        producer=log.producer(f"{settings.group}-{settings.instance}"),
        open_reader=log.reader,
        stores=stores or _rocks_stores(settings, "gate"),
        clock=clock,
    )
    return Worker(
        spec=GATE,
        processor=Gate(gate_settings, wire, control_state),
        wire=wire,
        ports=ports,
        settings=engine_settings,
        partition_counts=partition_counts,
    )


def build_budgets(settings: Settings, log: Log, codec: Codec, stores: StoreProvider | None = None) -> Worker:
    """Build the budget allocator without starting it. It runs beside a gate. Opens connections.

    Args:
        stores: the stores of local state; by default RocksDB in the state folder of the settings.

    Raises:
        StartRefusedError: the topics are not as declared.
        LogError: the log can't be reached.
    """
    admin = log.admin()
    try:
        partition_counts = check_topics(BUDGETS, admin)
    finally:
        admin.close()
    clock = SystemClock()
    wire = CodecWire(codec)
    engine_settings = settings.engine.for_engine()
    return Worker(
        spec=BUDGETS,
        processor=BudgetAllocator(wire),
        wire=wire,
        ports=Ports(
            consumer=log.consumer(budgets_group(settings.group), settings.instance, positioned=True),
            producer=log.producer(f"{settings.group}-{settings.instance}-budgets"),
            open_reader=log.reader,
            stores=stores or _rocks_stores(settings, "budgets"),
            clock=clock,
        ),
        settings=engine_settings,
        partition_counts=partition_counts,
    )


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
    return RocksStores(folder)
