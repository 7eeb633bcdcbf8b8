"""The configurations of `ops/connect` on a real worker: all that is committed comes out, and nothing else.

Maven Central has none of the four sinks. So the worker gets each configuration as it is, but for the class and the keys
of its sink, in whose place a sink of Kafka's own writes to a file.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from simulation.broker.connect import ConnectWorker
from streams.codec.ocsf import ocsf_bytes
from streams.model.alert import Alert
from streams.model.analytics import made_alert
from streams.model.proof import derived_uuid
from streams.model.reasons import InputLoss
from streams.model.topics import ALERT_OCSF
from streams.model.types import Header
from streams.ports import Outgoing
from tests.integration.deployment import Deployment, deployed, until
from tests.unit.ops.test_connect import COMMON, NAMES, config

pytestmark = pytest.mark.broker

ALERTS = 40
ABORTED = 5
LATER = 3
ON_ALERTS = [name for name in NAMES if config(name)["topics"] == ALERT_OCSF.name]


def alert(number: int) -> Alert:
    header = Header(id=derived_uuid("alert", str(number)), source="test", time=1_764_061_200_000, tenant_uid="acme")
    reason = InputLoss.INPUT_DELETED.value
    return made_alert(reason, header, title=f"alert {number}", desc="ä text", dedup_key=str(number), response=())


def write(deployment: Deployment, numbers: range, *, is_committed: bool) -> None:
    producer = deployment.log.producer(f"{deployment.settings.group}-alerts")
    producer.init_transactions()
    producer.begin()
    for number in numbers:
        producer.send(Outgoing(ALERT_OCSF.name, 0, b"key", ocsf_bytes(alert(number))))
    if is_committed:
        producer.commit()
    else:
        producer.abort()
    producer.close()


def titles(file: Path) -> list[str]:
    """The titles of the alerts in a file. A sink of a JSON converter has maps, which Java writes in its own way."""
    text = file.read_text("utf-8") if file.exists() else ""
    found = []
    for line in text.splitlines():
        at = line.index('"title":"alert ') + 9 if line.startswith('{"') else line.index("title=alert ") + 6
        found.append(line[at:].split('"')[0].split(",")[0].split("}")[0])
    return found


def test_all_of_them_differ_in_their_sinks_their_topics_and_the_form_of_values_alone() -> None:
    own = {"connector.class", "topics", *(key for key in COMMON if key.startswith("value.converter"))}
    first, *others = [{key: config(name)[key] for key in COMMON - own} for name in NAMES]
    assert others == [first] * len(others)
    assert ON_ALERTS == ["elastic", "splunk"]


def test_what_is_committed_comes_out(kafka_bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ON_ALERTS:
        monkeypatch.setenv(f"OUT_{name.upper()}", str(tmp_path / name))
    with deployed(tmp_path, kafka_bootstrap) as deployment:
        write(deployment, range(ALERTS), is_committed=True)
        write(deployment, range(ALERTS, ALERTS + ABORTED), is_committed=False)
        prefix = deployment.settings.topics.prefix
        with ConnectWorker.start(tmp_path / "connect", kafka_bootstrap) as worker:
            for name in ON_ALERTS:
                own = {key: value for key, value in config(name).items() if key in COMMON}
                own |= {"connector.class": "FileStreamSink", "file": f"${{env:OUT_{name.upper()}}}", "tasks.max": "1"}
                own["topics"] = f"{prefix}{own['topics']}"
                worker.create({"name": f"stoplog-{name}", "config": own})
            # What comes after the connector has started comes out as well.
            write(deployment, range(ALERTS + ABORTED, ALERTS + ABORTED + LATER), is_committed=True)
            count = ALERTS + LATER
            until(
                lambda: not time.sleep(0.2) and all(len(titles(tmp_path / name)) >= count for name in ON_ALERTS),
                found=worker.log_tail,
            )
            states = [worker.states(f"stoplog-{name}") for name in ON_ALERTS]
    assert states == [{"RUNNING"}] * len(ON_ALERTS)
    numbers = [*range(ALERTS), *range(ALERTS + ABORTED, ALERTS + ABORTED + LATER)]
    for name in ON_ALERTS:
        assert sorted(titles(tmp_path / name)) == sorted(f"alert {number}" for number in numbers)
    first = json.loads((tmp_path / "splunk").read_text("utf-8").splitlines()[0])
    assert first["finding_info"]["title"].startswith("alert ")
