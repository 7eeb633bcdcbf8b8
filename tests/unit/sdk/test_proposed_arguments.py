"""Arguments of another form than a mapping, as clients of models hand them over: refused, with what to do."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from streams.model.topics import INTENT
from streams.sdk import Agent, DevTokenService, ProposalError
from streams.sdk.connection.transport import Transport
from tests.unit.sdk.hands import ACTOR, raw_records


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ('{"to": "bob@example.com"}', r"not a `str`; parse the JSON that the model wrote: `json.loads\(...\)`"),
        (b"{}", r"not a `bytes`; parse the JSON"),
        ([("to", "bob@example.com")], r"not a `list`$"),
        (None, r"not a `NoneType`$"),
        ({"on": [date(2026, 1, 2)]}, r"can't be sent: `/on/0` is a `date`, which JSON does not have$"),
        ({"a": {1: "x"}}, r"can't be sent: a name in `/a` is a `int`, not a text$"),
        ({"n": float("nan")}, r"can't be sent: no canonical JSON form: a number is beyond"),
    ],
)
def test_arguments_are_a_mapping(transport: Transport, tokens: DevTokenService, args: Any, told: str) -> None:
    credential = tokens.open_session("alice", ACTOR, ("mail:send",))
    with Agent(transport, credential) as agent, pytest.raises(ProposalError, match=told):
        agent.propose("mail/send", args)
    assert raw_records(transport, INTENT) == []
