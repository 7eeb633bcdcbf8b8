"""Faults on a secured cluster of three brokers: what becomes of intents, and how long partitions are silent."""
