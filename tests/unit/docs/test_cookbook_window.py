"""The cookbook's cancel window in a real gate: only what can't be undone waits, and only once others have had a say."""

from __future__ import annotations

from simulation.records import tool_entry
from streams.model.approval import ApprovalStatus
from streams.model.reasons import Reason
from streams.model.topics import APPROVAL_DECISION
from streams.model.verdict import Outcome
from tests.kit import MINUTE_MS
from tests.unit.docs.test_cookbook import HEAD, PERMIT, RECIPES
from tests.unit.processors.provenance_pack.tools import ACTS, LETTER
from tests.unit.processors.talk import Talk

PAY = tool_entry("bank", "pay", **ACTS, sink_args=("/account",))
UNDONE = tool_entry("bank", "pay_later", **{**ACTS, "reversible": True}, sink_args=("/account",))
ACCOUNT = {"account": "DE02300209000106531065"}


def test_an_irreversible_act_waits_and_can_be_cancelled() -> None:
    files = {"bundle.yaml": HEAD.replace("bundle: b", "bundle: default"), "p/p.rules.yaml": ""}
    files["p/p.rules.yaml"] = f"apiVersion: rules/v1\npack: p\n{RECIPES['27'].text}{PERMIT}"
    talk = Talk(files, (PAY, UNDONE, LETTER))
    talk.say(f"Pay {ACCOUNT['account']}.")
    assert talk.judge(PAY, ACCOUNT).outcome is Outcome.ALLOW, "nobody else has had a say"
    talk.read(LETTER, {"id": "m-7001"}, {"id": "m-7001", "text": "Nothing."})
    assert talk.judge(UNDONE, ACCOUNT).outcome is Outcome.ALLOW
    assert talk.judge(PAY, ACCOUNT).outcome is Outcome.DEFER
    talk.wait(10 * MINUTE_MS)
    assert talk.verdict().outcome is Outcome.ALLOW
    intent = talk.propose(PAY, ACCOUNT)
    assert talk.verdict().outcome is Outcome.DEFER
    decision = talk.session.decision(intent, "ben", talk.now_ms, status=ApprovalStatus.CANCELLED)
    talk.driver.pipe(APPROVAL_DECISION.name, talk.session.key, decision)
    assert talk.verdict().reason == Reason.DEFERRAL_CANCELLED
