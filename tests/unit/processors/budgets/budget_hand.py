"""What tests of budgets share: calls that count, and the records between a gate and the owner of a shared budget."""

from __future__ import annotations

from simulation.records import SessionMaker
from streams.model.budget import BudgetGrant, BudgetRequest
from streams.model.session import SessionEventType
from streams.model.topics import BUDGET_GRANT, BUDGET_REQUEST, SESSION
from tests.keeping import REFUND, SEND, CountingBench

PERMIT = """
rules:
  - {id: C-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: fine}
  - {id: C-2, effect: deny, match: {tools: ["*"]}, when: has(args.no), reason: asked to}
  - id: C-3
    effect: require_approval
    match: {tools: ["*"]}
    when: has(args.ask)
    approval: {group: finance, ttl: 10m}
    reason: a person must say so
"""


def refund(bench: CountingBench, amount: object, **more: object) -> str:
    return bench.outcome(REFUND, {"amount": amount}, **more)


def send(bench: CountingBench, to: object, **more: object) -> str:
    return bench.outcome(SEND, {"to": to}, **more)


def not_run(bench: CountingBench, intent: object, session: SessionMaker | None = None) -> None:
    maker = session or bench.session
    event = maker.event(SessionEventType.TOOL_NOT_RUN, bench.now_ms, intent_id=intent.intent_id, tool=intent.tool)
    bench.driver.pipe(SESSION.name, maker.key, event)


def requests(bench: CountingBench) -> list[BudgetRequest]:
    return [read.record for read in bench.driver.read(BUDGET_REQUEST.name) if isinstance(read.record, BudgetRequest)]


def grants(bench: CountingBench) -> list[BudgetGrant]:
    return [read.record for read in bench.driver.read(BUDGET_GRANT.name) if isinstance(read.record, BudgetGrant)]
