"""Measures the cost of memories and budgets, and how much of a shared budget stays unused: `python -m bench budgets`.

Costs are CPU time of the gate alone, without log and disk, in microseconds for each intent, the best of several runs.
The unused share is that of the whole engine on a log in memory: a gate with several partitions and a budget allocator,
with sessions on all partitions, until every further intent is denied.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

from simulation.records import ROOT_KEY, SessionMaker, entry_key, header, ruleset, tool_entry
from streams.audit.publishers import UNSIGNED
from streams.audit.reviewers import ANYBODY
from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas
from streams.codec.wire import CodecWire
from streams.engine.state import PartitionState
from streams.history.driver import Driver, gate_driver
from streams.model.budget import BudgetAnswer, BudgetGrant, BudgetOp, BudgetRequest, keyed, request_key
from streams.model.catalog import ToolCatalogEntry
from streams.model.keys import partition_for
from streams.model.topics import BUDGET_GRANT, BUDGET_REQUEST, CATALOG, INTENT, RULESET, SESSION, VERDICT
from streams.model.verdict import Verdict
from streams.policy import compile_bundle
from streams.ports import Outgoing
from streams.ports.processor import Output
from streams.processors.budgets.allocator import BudgetAllocator
from streams.processors.control.catalog import Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.gate.gate import Gate
from streams.processors.settings import GateSettings
from streams.stores.memory import MemoryStores

START_MS = 1_764_061_200_000
INTENTS = 1_000
RUNS = 4
PARTITIONS = 6
SESSIONS = 24
LIMIT = 4_000
REFUSED_IN_A_ROW = 200
PAUSE_MS = 600
PAY = tool_entry("pay", "refund")
READ = tool_entry("files", "read")

HEAD = 'apiVersion: rules/v1\nbundle: default\nversion: "1"\n'
PERMIT = '  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}\n'
RULES = {
    "nothing kept": "",
    "count by key, 24h": """
history:
  refunds: {keep: count, on: allowed, match: {tools: [pay.refund]}, key: args.account, within: 24h}
""",
    "count of what ran": "history:\n  ran: {keep: count, on: ran, match: {tools: [pay.refund]}}\n",
    "count across sessions": """
history:
  refunds: {keep: count, on: allowed, match: {tools: [pay.refund]}, per: user, key: args.account, window: 24h}
""",
    "budget of the session": """
budgets:
  own: {per: session, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 1000000000}
""",
    "budget of the user": """
budgets:
  shared: {per: user, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 1000000000, window: 24h}
""",
    "budget of each account (50)": """
budgets:
  each: {per: tenant, key: args.account, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 1000000000,
         window: 24h}
""",
    "budget of each intent": """
budgets:
  each: {per: tenant, key: intent.id, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 1000000000,
         window: 24h}
""",
}
KEYED = """
budgets:
  each: {per: tenant, key: args.account, measure: {sum: args.amount}, match: {tools: [pay.refund]}, limit: 10000,
         window: 24h}
"""
CUSTOMERS = 200
READING = "  - {id: C-2, effect: deny, match: {tools: [pay.refund]}, when: history.refunds > 100000, reason: many}\n"
SHARED = f"""
budgets:
  shared: {{per: user, measure: {{sum: args.amount}}, match: {{tools: [pay.refund]}}, limit: {LIMIT}, window: 24h}}
"""


def _files(kept: str) -> dict[str, str]:
    rules = f"apiVersion: rules/v1\npack: counting\n{kept}\nrules:\n{PERMIT}"
    return {
        "bundle.yaml": HEAD,
        "counting/a.rules.yaml": rules + (READING if "refunds:" in kept else ""),
    }


def us_per_intent(wire: CodecWire, kept: str, entry: ToolCatalogEntry) -> float:
    """CPU time of the gate for one intent of a tool, with these memories and budgets in force."""
    rules = Publications("default", UNSIGNED, InlineCompiler(compile_bundle))
    control = ControlState(rules, Catalog(ANYBODY), stale=False)
    for each in (PAY, READ):
        control.apply(CATALOG.name, entry_key(each), each, 1, START_MS)
    control.apply(RULESET.name, b"default", ruleset(_files(kept)), 1, START_MS)
    control.settle()
    best = float("inf")
    for _ in range(RUNS):
        gate = Gate(GateSettings(root_key=ROOT_KEY), wire, control)
        state = PartitionState(MemoryStores().open(0))
        maker = SessionMaker()
        gate.process(SESSION.name, maker.key, maker.established(START_MS), state, START_MS, START_MS)
        intents = [
            maker.intent(entry, {"account": f"a-{number % 50}", "amount": 3}, START_MS) for number in range(INTENTS)
        ]
        began = time.process_time()
        for number, intent in enumerate(intents):
            outputs = gate.process(INTENT.name, maker.key, intent, state, START_MS, START_MS + number)
            state.keep_record()
            requests = [output.value for output in outputs if output.topic is BUDGET_REQUEST]
            while requests:
                outputs = _grant(wire, gate, state, requests.pop(), START_MS + number)
                requests += [output.value for output in outputs if output.topic is BUDGET_REQUEST]
        best = min(best, time.process_time() - began)
    return best / INTENTS * 1e6


def _grant(wire: CodecWire, gate: Gate, state: PartitionState, request: bytes | None, now_ms: int) -> list[Output]:
    asked = wire.decode(BUDGET_REQUEST.name, request, ())
    assert isinstance(asked, BudgetRequest)
    if asked.op is BudgetOp.NOTE:
        return []
    answer = BudgetAnswer.COUNTED if asked.op is BudgetOp.READ else BudgetAnswer.GRANTED
    grant = BudgetGrant(
        header=asked.header,
        budget_key=asked.budget_key,
        gate_partition=asked.gate_partition,
        serial=asked.serial,
        window_start=asked.window_start,
        window_end=asked.window_end,
        answer=answer,
        amount=max(asked.want, asked.need),
        left=1_000_000,
    )
    outputs = gate.process(BUDGET_GRANT.name, asked.budget_key.encode(), grant, state, now_ms, now_ms)
    state.keep_record()
    return outputs


@dataclass(frozen=True)
class Spent:
    """How a shared budget was used up."""

    spent: int
    allowed: int
    messages: int


def _driver(wire: CodecWire, kept: str) -> Driver:
    driver: Driver = gate_driver(
        wire=wire,
        compile_bundle=compile_bundle,
        settings=GateSettings(root_key=ROOT_KEY),
        start_ms=START_MS,
        partitions=PARTITIONS,
    )
    driver.pipe(CATALOG.name, entry_key(PAY), PAY)
    driver.pipe(RULESET.name, b"default", ruleset(_files(kept)))
    return driver


def use_up(wire: CodecWire, amounts: tuple[int, ...], favourite_share: float, at_once: int) -> Spent:
    """Propose until everything is refused: `at_once` calls, and a pause; `favourite_share` of them of one session."""
    rng = Random(7)  # noqa: S311 - repeatable, not secret
    driver = _driver(wire, SHARED)
    makers = [SessionMaker(f"s-{number}") for number in range(SESSIONS)]
    for maker in makers:
        driver.pipe(SESSION.name, maker.key, maker.established(START_MS, expires_ms=START_MS * 2))
    assert len({partition_for(maker.key, PARTITIONS) for maker in makers}) == PARTITIONS
    spent = allowed = refused = 0
    while refused < REFUSED_IN_A_ROW:
        proposed: dict[str, int] = {}
        for _ in range(at_once):
            maker = makers[0] if rng.random() < favourite_share else rng.choice(makers)
            amount = rng.choice(amounts)
            intent = maker.intent(PAY, {"amount": amount}, driver.clock.now_ms())
            proposed[intent.intent_id] = amount
            partition = partition_for(maker.key, PARTITIONS)
            driver.log.append(Outgoing(INTENT.name, partition, maker.key, wire.encode(INTENT.name, intent)))
        driver.settle()
        driver.advance(driver.clock.now_ms() + PAUSE_MS)
        for read in driver.read(VERDICT.name):
            assert isinstance(read.record, Verdict)
            if read.record.outcome.value == "ALLOW":
                spent, allowed, refused = spent + proposed[read.record.intent_id], allowed + 1, 0
            else:
                refused += 1
    messages = len(driver.read(BUDGET_REQUEST.name)) + len(driver.read(BUDGET_GRANT.name))
    driver.close()
    return Spent(spent, allowed, messages)


def serve_customers(wire: CodecWire, amount: int, calls: int, same_session: bool) -> Spent:
    """Propose `calls` calls for each of many customers, one by one with pauses, whose budgets allow all of them or not.

    Args:
        wire: the codec.
        amount: what a call takes of the 10,000 units of its customer.
        calls: how many calls each customer has.
        same_session: whether all calls of a customer come from one session, or each from any.
    """
    rng = Random(7)  # noqa: S311 - repeatable, not secret
    driver = _driver(wire, KEYED)
    makers = [SessionMaker(f"s-{number}") for number in range(SESSIONS)]
    for maker in makers:
        driver.pipe(SESSION.name, maker.key, maker.established(START_MS, expires_ms=START_MS * 2))
    work = [customer for customer in range(CUSTOMERS) for _ in range(calls)]
    rng.shuffle(work)
    for customer in work:
        maker = makers[customer % SESSIONS] if same_session else rng.choice(makers)
        intent = maker.intent(PAY, {"amount": amount, "account": f"c-{customer}"}, driver.clock.now_ms())
        driver.pipe(INTENT.name, maker.key, intent)
        driver.advance(driver.clock.now_ms() + PAUSE_MS)
    verdicts = [read.record for read in driver.read(VERDICT.name)]
    allowed = sum(isinstance(verdict, Verdict) and verdict.outcome.value == "ALLOW" for verdict in verdicts)
    messages = len(driver.read(BUDGET_REQUEST.name)) + len(driver.read(BUDGET_GRANT.name))
    driver.close()
    return Spent(allowed * amount, allowed, messages)


def us_per_request(wire: CodecWire) -> float:
    """CPU time of the budget allocator for a request about a customer that it doesn't know yet."""
    best = float("inf")
    for _ in range(RUNS):
        allocator, state = BudgetAllocator(wire), PartitionState(MemoryStores().open(0))
        requests = []
        for number in range(INTENTS):
            key = keyed('["each","sum","tenant","acme"]', number.to_bytes(16, "big"))
            request = BudgetRequest(
                header=header(f"request {number}", START_MS),
                budget_key=key,
                op=BudgetOp.ASK,
                gate_partition=number % PARTITIONS,
                serial=number + 1,
                window_start=START_MS,
                window_end=START_MS + 86_400_000,
                limit=10_000,
                need=2_000,
                want=2_500,
                keys_max=INTENTS,
            )
            requests.append((request_key(key), request))
        began = time.process_time()
        for key_bytes, request in requests:
            allocator.process(BUDGET_REQUEST.name, key_bytes, request, state, START_MS, START_MS)
            state.keep_record()
        best = min(best, time.process_time() - began)
    return best / INTENTS * 1e6


def main() -> None:
    """Print the tables."""
    wire = CodecWire(Codec(CommittedSchemas.load()))
    print(f"{'us of the gate per intent':<28}{'its tool':>10}{'other tool':>12}")
    for name, kept in RULES.items():
        print(f"{name:<28}{us_per_intent(wire, kept, PAY):>10.1f}{us_per_intent(wire, kept, READ):>12.1f}")
    print()
    print(f"budget of {LIMIT} over {PARTITIONS} partitions, {SESSIONS} sessions")
    print(f"{'amounts':<14}{'favourite':>10}{'at once':>9}{'allowed':>9}{'unused %':>10}{'messages per allowed':>22}")
    for amounts, favourite_share, at_once in (
        ((1,), 0.0, 1),
        ((1,), 0.0, 50),
        ((1,), 0.9, 50),
        ((5, 20, 100), 0.0, 1),
        ((5, 20, 100), 0.0, 50),
        ((5, 20, 100), 0.9, 50),
        ((100, 400), 0.0, 50),
        ((1_000,), 0.0, 50),
    ):
        used = use_up(wire, amounts, favourite_share, at_once)
        unused = 100 * (1 - used.spent / LIMIT)
        shown = ", ".join(map(str, amounts))
        print(
            f"{shown:<14}{favourite_share:>10.0%}{at_once:>9}{used.allowed:>9}{unused:>10.2f}"
            f"{used.messages / used.allowed:>22.2f}"
        )
    print()
    print(f"a budget of 10000 for each of {CUSTOMERS} customers, over {PARTITIONS} partitions, {SESSIONS} sessions")
    print(f"{'amount':<10}{'calls of each':>14}{'sessions':>18}{'allowed':>9}{'fit':>7}{'messages per intent':>21}")
    for amount, calls in ((2_000, 1), (2_000, 4), (2_000, 8), (500, 10), (100, 4), (100, 20)):
        for same_session in (True, False):
            served = serve_customers(wire, amount, calls, same_session)
            fit, sessions = CUSTOMERS * min(calls, 10_000 // amount), "one" if same_session else "any"
            messages = served.messages / (CUSTOMERS * calls)
            print(f"{amount:<10}{calls:>14}{sessions:>18}{served.allowed:>9}{fit:>7}{messages:>21.2f}")
    print(f"us of the allocator for a new customer: {us_per_request(wire):.1f}")


if __name__ == "__main__":
    main()
