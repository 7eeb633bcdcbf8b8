"""What the operator of the demonstration states about the tools: the review that allows listed tools to be called."""

from __future__ import annotations

from collections.abc import Mapping

from streams.model.labels import Confidentiality, Integrity, Label
from streams.sdk.mcp.tools import ToolFacts

GIT = "git"
MAIL = "mail"
READER_SCOPES = ("git:read", "mail:read", "mail:send")
WRITER_SCOPES = (*READER_SCOPES, "git:write")

_OURS = Label(integrity=Integrity.TRUSTED, confidentiality=Confidentiality.PRIVATE)
# Every contributor can write the content of a repository, and anybody can send mail.
_ANYBODYS = Label(integrity=Integrity.UNTRUSTED, confidentiality=Confidentiality.PRIVATE)

_READS = ToolFacts(
    read_only=True, destructive=False, idempotent=True, open_world=False, reversible=True, output_label=_ANYBODYS
)
_GIT_CHANGES = ToolFacts(
    destructive=False, open_world=False, reversible=True, output_label=_OURS, sink_args=("/branch_name",)
)

FACTS: Mapping[str, Mapping[str, ToolFacts]] = {
    GIT: {
        # Its answer names branches and files of the working tree, which only people who work here have made.
        "git_status": ToolFacts(
            read_only=True, destructive=False, idempotent=True, open_world=False, reversible=True, output_label=_OURS
        ),
        "git_log": _READS,
        "git_show": _READS,
        "git_diff": _READS,
        "git_diff_staged": _READS,
        "git_diff_unstaged": _READS,
        "git_branch": _READS,
        "git_add": _GIT_CHANGES,
        "git_create_branch": _GIT_CHANGES,
        "git_commit": _GIT_CHANGES,
        "git_checkout": _GIT_CHANGES,
        # `git_reset` has no facts: it stays PROPOSED, and nobody can call it.
    },
    MAIL: {
        "send": ToolFacts(
            destructive=False, open_world=True, reversible=False, output_label=_OURS, sink_args=("/to", "/cc")
        ),
        "list": _READS,
        "read": _READS,
    },
}
"""Facts by server and tool. Tools without facts are listed but not approved."""
