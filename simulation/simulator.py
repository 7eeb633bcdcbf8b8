"""Simulates several gates of the real engine on a simulated broker, disks and clock, all from one seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from random import Random  # noqa: TID251 - everything of a simulation is drawn from one seeded source
from typing import NamedTuple

from simulation import auditor
from simulation.auditor_authority import check_ages, check_allowed, check_writers
from simulation.auditor_grants import check_grants
from simulation.auditor_heads import check_heads
from simulation.auditor_order import check_order
from simulation.auditor_outcomes import check_outcomes
from simulation.auditor_reports import check_reports
from simulation.auditor_seals import check_seals, read_seals
from simulation.auditor_stops import check_stops
from simulation.auditor_stores import (
    ChangelogTape,
    check_sessions,
    check_stores,
    check_taken_over,
    held_count,
    left_out_count,
)
from simulation.auditor_time import check_times
from simulation.faults import FaultPlan, SimulatedFaults
from simulation.host_clock import WRONG_BY_MS
from simulation.machine import SESSION_TIMEOUT_MS, Machine, go_on_meanwhile
from simulation.records import ISSUER, RELEASER, ROOT_KEY
from simulation.seals import BatchSeals, BothHooks
from simulation.slow_processor import SLOW_RECORD_MS, SlowProcessor, Work
from simulation.workload import TENANTS, Workload
from simulation.workload_session import TOOLS, WorkloadSize
from simulation.world import World
from streams.audit.notes import Signer
from streams.audit.publishers import UNSIGNED
from streams.audit.releasers import Releasers
from streams.audit.report_keys import ReportKey
from streams.audit.reviewers import ANYBODY
from streams.audit.seal_keys import derived_seal_key
from streams.delegation.anchors import TrustAnchors
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from streams.history.workers import build_worker, create_topics
from streams.inmemory.clock import ManualClock
from streams.inmemory.disk import Disk
from streams.inmemory.log import MemoryLog
from streams.model.approval import ApprovalRequest
from streams.model.errors import StoplogError
from streams.model.revocation_set import RevocationSet
from streams.model.topics import APPROVAL_REQUEST, REVOCATION, outcome_topic
from streams.ports import TopicPartition, TopicSpec
from streams.ports.processor import CommitHook, Processor
from streams.ports.wire import Wire
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import CompileBundle, InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.seals import Seals
from streams.processors.settings import GateSettings
from streams.topology import GATE

REPORT_KEYS = {entry.server_id: ReportKey.derived(ROOT_KEY, entry.server_id).public.raw for entry in TOOLS}
START_MS = 1_764_061_200_000
TRACE_LINES_MAX = 60
VIOLATIONS_TOLD_MAX = 12
TICKS_MAX = 30_000
HEALING_ROUNDS_MAX = 3_000
QUIET_ROUNDS = 8
NESTED_TICKS_MAX = 40
STANDSTILL_MS_MAX = 5_000
SLOW_EVERY = 10
"""One seed of so many has slow gates. Derived and not drawn, so that nothing else in a seed depends on it."""

MakeGate = Callable[[GateSettings, Wire, ControlState], Processor]

MakeSeals = Callable[[Wire, Signer, str], CommitHook]
SEALER = derived_seal_key(ROOT_KEY)
DEPLOYMENT = "simulated"

RELEASERS = Releasers.of({"releaser": str(RELEASER.public)})
"""Whose releases count for the gates. The auditor decides for itself."""


class SimulationFailedError(StoplogError):
    """A promise was broken. The message names the seed, what is wrong, and what happened last."""


class Report(NamedTuple):
    """The report of a simulation that kept all promises. `digest` covers everything that was written,
    `promotions` counts the standbys that became a partition's state."""

    seed: int
    digest: str
    intents: int
    verdicts: int
    dead_letters: int
    restarts: int
    ticks: int
    seals: int
    promotions: int


class Ingredients(NamedTuple):
    """What a simulation is given: the layers above the engine.

    Attributes:
        wire: the codec.
        compile_bundle: compiles a published bundle.
        bundles: the files of the bundles that are published, the first one from the start.
        make_gate: creates a gate; tests plant bugs here.
        make_hook: creates a hook at commit that chains what a gate writes; tests plant bugs here, too.
        make_seals: creates the hook that seals what a gate writes; tests plant bugs here, too.
    """

    wire: Wire
    compile_bundle: CompileBundle
    bundles: Sequence[Mapping[str, str]]
    make_gate: MakeGate = Gate
    make_hook: Callable[[Wire], CommitHook] = BatchSeals
    make_seals: MakeSeals = Seals


def simulate(seed: int, ingredients: Ingredients, size: WorkloadSize | None = None) -> Report:
    """Run one seed to its end and audit it.

    Args:
        seed: everything is drawn from it.
        ingredients: the layers above the engine.
        size: how much happens.

    Raises:
        SimulationFailedError: a promise was broken.
    """
    simulation = Simulation(seed, ingredients, size or WorkloadSize())
    try:
        return simulation.run()
    except SimulationFailedError:
        raise
    except Exception as error:
        raise simulation.failed([f"{type(error).__name__}: {error}"]) from error


class Simulation:
    """The simulation of one seed."""

    def __init__(self, seed: int, ingredients: Ingredients, size: WorkloadSize) -> None:
        self._seed = seed
        self._ingredients = ingredients
        self._rng = rng = Random(seed)  # noqa: S311 - it is to be repeatable, not secret
        self._clock = ManualClock(START_MS)
        self._log = MemoryLog(self._clock)
        self._trace_lines: deque[str] = deque(maxlen=TRACE_LINES_MAX)
        self._plan = FaultPlan.draw(rng)
        self._gate_settings = _gate_settings(rng)
        self._engine_settings = _engine_settings(rng, standbys=seed % 3)
        self._ticks = 0
        self._starts = 0
        self._promotions = 0
        self._nested = False
        partitions = rng.randint(1, 4)
        create_topics(self._log, GATE, partitions)
        for topic in map(outcome_topic, TENANTS):
            self._log.create(TopicSpec(topic.name, partitions, topic.config()))
        names = [f"gate-{number}" for number in range(rng.randint(1, 3))]
        self._faults = SimulatedFaults(
            rng,
            self._plan,
            self._clock,
            clients=names,
            trace=self._trace,
            interrupt=self._others_go_on,
            go_on=self._go_on_meanwhile,
        )
        self._log.faults = self._faults
        record_ms = 0 if seed % SLOW_EVERY else SLOW_RECORD_MS
        self._work = Work(record_ms, self._clock, self._log, self._trace)
        self._machines = [self._machine(name) for name in names]
        self._tape = ChangelogTape(self._log, GATE.changelog.name)
        self._world = World(rng, self._clock, self._log, ingredients.wire)
        Workload(self._world, size, ingredients.bundles).plan()
        self._world.stamped_ahead_share = self._plan.stamped_ahead
        self._end_ms = START_MS + size.span_ms

    def run(self) -> Report:
        """Run the workload under faults, then without, then audit.

        Raises:
            SimulationFailedError: a promise was broken.
        """
        while self._clock.now_ms() < self._end_ms:
            self._tick()
            if self._ticks > TICKS_MAX:
                raise self.failed([f"{TICKS_MAX} ticks did not reach the end of the workload"])
        self._heal()
        return self._audit()

    # Disturbed

    def _tick(self) -> None:
        self._ticks += 1
        rng = self._rng
        self._clock.advance(rng.choice((0, 0, 1, 5, 20, 60)))
        self._go_on_outside()
        self._go_on(rng.choice(self._machines))
        self._disturb()

    def _go_on(self, machine: Machine) -> None:
        """Let a machine go on, and check the state of partitions that it takes over meanwhile."""
        machine.go_on()
        new = machine.new_restores()
        if not new:
            return
        self._tape.copy()
        self._promotions += sum(restored.from_standby for restored in new.values())
        violations = list(check_taken_over(self._tape, machine.name, machine.disk, list(new)))
        if violations:
            raise self.failed(violations)

    def _go_on_outside(self) -> None:
        self._world.go_on()
        for machine in self._machines:
            machine.time_out()
        if self._log.markers_due and self._rng.random() < 0.3:
            self._log.write_markers(self._rng.randint(1, 3))

    def _disturb(self) -> None:
        plan, rng = self._plan, self._rng
        machine = rng.choice(self._machines)
        if rng.random() < plan.kill:
            machine.kill()
        if rng.random() < plan.stop:
            machine.stop()
        if rng.random() < plan.pause and machine.is_running and not machine.busy:
            machine.stand_still(int(rng.random() ** 2 * 2 * SESSION_TIMEOUT_MS))
        if rng.random() < plan.put_out and self._log.put_out(GATE.name, machine.name):
            self._trace(f"{machine.name}: put out of the group")
        if rng.random() < plan.clock_jump:
            machine.clock.wrong_by_ms = rng.choice((-WRONG_BY_MS, 0, 0, 0, WRONG_BY_MS))
            self._trace(f"{machine.name}: its clock is wrong by {machine.clock.wrong_by_ms} ms")
        if rng.random() < plan.outage:
            self._faults.down_until_ms = self._clock.now_ms() + rng.randint(100, 3_000)
            self._trace(f"the broker does not answer until {self._faults.down_until_ms - START_MS}")
        if rng.random() < plan.compact:
            self._tape.copy()
            self._log.compact(GATE.changelog.name)

    def _others_go_on(self, client: str) -> None:
        """Let the others act while a process stands still in the middle of a call."""
        if self._nested:
            return
        self._nested = True
        rng = self._rng
        if rng.random() < 0.6 and self._log.put_out(GATE.name, client):
            self._trace(f"{client}: put out of the group while it stands still")
        if rng.random() < 0.3 and self._log.time_out_transaction(client):
            self._trace(f"{client}: its transaction times out while it stands still")
        self._clock.advance(int(rng.random() ** 2 * STANDSTILL_MS_MAX))
        for _ in range(rng.randint(1, NESTED_TICKS_MAX)):
            self._tick()
        self._nested = False

    def _go_on_meanwhile(self) -> None:
        for name in go_on_meanwhile(self._machines, self._log):
            self._trace(f"{name}: its transaction times out")

    # Undisturbed

    def _heal(self) -> None:
        """Run without faults: everything must be decided within a bounded number of rounds."""
        self._trace("no more faults")
        self._faults.active = False
        self._world.stamped_ahead_share = 0.0
        for machine in self._machines:
            machine.clock.wrong_by_ms = 0
        quiet_rounds = 0
        for _ in range(HEALING_ROUNDS_MAX):
            for machine in self._machines:
                machine.wake()
                self._go_on(machine)
            self._log.write_markers()
            self._world.go_on()
            self._tape.copy()
            quiet_rounds = quiet_rounds + 1 if self._is_done() else 0
            if quiet_rounds == QUIET_ROUNDS:
                return
            self._clock.advance(self._healing_pause_ms())
        raise self.failed([f"no rest within {HEALING_ROUNDS_MAX} undisturbed rounds", *self._unfinished()])

    def _healing_pause_ms(self) -> int:
        due_ms = self._world.next_due_ms()
        if due_ms is None:
            return 400
        return min(400, max(10, due_ms - self._clock.now_ms()))

    def _is_done(self) -> bool:
        return self._world.is_idle and next(iter(self._unfinished()), None) is None

    def _unfinished(self) -> list[str]:
        told = [f"{machine.name} is not serving" for machine in self._machines if not machine.is_serving]
        partitions = self._log.partition_count(GATE.changelog.name)
        if sorted(number for machine in self._machines for number in machine.partitions) != list(range(partitions)):
            told.append("not every partition has one owner")
        told += auditor.check_consumed(self._log, GATE.name, GATE.inputs)
        for number in range(partitions):
            count = held_count(self._tape.rows(number))
            if count:
                told.append(f"{count} intents still wait in partition {number}")
            left_out = left_out_count(self._tape.rows(number))
            if left_out:
                told.append(f"partition {number} has not recorded {left_out} dead letters")
        return told

    # Audit

    def _audit(self) -> Report:
        log, wire = self._log, self._ingredients.wire
        evidence = auditor.gather(log, wire, GATE)
        owners = {number: machine.name for machine in self._machines for number in machine.partitions}
        partitions = range(log.partition_count(GATE.changelog.name))
        lag_ms_max = self._engine_settings.control_stale_ms + 2 * SESSION_TIMEOUT_MS
        violations = [
            *auditor.check_intents(evidence),
            *auditor.check_audit(evidence),
            *auditor.check_dead_letters(evidence),
            *auditor.check_intent_ages(evidence, self._gate_settings.intent_age_max_ms),
            *auditor.check_decisions(evidence),
            *auditor.check_publications(evidence),
            *auditor.check_consumed(log, GATE.name, GATE.inputs),
            *check_writers(evidence, ROOT_KEY),
            *check_ages(
                evidence,
                attended_ms=self._gate_settings.session_age_max_ms,
                unattended_ms=self._gate_settings.unattended_age_max_ms,
            ),
            *check_grants(evidence, ROOT_KEY),
            *check_stops(evidence),
            *check_outcomes(evidence, log, wire, TENANTS),
            *check_order(evidence, log),
            *check_reports(evidence, REPORT_KEYS),
            *check_times(evidence, [(number, self._tape.rows(number)) for number in partitions], self._clock.now_ms()),
            *check_seals(log, wire),
            *check_heads(log, wire, SEALER.public.raw, DEPLOYMENT),
            *check_stores(self._tape, {machine.name: machine.disk for machine in self._machines}, owners),
            *check_allowed(
                evidence,
                log.committed_records(TopicPartition(REVOCATION.name, 0)),
                self._requests(),
                lag_ms_max,
            ),
        ]
        rows = {key: row for number in partitions for key, row in self._tape.rows(number).items()}
        if self._remembers_all():
            violations += check_sessions(evidence, rows)
        if violations:
            raise self.failed(violations)
        return Report(
            seed=self._seed,
            digest=self._digest(),
            intents=len(evidence.intents),
            verdicts=sum(len(judged) for judged in evidence.verdicts.values()),
            dead_letters=evidence.letters.total(),
            restarts=self._starts - len(self._machines),
            ticks=self._ticks,
            seals=sum(len(read_seals(log, wire, number)) for number in partitions),
            promotions=self._promotions,
        )

    def _remembers_all(self) -> bool:
        return self._gate_settings.dedup_retention_ms > 2 * (self._clock.now_ms() - START_MS)

    def _requests(self) -> dict[auditor.IntentName, list[ApprovalRequest]]:
        found: dict[auditor.IntentName, list[ApprovalRequest]] = {}
        for _, received in self._log.written_since((APPROVAL_REQUEST.name,), -1):
            record = self._world.decode(received)
            if isinstance(record, ApprovalRequest):
                found.setdefault((received.key or b"", record.intent_id), []).append(record)
        return found

    def _digest(self) -> str:
        digest = sha256()
        for serial, record in self._log.written_since(self._log.topics(), -1):
            digest.update(repr((serial, record)).encode())
        return digest.hexdigest()

    def failed(self, violations: list[str]) -> SimulationFailedError:
        """Return the error that lists these violations."""
        told = violations[:VIOLATIONS_TOLD_MAX]
        if len(violations) > len(told):
            told.append(f"... and {len(violations) - len(told)} more")
        trace = "\n  ".join(self._trace_lines)
        return SimulationFailedError(
            f"seed {self._seed} broke a promise:\n  " + "\n  ".join(told) + f"\nthe last that happened:\n  {trace}"
        )

    # Making

    def _machine(self, name: str) -> Machine:
        machine = Machine(
            name,
            rng=self._rng,
            plan=self._plan,
            clock=self._clock,
            log=self._log,
            group=GATE.name,
            build=self._build,
            trace=self._trace,
        )
        machine.disk.before_read = lambda _partition: self._faults.before_read(name)
        machine.disk.before_apply = lambda _partition: self._faults.around_apply(name, "before")
        machine.disk.after_apply = lambda _partition: self._faults.around_apply(name, "after")
        return machine

    def _build(self, name: str, disk: Disk) -> Worker:
        self._starts += 1
        ingredients = self._ingredients
        rules = Publications(self._gate_settings.bundle_name, UNSIGNED, InlineCompiler(ingredients.compile_bundle))
        control = ControlState(rules, Catalog(ANYBODY), RevocationSet(RELEASERS))
        return build_worker(
            self._log,
            spec=GATE,
            processor=SlowProcessor(
                ingredients.make_gate(self._gate_settings, ingredients.wire, control),
                BothHooks(
                    ingredients.make_seals(ingredients.wire, SEALER, DEPLOYMENT),
                    ingredients.make_hook(ingredients.wire),
                ),
                self._work,
            ),
            wire=ingredients.wire,
            stores=disk,
            clock=next(machine.clock for machine in self._machines if machine.name == name),
            settings=self._engine_settings,
            instance=name,
        )

    def _trace(self, text: str) -> None:
        self._trace_lines.append(f"+{self._clock.now_ms() - START_MS} ms {text}")


def _gate_settings(rng: Random) -> GateSettings:
    """Return settings with small bounds, so that they are reached. In some seeds, verdicts are forgotten soon."""
    forgets = rng.random() < 0.3
    verdict_bytes_kept_ms = rng.choice((1_500, 300_000))
    return GateSettings(
        root_key=ROOT_KEY,
        join_grace_ms=2_000,
        intent_age_max_ms=20_000,
        skew_ms=2_000,
        dedup_retention_ms=40_000 if forgets else 86_400_000,
        verdict_bytes_retention_ms=verdict_bytes_kept_ms,
        verdict_bytes_per_partition_max=rng.choice((20_000, 10_000_000)),
        approval_ttl_ms=8_000,
        defer_ms=3_000,
        args_bytes_max=4_096,
        pending_per_session_max=rng.choice((2, 64)),
        session_age_max_ms=20_000,
        unattended_age_max_ms=14_000,
        session_idle_ms=9_000,
        # Few in every other seed. Derived and not drawn, so that nothing else in a seed depends on it.
        unproven_per_window_max=2 if verdict_bytes_kept_ms < 10_000 else 500,
        unproven_window_ms=5_000,
        trust_anchors=TrustAnchors(hmac_issuers=frozenset({ISSUER})),
    )


def _engine_settings(rng: Random, standbys: int) -> EngineSettings:
    return EngineSettings(
        poll_records_max=rng.choice((1, 3, 20, 1_000)),
        commit_records_max=rng.choice((1, 5, 2_000)),
        idle_poll_ms=0,
        abort_backoff_ms=5,
        standbys=standbys,
    )
