"""What a client is told about `authorization_details` that are malformed: the place, and nothing that it has sent."""

from __future__ import annotations

import json

import pytest

from streams.services.sts.authorization_details import parse_details
from streams.services.sts.errors import RefusedError

CANARY = "sk-canary-1234"
TOOL = {"server_id": "mail", "name": "send"}


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({"type": CANARY}, "at the whole"),
        ([{"type": "stoplog_tools", CANARY: 1}], "at 0.*"),
        ([{"type": "stoplog_tools", "tools": CANARY}], "at 0.tools"),
        ([{"type": "stoplog_tools", "tools": [{**TOOL, "name": {CANARY: CANARY}}]}], "at 0.tools.0.name"),
        ([{"type": "stoplog_tools", "tools": [TOOL, {**TOOL, CANARY: 1}]}], "at 0.tools.1.*"),
        (
            [{"type": "stoplog_tools", "tools": [{**TOOL, "constraints": [{"argument": "/to", "type": CANARY}]}]}],
            "at 0.tools.0.constraints.0.type",
        ),
    ],
)
def test_a_fault_is_named_with_its_place_alone(details: object, told: str) -> None:
    with pytest.raises(RefusedError) as caught:
        parse_details(json.dumps(details))
    assert told in caught.value.description
    assert CANARY not in caught.value.description


@pytest.mark.parametrize("text", ["7", '[{"type": "stoplog_tools", "tools": [{"server_id": 7, "name": "send"}]}]'])
def test_a_type_is_never_converted(text: str) -> None:
    with pytest.raises(RefusedError):
        parse_details(text)
