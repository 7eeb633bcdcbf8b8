"""The tools of the talks in which the pack `provenance` is tested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation.records import TRUSTED, UNTRUSTED, tool_entry
from streams.model.catalog import ArgumentRole, ArgumentUse, OutputLabel
from streams.model.labels import Confidentiality, Integrity, Label

READS: Mapping[str, Any] = {"read_only": True, "destructive": False, "open_world": False, "reversible": True}
ACTS: Mapping[str, Any] = {"destructive": False, "open_world": True, "reversible": False, "output_label": TRUSTED}
INNER: Mapping[str, Any] = {"destructive": False, "open_world": False, "reversible": True, "output_label": TRUSTED}
AMOUNT: Mapping[str, Any] = {"type": "object", "properties": {"amount": {"type": "number"}}}
ACTIONS: Mapping[str, Any] = {
    "type": "object",
    "properties": {"action": {"type": "string", "enum": ["move", "cancel"]}, "event": {"type": "string"}},
}
LETTER = tool_entry(
    "box", "open", **READS, output_label=UNTRUSTED, output_labels=(OutputLabel(path="id", label=TRUSTED),)
)
LIST = tool_entry("box", "list", **READS, output_label=UNTRUSTED)
BOOK = tool_entry("book", "find", **READS, output_label=TRUSTED)
RECORD = tool_entry(
    "desk", "show", **READS, output_label=UNTRUSTED, owner_args=("/customer",), output_owners=("customer",)
)
BOOKED: Mapping[str, Any] = {
    "type": "object",
    "properties": {"booking": {"type": "string"}},
    "required": ["booking"],
}
BOOKING = tool_entry("desk", "booking", **READS, output_label=UNTRUSTED, output_owners=("customer",), schema=BOOKED)
CANCEL = tool_entry("desk", "cancel_booking", **ACTS, kind="delete", sink_args=("/booking",))
RETURN = tool_entry("desk", "return", **ACTS, sink_args=("/booking",), schema=BOOKED)
FILE = tool_entry("files", "open", **READS, output_label=UNTRUSTED)
VISIT = tool_entry("page", "visit", **{**READS, "open_world": True}, output_label=UNTRUSTED, sink_args=("/url",))
SEND = tool_entry("box", "send", **ACTS, sink_args=("/to",))
REFUND = tool_entry("desk", "refund", **ACTS, sink_args=("/order",), schema=AMOUNT)
TRAIN = tool_entry("trips", "reserve", **ACTS)
DROP = tool_entry("desk", "update", **INNER, sink_args=("/order",))
SWAP = tool_entry(
    "desk", "swap", **INNER, sink_args=("/order",),
    arg_roles=(ArgumentUse(path="/item", role=ArgumentRole.TARGET),),
)  # fmt: skip
NOTE = tool_entry(
    "desk", "change_order", **INNER, kind="change", sink_args=("/order",),
    arg_roles=(
        ArgumentUse(path="/note", role=ArgumentRole.CONTENT), ArgumentUse(path="/until", role=ArgumentRole.TIME),
    ),
)  # fmt: skip
LUGGAGE = tool_entry("desk", "add_luggage", **INNER, kind="change", sink_args=("/booking",))
BOARD = tool_entry("board", "post", **ACTS)
EVENT = tool_entry(
    "cal", "create_event", **ACTS, arg_roles=(ArgumentUse(path="/title", role=ArgumentRole.CONTENT),)
)  # fmt: skip
BADGE = tool_entry(
    "book", "badge", **READS,
    output_label=Label(
        integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE, readers=("desk@acme.example",)
    ),
)  # fmt: skip
PERSON = tool_entry(
    "book", "person", **READS,
    output_label=Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE),
)  # fmt: skip
PRESS = tool_entry("desk", "laminate", **ACTS)
ROTATE = tool_entry("desk", "rotate_keys", **ACTS, kind="secure")
SECRET = tool_entry("desk", "set_secret", **INNER, sink_args=("/name", "/value"))
HAND_OVER = tool_entry("desk", "escalate", **INNER)
PAY = tool_entry("desk", "pay", **ACTS, sink_args=("/iban",), schema=AMOUNT)
PAY_BACK = tool_entry(
    "desk", "pay_back", **ACTS, kind="pay", sink_args=("/iban",), owner_args=("/customer",), schema=AMOUNT
)  # fmt: skip
CREDIT = tool_entry("desk", "credit", **INNER, kind="pay", sink_args=("/customer",), schema=AMOUNT)
TELL = tool_entry(
    "box", "tell", **ACTS, kind="send", sink_args=("/to",),
    arg_roles=(ArgumentUse(path="/body", role=ArgumentRole.CONTENT),),
)  # fmt: skip
MAIL_TO = tool_entry(
    "box", "mail_to", **ACTS, kind="send", sink_args=("/to",),
    arg_roles=(ArgumentUse(path="/to", role=ArgumentRole.DESTINATION),),
)  # fmt: skip
BOTH = tool_entry("cal", "manage", **ACTS, sink_args=("/event",), schema=ACTIONS)
ENTRIES = (
    CANCEL,
    BOTH,
    TELL,
    MAIL_TO,
    PAY,
    PAY_BACK,
    CREDIT,
    SECRET,
    HAND_OVER,
    ROTATE,
    PRESS,
    LETTER,
    LIST,
    LUGGAGE,
    BOOK,
    RECORD,
    FILE,
    VISIT,
    SEND,
    REFUND,
    TRAIN,
    DROP,
    NOTE,
    SWAP,
    BOARD,
    EVENT,
    BADGE,
    PERSON,
    BOOKING,
    RETURN,
)
ACCOUNT = tool_entry("hr", "set_account", **ACTS, kind="change", sink_args=("/employee", "/iban"))
IBANS = ("DE02300209000106531065", "DE02120300000000202051")
EVIL = "kim@evil.example"
FRIEND = "anna@home.example"
