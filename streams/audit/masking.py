"""Takes secrets out of texts before they are sealed.

Whoever may read captured content must not get keys and passwords with it, and an erasure that is carried out late must
not leave them behind. So a secret is replaced by what it is. The patterns know keys by the prefixes that their issuers
give them, as the pack `secrets` does, and values by names that say that they are secret. A caller that has the
detectors of the rules adds what they find.

In doubt more is taken out: a private key without an end reaches to the next quotation mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

FindSecrets = Callable[[str], Iterable[str]]
"""Returns the secrets that a text holds, each as it stands there."""

FOUND_CHARS_MIN = 6
"""A shorter text that a detector names is not replaced: it could be a part of anything."""

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[^\"]*?(?:-----END [A-Z0-9 ]{1,60}-----|(?=\")|\Z)"
)
_TOKENS = (
    ("age key", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
    ("API key", r"sk-ant-[a-z0-9]{1,20}-[A-Za-z0-9_-]{20,}"),
    ("API key", r"sk-(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}"),
    ("API key", r"hf_[A-Za-z0-9]{30,}|gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{40,}"),
    ("Vault token", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    ("AWS key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{60,}"),
    ("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    ("Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
    ("Google key", r"\bAIza[A-Za-z0-9_-]{35,}"),
    ("Stripe key", r"\b[sr]k_live_[A-Za-z0-9]{20,}"),
    ("package token", r"\bnpm_[A-Za-z0-9]{36,}|\bpypi-[A-Za-z0-9_-]{50,}"),
    ("token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("storage key", r"AccountKey=[A-Za-z0-9+/=]{40,}"),
)
_TOKEN = re.compile("|".join(f"(?:{pattern})" for _, pattern in _TOKENS))
_KINDS = tuple((kind, re.compile(pattern)) for kind, pattern in _TOKENS)
_IN_ADDRESS = re.compile(
    r"(\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|smtps?|ldaps?|https?|ftp)"
    r"://[^\s/:@\"]{0,200}:)[^\s/@\"]{1,500}(?=@)"
)
_NAMES = (
    "password|passwd|passphrase|secret|api_?key|access_?token|refresh_?token|auth_?token|client_?secret|private_?key"
)
# The name stands in quotes (JSON) or at the beginning of a word (`password=...`), the value after it likewise.
_NAMED_JSON = re.compile(
    rf'("[A-Za-z0-9_.-]{{0,40}}(?:{_NAMES})"\s{{0,4}}:\s{{0,4}}")(?:[^"\\]|\\.)+(?=")', re.IGNORECASE
)
_NAMED_LINE = re.compile(rf"(\b[A-Za-z0-9_.-]{{0,40}}(?:{_NAMES})[ \t]?=[ \t]?)[^\s\"'&;,]{{4,}}", re.IGNORECASE)
_BEARER = re.compile(r"(\b(?:Bearer|Basic)\s)[A-Za-z0-9._~+/=-]{16,}")


class Masked(NamedTuple):
    """A text without secrets, and how many were taken out."""

    text: str
    number: int


def mask_secrets(text: str, find: FindSecrets | None = None) -> Masked:
    """Return a text in which each secret is replaced by `[secret: KIND]`.

    Args:
        text: the text; of JSON it stays JSON.
        find: finds further secrets.
    """
    count = 0
    found = sorted({each for each in find(text) if len(each) >= FOUND_CHARS_MIN}, key=len, reverse=True) if find else []
    for secret in found:
        count += text.count(secret)
        text = text.replace(secret, "[secret: found]")
    text, number = _PRIVATE_KEY.subn("[secret: private key]", text)
    count += number
    text, number = _TOKEN.subn(lambda match: f"[secret: {_kind_of(match.group())}]", text)
    count += number
    for pattern in (_IN_ADDRESS, _NAMED_JSON, _NAMED_LINE, _BEARER):
        text, number = pattern.subn(_masked_value, text)
        count += number
    return Masked(text, count)


def _masked_value(match: re.Match[str]) -> str:
    before, value = match.group(1), match.group()[len(match.group(1)) :]
    # What an earlier pattern has replaced stays as it is.
    return match.group() if value.startswith("[secret: ") else f"{before}[secret: value]"


def _kind_of(secret: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(secret)), "key")
