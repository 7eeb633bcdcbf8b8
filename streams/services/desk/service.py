"""Builds the desk from its parts."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson

from streams.audit.alert_handlers import AlertHandlers
from streams.desk.desk import Desk
from streams.desk.routes import Owner
from streams.desk.rows import State
from streams.metrics import declared
from streams.metrics.declared import Exporter
from streams.metrics.health import Health
from streams.metrics.registry import Metrics
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy
from streams.services.desk.building import build_sinks
from streams.services.desk.delivery import Courier
from streams.services.desk.errors import DeskError
from streams.services.desk.intake import Intake, check_topics
from streams.services.desk.outbox import OpenDelivery, SinkLoad
from streams.services.desk.settings import DeskSection
from streams.services.desk.store import DeskStore
from streams.services.running import Running
from streams.services.sending import Backoff

_MS_PER_S = 1_000
_log = logging.getLogger(__name__)

SHOWN_MAX = 100
"""Messages that the view of open deliveries lists."""


class RunningDesk(Running):
    """The desk with all its parts; a context manager.

    Attributes:
        metrics: what it counts.
    """

    def __init__(
        self,
        section: DeskSection,
        transport: Transport,
        handlers: AlertHandlers,
        *,
        folder: Path,
        entropy: Entropy = SYSTEM,
    ) -> None:
        """Open all parts, and start reading and delivering.

        Args:
            section: `[desk]` of the settings.
            transport: the log; the caller closes it.
            handlers: who may acknowledge and close alerts.
            folder: the folder of its memory.
            entropy: the clock that never goes back.

        Raises:
            DeskError: the settings, secrets or files can't be used.
            LogError: a topic is missing, or may not be used.
        """
        if not section.routes:
            raise DeskError("nobody is notified: add `[[desk.routes]]` and a sink, such as `[desk.slack.NAME]`")
        check_topics(transport)
        self.metrics = Metrics(Exporter.DESK)
        self._now_ms = transport.now_ms
        with ExitStack() as opened:
            sinks = build_sinks(section, transport.now_ms)
            self._store = DeskStore(folder)
            opened.callback(self._store.close)
            self._couriers = [
                Courier(
                    name,
                    sink,
                    self._store.outbox,
                    Backoff(section.retry_first_ms, section.retry_max_ms),
                    lambda name, result: self.metrics.add(declared.DESK_DELIVERIES, name, result),
                )
                for name, sink in sinks.items()
            ]
            for courier in self._couriers:
                opened.callback(courier.stop)
            routes = [each.route() for each in section.routes]
            owners = [Owner(name=name, agents=tuple(agents)) for name, agents in section.owners.items()]
            windows = [each.window() for each in section.maintenance]
            self._intake = Intake(
                Desk(routes, windows, section.dedup_window_ms, owners),
                self._store,
                transport,
                Backoff(section.retry_first_ms, section.retry_max_ms),
                handlers,
                first_start_ms=section.first_start_ms,
                monotonic_ms=entropy.monotonic_ms,
                count=lambda result: self.metrics.add(declared.DESK_ALERTS, result),
                tell=self._wake,
                note=self._note,
            )
            opened.callback(self._intake.stop)
            for courier in self._couriers:
                courier.start()
            self._intake.start()
            self._opened = opened.pop_all()

    def left_behind(self, section: DeskSection) -> tuple[str, ...]:
        """Return the sinks for which messages wait although the settings name them no more."""
        return tuple(load.sink for load in self._store.outbox.loads() if load.sink not in section.sink_names)

    def health(self) -> Health:
        """Return whether alerts are read. A sink that fails makes the desk no less ready. Thread-safe."""
        return self._intake.health()

    def view(self) -> bytes:
        """Return what waits as JSON. It names no tenant, agent or session. Thread-safe.

        Raises:
            DeskError: the file can't be read.
        """
        states = self._store.states()
        told = {
            "incidents": {state.value: states[state] for state in State},
            "sinks": [load._asdict() for load in self._loads()],
            "deliveries": [shown(each) for each in self._store.outbox.open_deliveries(SHOWN_MAX)],
        }
        return orjson.dumps(told) + b"\n"

    def _note(self) -> None:
        try:
            loads, states = self._loads(), self._store.states()
        except DeskError as error:
            _log.warning("what waits is not measured: %s", error)
            return
        now_ms = self._now_ms()
        for load in loads:
            age_ms = 0 if load.oldest_ms is None else max(0, now_ms - load.oldest_ms)
            self.metrics.set(declared.DESK_WAITING, load.open_count, load.sink)
            self.metrics.set(declared.DESK_SET_ASIDE, load.set_aside_count, load.sink)
            self.metrics.set(declared.DESK_OWED, load.owed_count, load.sink)
            self.metrics.set(declared.DESK_OLDEST_SECONDS, age_ms / _MS_PER_S, load.sink)
        for state, count in states.items():
            self.metrics.set(declared.DESK_INCIDENTS, count, state.value)

    def _loads(self) -> list[SinkLoad]:
        """Return what waits for each sink, also where that is nothing."""
        return self._store.outbox.loads(courier.name for courier in self._couriers)

    def _wake(self) -> None:
        for courier in self._couriers:
            courier.wake()


def shown(delivery: OpenDelivery) -> dict[str, Any]:
    """Return an open delivery as members of JSON."""
    return {
        "message": delivery.uid,
        "sink": delivery.sink,
        "kind": delivery.kind,
        "made_ms": delivery.made_ms,
        "attempts": delivery.attempts,
        "fault": delivery.fault,
        "is_set_aside": delivery.is_set_aside,
    }
