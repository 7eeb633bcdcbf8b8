"""What an epoch is made of: the version of an agent's behaviour, as the model, the tools, the prompt and the agent say.

An epoch is a text, because it is part of keys. Its parts are joined with `/`. Model and version are texts that agents
choose, and they may contain `/`; the two digests between them have forms of their own and tell the parts apart.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

DIGEST_CHARS = 16
"""Hex digits of a digest in an epoch."""
PROMPT_MARK = "prompt:"
EPOCHS_CACHED_MAX = 1_024
"""Epochs that are remembered with their parts: agents have few, and each decision asks."""

_DIGEST = rf"[0-9a-f]{{{DIGEST_CHARS}}}\Z"
_TOOLSET = re.compile(_DIGEST)
_PROMPT = re.compile(PROMPT_MARK + _DIGEST)
_WORDS = {"prompt": "system prompt"}


class EpochParts(NamedTuple):
    """What an epoch is made of; empty if unknown.

    Attributes:
        model: provider, name and version of the model.
        toolset: a digest of the tools.
        version: the version that the agent states.
        prompt: a keyed digest of the system prompt.
    """

    model: str
    toolset: str
    version: str
    prompt: str = ""


@lru_cache(maxsize=EPOCHS_CACHED_MAX)
def epoch_of(model: str, toolset: bytes | None, prompt: bytes | None, version: str) -> str:
    """Return an epoch.

    Args:
        model: what names the model; empty if unknown.
        toolset: the digest of the toolset, if it is stated.
        prompt: the fingerprint of the system prompt, if one is stated.
        version: what the agent states as its version; empty if it states none.
    """
    digests = (
        "" if toolset is None else toolset.hex()[:DIGEST_CHARS],
        "" if prompt is None else PROMPT_MARK + prompt.hex()[:DIGEST_CHARS],
    )
    return "/".join(part for part in (model, *digests, version) if part)


@lru_cache(maxsize=EPOCHS_CACHED_MAX)
def epoch_parts(epoch: str) -> EpochParts:
    """Return what an epoch is made of. Without a digest, all of it counts as the model."""
    parts = epoch.split("/") if epoch else []
    at = next((number for number, part in enumerate(parts) if _TOOLSET.match(part) or _PROMPT.match(part)), None)
    if at is None:
        return EpochParts("/".join(parts), "", "")
    model, rest, toolset, prompt = "/".join(parts[:at]), parts[at:], "", ""
    if _TOOLSET.match(rest[0]):
        toolset, *rest = rest
    if rest and _PROMPT.match(rest[0]):
        prompt, *rest = rest
    return EpochParts(model, toolset, "/".join(rest), prompt.removeprefix(PROMPT_MARK))


def without_prompt(epoch: str) -> str:
    """Return an epoch without its prompt."""
    parts = epoch_parts(epoch)
    return "/".join(part for part in (parts.model, parts.toolset, parts.version) if part)


def changed_parts(before: str, now: str) -> str:
    """Return what of an epoch has changed, in words: `the model changed from A to B`.

    Args:
        before: the epoch before.
        now: the epoch after it.
    """
    old, new = epoch_parts(before), epoch_parts(now)
    found = [_part(name, getattr(old, name), getattr(new, name)) for name in EpochParts._fields]
    return " and ".join(filter(None, found)) or "the epoch changed"


def _part(name: str, old: str, new: str) -> str:
    if old == new:
        return ""
    what = f"the {_WORDS.get(name, name)}"
    if name == "prompt" and not (old and new):
        return f"{what} became {'known' if new else 'unknown'}"
    if name in ("toolset", "prompt"):
        return f"{what} changed"
    if not old or not new:
        return f"{what} became {new or 'unknown'}"
    return f"{what} changed from {old} to {new}"
