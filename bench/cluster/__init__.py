"""Faults on a secured cluster of three brokers: the outcome of intents, and how long partitions are silent."""
