"""Decides what goes wrong in a simulation, how often, and when, all drawn from its seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random  # noqa: TID251 - everything of a simulation is drawn from one seeded source

from streams.inmemory.faults import Call
from streams.ports import (
    AbortableTransactionError,
    Clock,
    FatalLogError,
    LogError,
    RetriableLogError,
    StoreError,
    TopicPartition,
    UnansweredError,
)

_CALM_SHARE = 0.1


class ProcessKilled(BaseException):
    """The process dies at exactly this point. Not an `Exception`, as nothing in the process may catch it."""


@dataclass(frozen=True, kw_only=True)
class FaultPlan:
    """How often each kind of fault happens: the chance per call of a client, or per tick of the simulation.

    Attributes:
        silent: a poll finds nothing although there is something.
        partial: a poll does not get an answer for some partitions.
        unanswered: a lookup of offsets, a start, or the end of a transaction in a hurry, gets no answer.
        aborted: a call of a transaction fails, so that it must be aborted, or worse.
        unknown: the outcome of a commit is not known: it may have happened.
        killed: the process dies before or after a call, or around a write to its disk.
        interrupted: the process stands still within a call while the others continue.
        disk: a read from the disk fails; or a write, which happens less often.
        late_marker: the marker of a decided transaction comes later.
        kill, stop, pause, put_out, outage, compact: what happens to an instance or the broker, per tick.
        clock_jump: the clock of a machine is 30 days wrong for a while, per tick.
        stamped_ahead: a broker stamps an input record 30 days ahead, per record.
        wiped, damaged, tail_lost: what the death of a process does to a store.
    """

    silent: float = 0.0
    partial: float = 0.0
    unanswered: float = 0.0
    aborted: float = 0.0
    unknown: float = 0.0
    killed: float = 0.0
    interrupted: float = 0.0
    disk: float = 0.0
    late_marker: float = 0.0
    kill: float = 0.0
    stop: float = 0.0
    pause: float = 0.0
    put_out: float = 0.0
    outage: float = 0.0
    compact: float = 0.0
    clock_jump: float = 0.0
    stamped_ahead: float = 0.0
    wiped: float = 0.0
    damaged: float = 0.0
    tail_lost: float = 0.0

    @classmethod
    def draw(cls, rng: Random) -> FaultPlan:
        """Draw a plan. Some seeds have no faults, most have a few kinds, each more or less often."""
        if rng.random() < _CALM_SHARE:
            return cls()

        def chance(most: float) -> float:
            return most * rng.random() ** 2 if rng.random() < 0.7 else 0.0

        return cls(
            silent=chance(0.2),
            partial=chance(0.5),
            unanswered=chance(0.2),
            aborted=chance(0.05),
            unknown=chance(0.08),
            killed=chance(0.01),
            interrupted=chance(0.03),
            disk=chance(0.01),
            late_marker=chance(0.5),
            kill=chance(0.02),
            stop=chance(0.02),
            pause=chance(0.02),
            put_out=chance(0.02),
            outage=chance(0.004),
            compact=chance(0.02),
            clock_jump=chance(0.01),
            stamped_ahead=chance(0.05),
            wiped=chance(0.4),
            damaged=chance(0.2),
            tail_lost=chance(0.8),
        )


class SimulatedFaults:
    """Implements `Faults` of the log, and those of disks, by a plan.

    Attributes:
        active: whether anything goes wrong at all.
        down_until_ms: the broker does not answer before that.
    """

    def __init__(
        self,
        rng: Random,
        plan: FaultPlan,
        clock: Clock,
        *,
        clients: Sequence[str],
        trace: Callable[[str], None],
        interrupt: Callable[[str], None],
        go_on: Callable[[], None],
    ) -> None:
        """Create faults that disturb `clients` and nobody else.

        Args:
            interrupt: lets the others act in the middle of a client's call.
            go_on: lets them act while somebody waits for records, whether anything goes wrong or not.
        """
        self.active = True
        self.down_until_ms = 0
        self._rng = rng
        self._plan = plan
        self._clock = clock
        self._clients = frozenset(clients)
        self._trace = trace
        self._interrupt = interrupt
        self._go_on = go_on

    def before(self, client: str, call: Call) -> None:
        """Do what `Faults` says."""
        if not self._disturbs(client):
            return
        self._interrupt_or_kill(client, f"before {call.value}")
        is_down = self._clock.now_ms() < self.down_until_ms
        error = _outage_error(call) if is_down else self._drawn_error(call)
        if error is not None:
            self._trace(f"{client}: {call.value} fails, {type(error).__name__}")
            raise error

    def after(self, client: str, call: Call) -> None:
        """Do what `Faults` says."""
        if not self._disturbs(client):
            return
        self._interrupt_or_kill(client, f"after {call.value}")
        if call is Call.COMMIT and self._hits(self._plan.unknown):
            self._trace(f"{client}: committed, but the answer is lost")
            raise FatalLogError("the outcome of the commit is not known")

    def waits(self, client: str) -> None:
        """Do what `Faults` says."""
        del client
        self._go_on()

    def fetch_order(self, client: str, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Do what `Faults` says."""
        if not self._disturbs(client) or not self._plan.partial:
            return partitions
        heard = [partition for partition in partitions if not self._hits(self._plan.partial)]
        self._rng.shuffle(heard)
        return heard

    def delays_marker(self, transactional_id: str, partition: TopicPartition) -> bool:
        """Do what `Faults` says."""
        del partition
        return self._disturbs(transactional_id) and self._hits(self._plan.late_marker)

    def around_apply(self, client: str, moment: str) -> None:
        """Note that a store of `client` is about to write a batch, or has done so."""
        if self._disturbs(client):
            self._interrupt_or_kill(client, f"{moment} a write to disk")
            self._fail_disk(client, "write")

    def before_read(self, client: str) -> None:
        """Note that a store of `client` is about to read a row."""
        if self._disturbs(client):
            self._fail_disk(client, "read")

    def _fail_disk(self, client: str, doing: str) -> None:
        if self._hits(self._plan.disk):
            self._trace(f"{client}: cannot {doing}")
            raise StoreError(f"the disk cannot {doing}")

    def _disturbs(self, client: str) -> bool:
        return self.active and client in self._clients

    def _interrupt_or_kill(self, client: str, where: str) -> None:
        if self._hits(self._plan.interrupted):
            self._trace(f"{client}: stands still {where}")
            self._interrupt(client)
        if self._hits(self._plan.killed):
            self._trace(f"{client}: killed {where}")
            raise ProcessKilled(where)

    def _drawn_error(self, call: Call) -> LogError | None:
        plan = self._plan
        match call:
            case Call.POLL | Call.READ:
                return RetriableLogError("no answer") if self._hits(plan.silent) else None
            case Call.COMMITTED | Call.END_OFFSETS | Call.INIT_TRANSACTIONS:
                return RetriableLogError("no answer in time") if self._hits(plan.unanswered) else None
            case Call.SEND:
                # There are many of them in a transaction.
                return self._drawn_send_error() if self._hits(plan.aborted / 3) else None
            case Call.SEND_OFFSETS:
                return AbortableTransactionError("offsets were not taken") if self._hits(plan.aborted) else None
            case Call.COMMIT:
                if self._hits(plan.unknown):
                    return FatalLogError("the commit did not reach the broker, but nobody knows")
                return AbortableTransactionError("the commit was refused") if self._hits(plan.aborted) else None
            case Call.HURRY:
                # Few transactions are ended in a hurry.
                return UnansweredError("no answer in a hurry") if self._hits(plan.unanswered * 4) else None
            case Call.ABORT:
                return UnansweredError("the abort got no answer") if self._hits(plan.aborted) else None
            case _:
                return None

    def _drawn_send_error(self) -> LogError:
        kind = self._rng.choice((AbortableTransactionError, RetriableLogError, LogError))
        return kind("the record was not taken")

    def _hits(self, chance: float) -> bool:
        return chance > 0 and self._rng.random() < chance


def _outage_error(call: Call) -> LogError | None:
    """Return what a call raises while the broker does not answer: sends are queued, the rest times out."""
    match call:
        case Call.BEGIN | Call.SEND:
            return None
        case Call.SEND_OFFSETS:
            return AbortableTransactionError("the broker is away")
        case Call.COMMIT | Call.ABORT | Call.HURRY:
            return UnansweredError("the broker is away, the outcome is not known")
        case _:
            return RetriableLogError("the broker is away")
