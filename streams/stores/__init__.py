"""Local state of partitions: the store ports in memory and on RocksDB."""

from streams.stores.memory import MemoryStore, MemoryStores
from streams.stores.rocks import RocksStore, RocksStores

__all__ = ["MemoryStore", "MemoryStores", "RocksStore", "RocksStores"]
