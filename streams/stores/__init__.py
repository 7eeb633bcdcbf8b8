"""Local state of partitions: the store ports in memory (`memory`) and on RocksDB (`rocks`)."""
