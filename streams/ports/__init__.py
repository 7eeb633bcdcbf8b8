"""The ports: the interfaces between the engine and everything that it runs on, or that runs on it.

    log         records, consumers, producers, readers, topics and the errors of a log
    open_log    an open log, which hands out its clients, and how topics are called on it
    store       the local state of a partition
    clock       the machine's time
    wire        records to bytes and back
    processor   what decides: records, timers and broadcasts in, outputs and state changes out

They are directly above the model and below everything else, so that an adapter (Kafka, the embedded log, RocksDB, the
simulator), the SDK and a processor can be loaded without the engine. See ADR 0007. This package exports what adapters
need (log, store, clock); import the interface of processors and the wire from their own modules.
"""

from __future__ import annotations

from streams.ports.clock import Clock
from streams.ports.log import (
    AbortableTransactionError,
    AclSpec,
    Admin,
    AssignmentListener,
    Consumer,
    DeniedLogError,
    FatalLogError,
    FencedError,
    GroupMetadata,
    Headers,
    LogError,
    Membership,
    OpenTransaction,
    Outgoing,
    Producer,
    Publisher,
    Reader,
    Received,
    RetriableLogError,
    TopicPartition,
    TopicSpec,
    TopicState,
    UnansweredError,
)
from streams.ports.store import DamagedStoreError, Store, StoreError, StoreProvider

__all__ = [
    "AbortableTransactionError",
    "AclSpec",
    "Admin",
    "AssignmentListener",
    "Clock",
    "Consumer",
    "DamagedStoreError",
    "DeniedLogError",
    "FatalLogError",
    "FencedError",
    "GroupMetadata",
    "Headers",
    "LogError",
    "Membership",
    "OpenTransaction",
    "Outgoing",
    "Producer",
    "Publisher",
    "Reader",
    "Received",
    "RetriableLogError",
    "Store",
    "StoreError",
    "StoreProvider",
    "TopicPartition",
    "TopicSpec",
    "TopicState",
    "UnansweredError",
]
