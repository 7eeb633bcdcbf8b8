"""A desk on an embedded log, with receivers on loopback."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from streams.audit.alert_handlers import NOBODY, AlertHandlers
from streams.embedded.log import EmbeddedLog
from streams.model.alert import Alert
from streams.model.topics import TOPICS, Spread
from streams.operations.alerts import send_alerts
from streams.ports import TopicSpec
from streams.sdk.connection.transport import Transport
from streams.services.desk.service import RunningDesk
from streams.services.desk.settings import DeskSection
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_offline_codec

PARTITIONS = 3
SECRET = b"0123456789abcdef0123456789abcdef"
WHSEC = f"whsec_{base64.b64encode(SECRET).decode()}"
QUICK = {"timeout_ms": 20_000, "retry_first_ms": 20, "retry_max_ms": 60}
"""An answer of a receiver here may take long on a busy machine. An attempt that is given up meanwhile comes twice."""

IMPATIENT = {"timeout_ms": 1_000}
"""For receivers some of whose answers never come."""


@pytest.fixture
def transport(tmp_path: Path) -> Iterator[Transport]:
    path = tmp_path / "log.sqlite"
    with closing(EmbeddedLog(path, clock=SystemClock())) as log:
        admin = log.admin()
        admin.create(
            [
                TopicSpec(each.name, 1 if each.spread is Spread.BROADCAST else PARTITIONS, each.config())
                for each in TOPICS
            ],
            1,
        )
        admin.close()
        with Transport(log, build_offline_codec(), SystemClock()) as made:
            yield made


@pytest.fixture
def private(tmp_path: Path) -> Callable[[str, str], str]:
    """Writes a file that only its owner can read."""

    def write(name: str, text: str) -> str:
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return str(path)

    return write


def section(sinks: dict[str, Any], names: list[str], **changes: Any) -> DeskSection:
    """A section whose only route leads to the named sinks."""
    routes = [{"name": "all", "sinks": names}]
    return DeskSection.model_validate({**QUICK, "routes": routes, **sinks, **changes})


def running(given: DeskSection, transport: Transport, folder: Path, handlers: AlertHandlers = NOBODY) -> RunningDesk:
    return RunningDesk(given, transport, handlers, folder=folder / "desk")


def send(transport: Transport, *alerts: Alert) -> None:
    send_alerts(transport, alerts)
