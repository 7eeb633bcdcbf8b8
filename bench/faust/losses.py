"""Shows what a Faust application does with state that its broker refuses, and with records that were never committed.

`python -m bench.faust.losses` prints the figures of docs/adr/0078-the-desk-is-not-on-faust.md. It needs a broker from
Maven, and makes Faust's environment under .cache/ as `python -m bench faust` does.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bench.faust.keeper import SOURCE
from bench.harness.environments import REPOSITORY, python_of
from simulation.broker.kafka import KafkaBroker

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
RECORDS = 100
WAIT_S = 45.0
READ_S = 5.0
REFUSED_OVER_BYTES = "1000"
GUARANTEES = ("at_least_once", "exactly_once")
SHORT_MS = "15000"
LONG_MS = "900000"


def main() -> None:
    """Run it."""
    python = python_of("faust", REQUIREMENTS)
    for guarantee in GUARANTEES:
        print(f"{guarantee}: {_refused(python, guarantee, LONG_MS)}")
    print(f"exactly_once, transaction.max.timeout.ms={SHORT_MS}: {_refused(python, 'exactly_once', SHORT_MS)}")


def _refused(python: Path, guarantee: str, timeout_ms: str) -> dict[str, Any]:
    """Let Faust keep rows that its changelog topic does not take, and say how far it commits its input."""
    name = f"losses-{guarantee}"
    changelog = f"{name}-rows-changelog"
    with (
        tempfile.TemporaryDirectory(prefix="stoplog-faust-") as folder,
        KafkaBroker.start(Path(folder) / "kafka", properties={"transaction.max.timeout.ms": timeout_ms}) as broker,
    ):
        bootstrap: dict[str, str] = {"bootstrap.servers": broker.bootstrap}
        limits = {"max.message.bytes": REFUSED_OVER_BYTES, "cleanup.policy": "compact"}
        admin = AdminClient({**bootstrap})
        made = admin.create_topics([NewTopic(SOURCE, 1, 1), NewTopic(changelog, 1, 1, config=limits)])
        for each in made.values():
            each.result()
        _write(bootstrap)
        seen = Path(folder) / "seen"
        order = {
            "bootstrap": broker.bootstrap,
            "guarantee": guarantee,
            "name": name,
            "folder": folder,
            "seen": str(seen),
        }
        child = subprocess.Popen(
            [str(python), "-m", "bench.faust.keeper", json.dumps(order)],
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return _watched(bootstrap, child, seen, name, changelog)
        finally:
            child.kill()
            child.wait()


def _write(bootstrap: dict[str, str]) -> None:
    """Write records that are committed, and as many that are not."""
    producer = Producer({**bootstrap, "transactional.id": "writer", "transaction.timeout.ms": 10_000})
    producer.init_transactions()
    for word in ("committed", "aborted"):
        producer.begin_transaction()
        for number in range(RECORDS):
            producer.produce(SOURCE, key=f"{word}-{number}", value=b"x")
        producer.flush()
        if word == "committed":
            producer.commit_transaction()
        else:
            producer.abort_transaction()


def _watched(
    bootstrap: dict[str, str], child: subprocess.Popen[bytes], seen: Path, group: str, changelog: str
) -> dict[str, Any]:
    consumer = Consumer({**bootstrap, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    deadline_s, committed = time.monotonic() + WAIT_S, 0
    while time.monotonic() < deadline_s and child.poll() is None and committed < RECORDS:
        time.sleep(1)
        # The coordinator of a new group is not known at once.
        with suppress(KafkaException):
            committed = max(0, consumer.committed([TopicPartition(SOURCE, 0)], timeout=10)[0].offset)
    consumer.assign([TopicPartition(changelog, 0, 0)])
    kept = len(consumer.consume(RECORDS, timeout=READ_S))
    consumer.close()
    keys = seen.read_text().split() if seen.exists() else []
    return {
        "has_ended": child.poll() is not None,
        "inputs_committed": committed,
        "rows_kept": kept,
        "aborted_records_processed": sum(key.startswith("aborted") for key in keys),
    }


if __name__ == "__main__":
    main()
