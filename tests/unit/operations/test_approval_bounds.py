"""What a person writes as the bounds of a grant becomes bounds that gates read alike, or is rejected with a reason."""

from __future__ import annotations

import pytest

from streams.model.approval import GrantScope, PendingCall
from streams.model.types import ToolRef
from streams.operations.approvals.bounds import grant_of, parse_match
from streams.operations.approvals.errors import ApprovalError

CALL = PendingCall(
    intent_id="i-1",
    verdict_id="v-1",
    tool=ToolRef(server_id="bank", name="pay"),
    args_json='{"amount":20,"rush":true,"to":"DE1"}',
    args_digest=bytes(32),
    expires_at=1,
)


def bounds(*texts: str) -> dict[str, tuple[str, str]]:
    grant = grant_of([CALL], GrantScope.TASK, [parse_match(text) for text in texts])
    (tool,) = grant.tools
    return {each.argument: (each.type.value, each.value_json) for each in tool.constraints}


def test_bounds_that_are_stated_replace_what_was_shown() -> None:
    assert bounds("amount<=99.5", "rush=false") == {
        "/amount": ("RANGE", '{"max":99.5,"min":0}'),
        "/rush": ("EXACT", "false"),
        "/to": ("EXACT", '"DE1"'),
    }


@pytest.mark.parametrize(
    "text",
    [
        "amount<=1e999",
        "amount<=NaN",
        "amount<=Infinity",
        "amount<=99999999999999999999",
        "amount<=true",
        "amount=1e999",
        "amount=NaN",
        "amount=99999999999999999999",
        'rush={"a":1,"a":2}',
        "rush=" + "[" * 900,
        'rush="\\ud800"',
    ],
)
def test_a_bound_that_parsers_read_differently_is_rejected(text: str) -> None:
    with pytest.raises(ApprovalError, match=r"must be a number|write it as JSON"):
        bounds(text)
