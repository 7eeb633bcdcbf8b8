"""Gates and owners of budgets on simulated machines, under every fault; what was allowed is added up in the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict
from random import Random  # noqa: TID251 - everything of a simulation is drawn from one seeded source
from typing import NamedTuple

import msgspec

from simulation.faults import FaultPlan, SimulatedFaults
from simulation.machine import Machine, go_on_meanwhile
from simulation.records import ROOT_KEY, SessionMaker, entry_key, report_keys, ruleset
from simulation.world import World
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.engine.settings import EngineSettings
from streams.engine.worker import Worker
from streams.history.workers import build_worker, create_topics
from streams.inmemory.clock import ManualClock
from streams.inmemory.disk import Disk
from streams.inmemory.log import MemoryLog
from streams.model.intent import Intent
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import BUDGET_GRANT, BUDGET_REQUEST, CATALOG, INTENT, REPORT, RULESET, SESSION, VERDICT
from streams.model.verdict import FINAL_OUTCOMES, Outcome, Verdict
from streams.ports import Outgoing, Received
from streams.ports.processor import Processor
from streams.processors.budgets.allocator import BudgetAllocator
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.settings import GateSettings
from streams.topology import BUDGETS, GATE
from tests.keeping import REFUND, SEND, bundle_files
from tests.kit import START_MS, compile_published, wire
from tests.simulation.caught_by import seeds_for

SPAN_MS = 60_000
WINDOW_MS = 20_000
SUM_LIMIT = 300
TARGETS_LIMIT = 5
CALLS_LIMIT = 40
STANDSTILL_MS_MAX = 12_000
ROUNDS_MAX = 4_000
ENGINE = EngineSettings(
    idle_poll_ms=0,
    punctuate_ms=100,
    idle_margin_ms=200,
    control_stale_ms=60_000,
    # With fewer, chance alone makes an intent a dead letter in one of some hundred seeds: its transactions are aborted
    # as often as that, and others in between are not. Here each intent is to have a verdict.
    record_aborts_max=8,
)
TICKS_MAX = 200_000
RULES = f"""
budgets:
  refunds: {{per: user, measure: {{sum: args.amount}}, match: {{tools: [pay.refund]}}, limit: {SUM_LIMIT}, window: 20s}}
  targets: {{per: tenant, measure: {{distinct: args.to}}, match: {{tools: [post.send]}}, limit: {TARGETS_LIMIT},
             window: 20s}}
  calls: {{per: agent, measure: calls, limit: {CALLS_LIMIT}, window: 20s}}
rules:
  - {{id: C-1, effect: permit, match: {{tools: ["*"]}}, when: "true", reason: fine}}
"""


class Report(NamedTuple):
    """What a seed came to."""

    allowed: int
    exhausted: int
    unavailable: int
    given_back: int
    duplicates: int
    starts: int
    violations: list[str]
    reasons: Counter[str]


class Fleet:
    """One seed."""

    rules = RULES

    def __init__(self, seed: int, plan: FaultPlan | None = None) -> None:
        self._rng = rng = Random(seed)  # noqa: S311 - it is to be repeatable, not secret
        self._clock = ManualClock(START_MS)
        self._log = MemoryLog(self._clock)
        plan = plan or _eased(FaultPlan.draw(rng), rng.choice((0.02, 0.1, 0.3, 1.0)))
        # Every other seed waits by what it measures.
        self._wait_ms = 4_000 if seed % 2 else 100
        self._partitions = rng.randint(2, 4)
        create_topics(self._log, GATE, self._partitions)
        create_topics(self._log, BUDGETS, self._partitions)
        gates = [f"gate-{number}" for number in range(rng.randint(1, 3))]
        owners = [f"owner-{number}" for number in range(rng.randint(1, 2))]
        self._nested = False
        self._machines: list[Machine] = []
        self._faults = SimulatedFaults(
            rng,
            plan,
            self._clock,
            clients=[*gates, *owners],
            trace=_ignore,
            interrupt=self._others_go_on,
            go_on=lambda: _ignore(go_on_meanwhile(self._machines, self._log)),
        )
        self._plan = plan
        self._starts = 0
        self._groups = {**dict.fromkeys(gates, GATE.name), **dict.fromkeys(owners, BUDGETS.name)}
        self._world = World(rng, self._clock, self._log, wire())
        self._sessions = [SessionMaker(f"s-{number}", sub=f"user-{number % 2}") for number in range(6)]
        self._intents: dict[str, tuple[Intent, dict[str, object]]] = {}
        self._final: dict[str, Verdict] = {}
        self._duplicates = 0
        self._lay_ground()
        self._machines = [self._machine(name) for name in self._groups]
        for machine in self._machines:
            machine.go_on()
        self._log.faults = self._faults
        self._plan_workload()

    def run(self) -> Report:
        """Let it happen, let it heal, add up."""
        ticks = 0
        while self._clock.now_ms() < START_MS + SPAN_MS:
            self._tick()
            ticks += 1
            assert ticks < TICKS_MAX
        self._heal()
        return self._audit()

    def _lay_ground(self) -> None:
        for entry in (REFUND, SEND, report_keys(REFUND.server_id), report_keys(SEND.server_id)):
            self._world.write(CATALOG.name, entry_key(entry), entry)
        self._world.write(RULESET.name, b"default", ruleset(bundle_files(self.rules)))
        for maker in self._sessions:
            self._world.write(SESSION.name, maker.key, maker.established(START_MS))

    def _plan_workload(self) -> None:
        rng = self._rng
        for _ in range(rng.randint(100, 250)):
            self._world.plan(START_MS + 1_000 + rng.randint(0, SPAN_MS), self._propose)
        self._world.listen(VERDICT.name, self._on_verdict)
        self._world.listen(BUDGET_REQUEST.name, self._repeat)
        self._world.listen(BUDGET_GRANT.name, self._repeat)

    def _propose(self) -> None:
        rng = self._rng
        maker = rng.choice(self._sessions)
        args = self.drawn_args(rng)
        intent = maker.intent(REFUND if "amount" in args else SEND, args, self._world.now_ms)
        self._intents[intent.intent_id] = (intent, args)
        self._world.write(INTENT.name, maker.key, intent)
        if rng.random() < 0.1:
            self._world.plan(self._world.now_ms + rng.randint(1, 9_000), lambda: self._write_again(maker, intent))

    def drawn_args(self, rng: Random) -> dict[str, object]:
        """The arguments of an intent: of a refund, or of a mail."""
        if rng.random() < 0.7:
            return {"amount": rng.choice((1, 5, 20, 60))}
        return {"to": rng.sample([f"t-{number}" for number in range(9)], rng.randint(1, 2))}

    def _write_again(self, maker: SessionMaker, intent: Intent) -> None:
        self._world.write(INTENT.name, maker.key, intent)

    def _on_verdict(self, received: Received) -> None:
        verdict = self._world.decode(received)
        assert isinstance(verdict, Verdict)
        if verdict.outcome not in FINAL_OUTCOMES or verdict.intent_id in self._final:
            return
        self._final[verdict.intent_id] = verdict
        if verdict.outcome is Outcome.ALLOW and self._rng.random() < 0.2:
            maker = next(maker for maker in self._sessions if maker.session_id == verdict.session_id)
            at_ms = self._world.now_ms + self._rng.randint(1, 9_000)
            self._world.plan(at_ms, lambda: self._did_not_run(maker, verdict))

    def _did_not_run(self, maker: SessionMaker, verdict: Verdict) -> None:
        event = maker.event(
            SessionEventType.TOOL_NOT_RUN, self._world.now_ms, intent_id=verdict.intent_id, tool=verdict.tool
        )
        for _ in range(self._rng.randint(1, 2)):
            self._world.write(REPORT.name, maker.key, event)
        if self._rng.random() < 0.3:
            # Somebody who may write reports, but has not the key of the server.
            self._world.write(REPORT.name, maker.key, msgspec.structs.replace(event, is_error=True, proof=None))

    def _repeat(self, received: Received) -> None:
        """Whoever carries requests and grants may do so more than once, and late."""
        # A repetition is a fault like the others: where it went on, a seed might never come to rest.
        if self._faults.active and self._duplicates < 200 and self._rng.random() < 0.3:
            self._duplicates += 1
            again = Outgoing(received.topic, received.partition, received.key, received.value, received.headers)
            self._world.plan(self._world.now_ms + self._rng.randint(0, 30_000), lambda: self._log.append(again))

    def _tick(self) -> None:
        rng = self._rng
        self._clock.advance(rng.choice((0, 1, 5, 20, 60)))
        self._world.go_on()
        for machine in self._machines:
            machine.time_out()
        if self._log.markers_due and rng.random() < 0.3:
            self._log.write_markers(rng.randint(1, 3))
        for each in rng.sample(self._machines, rng.randint(1, len(self._machines))):
            each.go_on()
        machine = rng.choice(self._machines)
        if rng.random() < self._plan.kill:
            machine.kill()
        if rng.random() < self._plan.stop:
            machine.stop()
        if rng.random() < self._plan.pause and machine.is_running and not machine.busy:
            machine.stand_still(int(rng.random() ** 4 * STANDSTILL_MS_MAX))
        if rng.random() < self._plan.put_out:
            self._log.put_out(self._groups[machine.name], machine.name)
        if rng.random() < self._plan.outage:
            self._faults.down_until_ms = self._clock.now_ms() + rng.randint(100, 2_000)

    def _others_go_on(self, client: str) -> None:
        if self._nested:
            return
        self._nested = True
        if self._rng.random() < 0.6:
            self._log.put_out(self._groups[client], client)
        self._clock.advance(int(self._rng.random() ** 8 * STANDSTILL_MS_MAX))
        for _ in range(self._rng.randint(1, 20)):
            self._tick()
        self._nested = False

    def _heal(self) -> None:
        self._faults.active = False
        for _ in range(ROUNDS_MAX):
            for machine in self._machines:
                machine.wake()
                machine.go_on()
            self._log.write_markers()
            self._world.go_on()
            if self._world.is_idle and all(machine.is_serving for machine in self._machines):
                # Listeners hear in the order of writing, so not of what was committed late.
                for _, received in self._log.written_since((VERDICT.name,), -1):
                    self._on_verdict(received)
                if self._final.keys() == self._intents.keys() and self._world.is_idle:
                    return
            self._clock.advance(50)
        missing = len(self._intents.keys() - self._final.keys())
        raise AssertionError(f"no rest: {missing} of {len(self._intents)} intents have no verdict")

    def _audit(self) -> Report:
        """Add up in the order of the log; what did not run counts as given back from its report on."""
        violations: list[str] = []
        spent: dict[tuple[object, ...], int] = defaultdict(int)
        uses: dict[tuple[object, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        seen: set[str] = set()
        back: set[str] = set()
        for _, received in self._log.written_since((VERDICT.name, REPORT.name), -1):
            record = self._world.decode(received)
            if isinstance(record, Verdict) and record.outcome is Outcome.ALLOW and record.intent_id not in seen:
                seen.add(record.intent_id)
                violations += self._counted(record.intent_id, 1, spent, uses)
            elif isinstance(record, SessionEvent) and record.proof is not None:
                intent_id = str(record.intent_id)
                if intent_id not in back:
                    back.add(intent_id)
                    violations += self._counted(intent_id, -1, spent, uses)
        reasons = [verdict.reason for verdict in self._final.values()]
        return Report(
            allowed=reasons.count("permitted"),
            exhausted=reasons.count("budget_exhausted"),
            unavailable=reasons.count("budget_unavailable"),
            given_back=len(back),
            duplicates=self._duplicates,
            starts=self._starts,
            violations=violations,
            reasons=Counter(reasons),
        )

    def _counted(
        self,
        intent_id: str,
        sign: int,
        spent: dict[tuple[object, ...], int],
        uses: dict[tuple[object, ...], dict[str, int]],
    ) -> list[str]:
        intent, args = self._intents[intent_id]
        window = self._final[intent_id].evaluated_at // WINDOW_MS
        return self.count(intent, args, window, sign, spent, uses)

    def count(
        self,
        intent: Intent,
        args: dict[str, object],
        window: int,
        sign: int,
        spent: dict[tuple[object, ...], int],
        uses: dict[tuple[object, ...], dict[str, int]],
    ) -> list[str]:
        """Count an allowed call, or one that did not run, and name the limits that are exceeded."""
        found = []
        spent["calls", window] += sign
        if spent["calls", window] > CALLS_LIMIT:
            found.append(f"{spent['calls', window]} calls in window {window}")
        if "amount" in args:
            key = ("refunds", intent.sub, window)
            spent[key] += sign * int(str(args["amount"]))
            if spent[key] > SUM_LIMIT:
                found.append(f"{spent[key]} refunded for {intent.sub} in window {window}")
        else:
            targets = uses["targets", window]
            for target in msgspec.convert(args["to"], list[str]):
                targets[target] += sign
            used = sum(count > 0 for count in targets.values())
            if used > TARGETS_LIMIT:
                found.append(f"{used} targets in window {window}")
        return found

    def _machine(self, name: str) -> Machine:
        machine = Machine(
            name,
            rng=self._rng,
            plan=self._plan,
            clock=self._clock,
            log=self._log,
            group=self._groups[name],
            build=self._build,
            trace=_ignore,
        )
        machine.disk.before_read = lambda _partition: self._faults.before_read(name)
        machine.disk.before_apply = lambda _partition: self._faults.around_apply(name, "before")
        machine.disk.after_apply = lambda _partition: self._faults.around_apply(name, "after")
        return machine

    def _build(self, name: str, disk: Disk) -> Worker:
        self._starts += 1
        control = ControlState(Publications("default", UNSIGNED, InlineCompiler(compile_published)), Catalog(ANYBODY))
        settings = GateSettings(
            root_key=ROOT_KEY, budget_wait_ms=self._wait_ms, budget_wait_max_ms=4_000, budget_idle_ms=2_000
        )
        is_gate = self._groups[name] == GATE.name
        processor: Processor = Gate(settings, wire(), control) if is_gate else BudgetAllocator(wire())
        return build_worker(
            self._log,
            spec=GATE if is_gate else BUDGETS,
            processor=processor,
            wire=wire(),
            stores=disk,
            clock=self._clock,
            settings=ENGINE,
            instance=name,
        )


def assert_kept(fleet: Callable[[int], Fleet], seeds: Iterable[int]) -> Report:
    """Run a fleet with each of the seeds, which all have to keep every promise; return what they came to together."""
    reports: list[Report] = []
    for seed in seeds:
        reports.append(fleet(seed).run())
        assert reports[-1].violations == [], f"seed {seed}: {reports[-1].violations}"
    return Report(
        allowed=sum(report.allowed for report in reports),
        exhausted=sum(report.exhausted for report in reports),
        unavailable=sum(report.unavailable for report in reports),
        given_back=sum(report.given_back for report in reports),
        duplicates=sum(report.duplicates for report in reports),
        starts=sum(report.starts for report in reports),
        violations=[],
        reasons=sum((report.reasons for report in reports), Counter()),
    )


def assert_caught(fleet: Callable[[int], Fleet], plant: str, seeds_max: int) -> None:
    """Run a fleet with one seed after the other until one breaks a promise, as a planted bug must make one do."""
    assert any(fleet(seed).run().violations for seed in seeds_for(plant, seeds_max)), (
        f"`{plant}` was not caught by {seeds_max} seeds"
    )


def _eased(plan: FaultPlan, factor: float) -> FaultPlan:
    """The same faults, less often: where hardly a slice arrives, no limit is ever near."""
    return FaultPlan(**{name: chance * factor for name, chance in asdict(plan).items()})


def _ignore(_told: object) -> None:
    """Traces are for people who look at one seed."""
