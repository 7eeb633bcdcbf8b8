"""The outcomes that case files and attack files can expect of a call."""

from __future__ import annotations

from enum import StrEnum


class ExpectedVerdict(StrEnum):
    """An outcome, as case files write it."""

    ALLOW = "allow"
    DENY = "deny"
    QUARANTINE = "quarantine"
    REQUIRE_APPROVAL = "require_approval"
    DEFER = "defer"
