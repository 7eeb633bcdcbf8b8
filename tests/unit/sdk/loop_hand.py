"""An executor that follows the verdict topic in a thread of its own, and what it has reported."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from streams.audit.seal_keys import SealKeys
from streams.model.session import SessionEvent
from streams.model.topics import VERDICT
from streams.model.types import ToolRef
from streams.model.verdict import Verdict
from streams.sdk import (
    Executor,
    ExecutorSettings,
    LoopSettings,
    RevocationWatch,
    SingleUseStore,
    ToolOutcome,
    VerdictLoop,
)
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.seal_checks import UNPROVEN, SealKeySource, Unproven
from tests.unit.sdk.hands import REPORT_KEY, WAIT_S, key_of, make_verdict, write, written

GROUP = "executor-mail"


class Running:
    """A loop in a thread; what it raised is kept."""

    def __init__(
        self,
        transport: Transport,
        store: SingleUseStore,
        revocations: RevocationWatch,
        function: Callable[[Mapping[str, object]], object],
        *,
        group: str = GROUP,
        instance: str = "e-1",
        settings: LoopSettings | None = None,
        tool_timeout_ms: int = 20_000,
        seal_keys: SealKeys | SealKeySource | Unproven = UNPROVEN,
    ) -> None:
        executor = Executor(
            transport,
            ["mail"],
            {"mail/send": function},
            store,
            report_keys=REPORT_KEY,
            seal_keys=seal_keys,
            revocations=revocations,
            settings=ExecutorSettings(tool_timeout_ms=tool_timeout_ms),
        )
        self.outcomes: list[tuple[Verdict, ToolOutcome]] = []
        self.error: Exception | None = None
        self._stop = threading.Event()
        loop = VerdictLoop(
            executor,
            transport,
            group=group,
            instance=instance,
            settings=settings,
            on_outcome=lambda verdict, outcome: self.outcomes.append((verdict, outcome)),
        )
        self.loop = loop
        self._thread = threading.Thread(target=self._run, args=(loop,), daemon=True)
        self._thread.start()

    def _run(self, loop: VerdictLoop) -> None:
        try:
            loop.run(self._stop)
        except Exception as error:
            self.error = error

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def ask_to_stop(self) -> None:
        self._stop.set()

    def stop(self) -> None:
        self.ask_to_stop()
        self._thread.join(WAIT_S)
        assert self.ended

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def put(transport: Transport, verdict: Verdict) -> Verdict:
    write(transport, verdict, key_of(verdict))
    return verdict


def reported(transport: Transport) -> list[str | None]:
    return sorted(str(event.verdict_id) for event in written(transport, SessionEvent))


def ids(*verdicts: Verdict) -> list[str]:
    return sorted(verdict.verdict_id for verdict in verdicts)


def put_many(transport: Transport, verdicts: list[Verdict]) -> None:
    publish(transport, [outgoing(transport, VERDICT, key_of(each), each, each.header) for each in verdicts])


def others(count: int) -> list[Verdict]:
    return [make_verdict(session_id=f"s-{n % 40}", tool=ToolRef(server_id="git", name="log")) for n in range(count)]
