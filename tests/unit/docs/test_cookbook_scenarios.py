"""The cookbook's recipes that look back or outside, as scenarios: the real gate runs them as they stand on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.operations.scenarios.run import run_scenarios
from streams.wiring.codecs import build_offline_codec
from tests.unit.docs.test_cookbook import HEAD, PERMIT, RECIPES

TOOLS = ("ci.test", "repo.edit", "deploy.start", "filesystem.read_file", "filesystem.write_file", "pay.lookup",
         "pay.refund", "mail.send")  # fmt: skip
SCENARIOS = {
    "21": """
      - {call: deploy.start, as: too soon, expect: deny}
      - {call: ci.test, expect: allow}
      - {call: deploy.start, as: not yet, expect: deny}
      - {result: ci.test}
      - {call: deploy.start, as: tested, expect: allow}
      - {call: ci.test, as: under way, expect: allow}
      - {call: repo.edit, expect: allow}
      - {result: under way}
      - {call: deploy.start, as: edited, expect: deny}
      - {call: ci.test, as: again, expect: allow}
      - {result: again, error: true}
      - {call: deploy.start, as: failed, expect: deny}
""",
    "22": """
      - {call: filesystem.write_file, as: blind, args: {path: a}, expect: deny}
      - {call: filesystem.read_file, as: read a, args: {path: a}, expect: allow}
      - {result: read a}
      - {call: filesystem.write_file, as: other, args: {path: b}, expect: deny}
      - {call: filesystem.write_file, as: first, args: {path: a}, expect: allow}
      - {call: filesystem.write_file, as: second, args: {path: a}, expect: deny}
""",
    "23": """
      - {call: pay.refund, as: at once, args: {order: o-1}, expect: deny}
      - {call: pay.lookup, args: {order: o-1}, expect: allow}
      - {call: pay.refund, as: other, args: {order: o-2}, expect: deny}
      - {call: pay.refund, as: right, args: {order: o-1}, expect: allow}
      - {call: pay.refund, as: twice, args: {order: o-1}, expect: deny}
      - {call: pay.lookup, as: again, args: {order: o-1}, expect: allow}
      - {call: mail.send, expect: allow}
      - {call: pay.refund, as: late, args: {order: o-1}, expect: deny}
""",
    "25": """
      - {call: pay.refund, as: nobody, args: {customer_id: c-1, amount: 5}, expect: {verdict: deny,
         errors: [CUSTOMER-001, CUSTOMER-002]}}
      - record: {record: attributes, key: TENANT|customer/c-1, value: {attributes: {blocked: false, refund_limit: 100}}}
      - {call: pay.refund, as: small, args: {customer_id: c-1, amount: 5}, expect: allow}
      - {call: pay.refund, as: large, args: {customer_id: c-1, amount: 101}, expect: {verdict: deny, rules: [ALL-1,
         CUSTOMER-001]}}
      - record: {record: attributes, key: TENANT|customer/c-1, value: {attributes: {blocked: true, refund_limit: 100}}}
      - {call: pay.refund, as: blocked, args: {customer_id: c-1, amount: 5}, expect: deny}
""",
}


@pytest.mark.parametrize("number", SCENARIOS)
def test_a_recipe_runs_as_a_scenario(tmp_path: Path, number: str) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "bundle.yaml").write_text(HEAD)
    (tmp_path / "p" / "p.rules.yaml").write_text(f"apiVersion: rules/v1\npack: p\n{RECIPES[number].text}{PERMIT}")
    tools = "".join(f"  {tool}: {{open_world: false, output: trusted public}}\n" for tool in TOOLS)
    text = f"tools:\n{tools}sessions:\n  desk: {{}}\nscenarios:\n  - name: one\n    steps:{SCENARIOS[number]}"
    (tmp_path / "p" / "p.scenarios.yaml").write_text(text.replace("TENANT", "acme"))
    report = run_scenarios(tmp_path, build_offline_codec())
    assert [str(finding) for finding in report.findings] == []
    assert [str(failure) for failure in report.failures] == []
    assert len(report.results) == 1
