"""Seal what others put on the record: outcomes of executors, readings and erasures of content, acts of services.

**Idea.** Executors, token services, desks and people write their audit records to a topic of their own, which no gate
reads (ADR 0026). The notary reads them, decides nothing by them, and makes each a leaf of a log of its own, in the
order of their offsets. At the end of each transaction it writes a seal to `agent.audit.seal.v1`, as a gate does among
its verdicts (`streams.audit.seals`). So whoever checks the record can tell that one was changed, dropped, exchanged or
added after a notary had read it (ADR 0090).

It runs beside a gate, with its key. The origin of its log is another one than the gate's, so no head of it proves a
verdict, whatever others report.

**Rejected.** To let gates read the topic: each call would have one more record to wait for, and replays one more order
to find. A chain that each writer signs: every executor would need a key for what its server does not vouch for, and two
processes of one server could not share a chain.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.audit.notes import Signer
from streams.audit.seals import NOTARY_LOG, REPORTED_LEAF, read_leaf
from streams.model.errors import InvariantError
from streams.model.topics import AUDIT_REPORTED, AUDIT_SEAL, SEAL_KEY
from streams.model.types import Record
from streams.ports import Outgoing, Received
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder
from streams.processors import layout
from streams.processors.dead_letters import Reporter, ReportingProcessor
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.rows import TimerKind, parse_timer
from streams.processors.seals import Sealer
from streams.processors.settings import ALERT_WINDOW_MS

SOURCE = "stoplog/notary"


class ReportedSeals:
    """The commit hook that seals what was read. A record that can't be read is sealed, too: it was there."""

    topics: frozenset[str] = frozenset()
    inputs = frozenset((AUDIT_REPORTED.name,))

    def __init__(self, encoder: Encoder, signer: Signer, deployment: str) -> None:
        """Create the hook; the arguments are those of `streams.processors.seals.Seals`."""
        self._encoder = encoder
        self._sealer = Sealer(signer, deployment, SOURCE, NOTARY_LOG)

    def before_commit(
        self, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        """Return the seals of what was read; none of nothing.

        Raises:
            SigningKeyError: the key can't be used; the transaction is aborted.
        """
        del written
        if not read:
            return []
        kinds = bytes((REPORTED_LEAF,)) * len(read)
        seals, _ = self._sealer.add([read_leaf(record) for record in read], kinds, state, now_ms)
        encode = self._encoder.encode
        return [Output(AUDIT_SEAL, SEAL_KEY, encode(AUDIT_SEAL.name, seal), seal.header) for seal in seals]


class Notary(ReportingProcessor):
    """Reads what others put on the record, so that its hook seals it. All memory is in the state views."""

    def __init__(
        self, encoder: Encoder, signer: Signer, deployment: str, alert_window_ms: int = ALERT_WINDOW_MS
    ) -> None:
        """Create a notary.

        Args:
            encoder: what encodes its records.
            signer: signs the heads of the logs.
            deployment: the name of the deployment.
            alert_window_ms: for how long further records that can't be read are only counted.
        """
        self._windows = AlertWindows(encoder, alert_window_ms)
        super().__init__(Reporter(encoder, AUDIT_REPORTED, SOURCE), self._windows)
        self._hook = ReportedSeals(encoder, signer, deployment)

    @property
    def commit_hook(self) -> ReportedSeals:
        """The hook that seals."""
        return self._hook

    def prepare(self, state: StateView) -> None:
        """Check that the partition's rows have a layout that this version knows."""
        layout.bring_up_other(state)

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Return nothing: the record is sealed at the end of the transaction."""
        del topic, key, record, state, received_ms, now_ms
        return []

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """End the window of an alert.

        Raises:
            InvariantError: it is the timer of another processor.
        """
        if payload[0] != TimerKind.ALERT:
            raise InvariantError(f"a notary does not set timers of the kind {payload[0]}")
        return self._windows.on_due(parse_timer(payload)[1], state, now_ms)
