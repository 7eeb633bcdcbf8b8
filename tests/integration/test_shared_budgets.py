"""Budgets that sessions on all partitions share, on a real broker with gates that die: never more than their limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streams.model.reasons import Reason
from tests.integration.deployment import PARTITIONS, WAIT_S, Deployment, Verdicts

pytestmark = pytest.mark.broker

LIMIT = 300
SESSIONS = 24
ROUNDS_MAX = 100
# A gate that was killed keeps its partitions until its session at the broker times out.
FINISH_S = 2 * WAIT_S
PERMITTED = Reason.PERMITTED.value
EXHAUSTED = Reason.BUDGET_EXHAUSTED.value
UNAVAILABLE = Reason.BUDGET_UNAVAILABLE.value
KEYS = 3
PER_USER = f"per: user, limit: {LIMIT}"
PER_KEY = f"per: tenant, key: args.number % {KEYS}, limit: {LIMIT // KEYS}"


BUNDLE = 'apiVersion: rules/v1\nbundle: bank\nversion: "1"\nmode: enforce\nowners: [test]\npacks: [pay]\n'


def rules(budget: str) -> dict[str, str]:
    return {
        "bundle.yaml": BUNDLE,
        "pay/pay.rules.yaml": f"""apiVersion: rules/v1
pack: pay
budgets:
  payments: {{{budget}, measure: calls, match: {{tools: [bank.pay]}}, window: 31d}}
rules:
  - id: PAY-001
    effect: permit
    match: {{tools: [bank.pay]}}
    when: "true"
    reason: payments are permitted
""",
    }


@pytest.fixture(params=[PER_USER, PER_KEY], ids=["of a user", "of each key"])
def deployment(request: pytest.FixtureRequest, kafka_bootstrap: str, tmp_path: Path) -> Iterator[Deployment]:
    with closing(Deployment(tmp_path, kafka_bootstrap)) as made:
        made.prepare(rules(request.param))
        yield made


def test_gates_that_die_never_let_through_more_than_the_limit_and_lose_nothing(deployment: Deployment) -> None:
    sessions = deployment.open_sessions(SESSIONS)
    first, second = deployment.gate("gate-1"), deployment.gate("gate-2")
    first.wait_serving(PARTITIONS // 2)
    second.wait_serving(PARTITIONS // 2)
    reasons: Counter[str] = Counter()
    killed = False
    refused_rounds = 0
    with closing(Verdicts(deployment)) as verdicts:
        for round_no in range(ROUNDS_MAX):
            sent = [deployment.pay(session, round_no) for session in sessions]
            deployment.flush()
            if not killed and reasons[PERMITTED] > LIMIT // 3:
                # With intents under way: some of them wait for their slices.
                killed = True
                first.kill()
                deployment.gate("gate-3").wait_serving(PARTITIONS // 2)
            found = Counter(verdict.reason for verdict in verdicts.wait_for(sent, FINISH_S))
            reasons += found
            # The calls of a round have one key, and the rounds take turns.
            refused_rounds = refused_rounds + 1 if found[EXHAUSTED] == SESSIONS else 0
            if refused_rounds == KEYS:
                break
        assert all(len(each) == 1 for each in verdicts.final.values())
    assert killed
    # What a gate had been given when it died comes back with its partitions, so nothing is lost for good; and where the
    # owner of the budget is away, calls are denied, not let through.
    assert reasons[PERMITTED] == LIMIT, reasons
    assert set(reasons) <= {PERMITTED, EXHAUSTED, UNAVAILABLE}
    assert refused_rounds == KEYS
