"""What tests of what outlives a session share: tools that read mails, send one, write a note and read notes."""

from __future__ import annotations

from simulation.records import TRUSTED, UNTRUSTED, tool_entry

MAILS = tool_entry("post", "open", read_only=True, output_label=UNTRUSTED)
SEND = tool_entry("post", "send", open_world=True, sink_args=("/to",))
NOTE = tool_entry("memo", "write")
NOTES = tool_entry("memo", "read", read_only=True, output_label=TRUSTED)
