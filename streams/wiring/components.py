"""The wiring: the one place that puts adapters, codec, core and engine together."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas, SchemaSource
from streams.codec.wire import CodecWire
from streams.engine.startup import check_topics
from streams.engine.worker import Ports, Worker
from streams.log import Log
from streams.model.errors import StoplogError
from streams.ports import StoreError, StoreProvider
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
from streams.wiring.settings import Settings, budgets_group

ROOT_KEY_BYTES_MIN = 32
_ROOT_KEY_BYTES = 64
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class RootKeyError(StoplogError):
    """The root key is missing, too short, or open to others."""


def build_codec(settings: Settings) -> Codec:
    """The codec over the schema registry of the settings, or over the committed ids."""
    return Codec(_schema_source(settings))


def build_offline_codec() -> Codec:
    """The codec over the committed ids, for what needs no deployment."""
    return Codec(CommittedSchemas.load())


def _schema_source(settings: Settings) -> SchemaSource:
    committed = CommittedSchemas.load()
    if settings.schema_registry_url is None:
        return committed
    from streams.codec.registry import RegistrySchemas  # noqa: PLC0415 - needs the extra `registry`

    return RegistrySchemas(settings.schema_registry_url, committed, dict(settings.schema_registry))


def build_gate(
    settings: Settings, log: Log, codec: Codec, root_key: bytes, stores: StoreProvider | None = None
) -> Worker:
    """A gate, not started. Opens connections.

    Args:
        stores: where local state is kept; by default RocksDB below the settings' state folder.

    Raises:
        StartRefusedError: the topics are not as they must be.
        LogError: the log can't be reached.
    """
    admin = log.admin()
    try:
        partition_counts = check_topics(GATE, admin)
    finally:
        admin.close()
    clock = SystemClock()
    wire = CodecWire(codec)
    engine_settings = settings.engine_settings()
    gate_settings = settings.gate_settings(root_key)
    rules = Publications(gate_settings.bundle_name, settings.publishers(), ChildCompiler(clock))
    control_state = ControlState(rules, Catalog(settings.reviewers()))
    ports = Ports(
        consumer=log.consumer(settings.group, settings.instance),
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
    """The owner of budgets that gate partitions share, not started: it runs beside a gate. Opens connections.

    Args:
        stores: where local state is kept; by default RocksDB below the settings' state folder.

    Raises:
        StartRefusedError: the topics are not as they must be.
        LogError: the log can't be reached.
    """
    admin = log.admin()
    try:
        partition_counts = check_topics(BUDGETS, admin)
    finally:
        admin.close()
    clock = SystemClock()
    wire = CodecWire(codec)
    engine_settings = settings.engine_settings()
    return Worker(
        spec=BUDGETS,
        processor=BudgetAllocator(wire),
        wire=wire,
        ports=Ports(
            consumer=log.consumer(budgets_group(settings.group), settings.instance),
            producer=log.producer(f"{settings.group}-{settings.instance}-budgets"),
            open_reader=log.reader,
            stores=stores or _rocks_stores(settings, "budgets"),
            clock=clock,
        ),
        settings=engine_settings,
        partition_counts=partition_counts,
    )


def _rocks_stores(settings: Settings, kind: str) -> RocksStores:
    """Local state in a folder of the instance's own, closed to others.

    Raises:
        StoreError: the folder can't be made, or holds something else.
    """
    folder = settings.state_dir / kind / settings.instance
    try:
        make_private(folder)
    except OSError as error:
        raise StoreError(f"can't use `{folder}` for stores: {error}") from error
    return RocksStores(folder)


def load_root_key(path: Path) -> bytes:
    """The root key.

    Raises:
        RootKeyError: it can't be used; says what to do.
    """
    try:
        mode = path.stat().st_mode
        key = path.read_bytes()
    except FileNotFoundError:
        raise RootKeyError(
            f"no root key at `{path}`; make one with `stoplog keys new`, the same for all gates"
        ) from None
    except OSError as error:
        raise RootKeyError(f"root key `{path}` can't be read: {error.strerror}") from None
    if mode & _OTHERS:
        raise RootKeyError(f"root key `{path}` is open to others; run `chmod 600 {path}`")
    if len(key) < ROOT_KEY_BYTES_MIN:
        raise RootKeyError(f"root key `{path}` has {len(key)} bytes, at least {ROOT_KEY_BYTES_MIN} are needed")
    return key


def make_root_key(path: Path) -> bytes:
    """Make a new root key, readable by its owner alone.

    Raises:
        RootKeyError: there is one already.
    """
    make_private(path.parent)
    key = secrets.token_bytes(_ROOT_KEY_BYTES)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise RootKeyError(f"`{path}` exists already; every open session hangs on it") from None
    with os.fdopen(handle, "wb") as file:
        file.write(key)
    return key
