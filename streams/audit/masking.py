"""Takes secrets out of texts before they are sealed.

Whoever may read captured content must not get keys and passwords with it, and an erasure that is carried out late must
not leave them behind. So a secret is replaced by the name of its kind. The patterns know keys by the prefixes that
their issuers give them, as the pack `secrets` does, and values by names that say that they are secret. A caller that
has the detectors of the rules adds what they find.

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

_FOUND = "[secret: found]"
_WORD = re.compile(r"[A-Za-z0-9_.+/=%-]+")


class _Form(NamedTuple):
    """What a kind of secret looks like. A pattern is only tried on texts that hold one of its hints, which is fast."""

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


def _form(kind: str, hints: str, pattern: str) -> _Form:
    return _Form(kind, tuple(hints.split()), re.compile(pattern))


_FORMS = (
    _Form(
        "private key",
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[^\"]*?(?:-----END [A-Z0-9 ]{1,60}-----|(?=\")|\Z)"
        ),
    ),
    _form("age key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
    _form("API key", "sk-ant-", r"sk-ant-[a-z0-9]{1,20}-[A-Za-z0-9_-]{20,}"),
    _form("API key", "sk-", r"sk-(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}"),
    _form("API key", "hf_ gsk_ xai-", r"hf_[A-Za-z0-9]{30,}|gsk_[A-Za-z0-9]{40,}|xai-[A-Za-z0-9]{40,}"),
    _form("Vault token", "hvs. hvb. hvr.", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}"),
    _form("AWS key", "AKIA ASIA", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    _form("GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    _form("GitHub token", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{60,}"),
    _form("GitLab token", "glpat-", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    _form("Slack token", "xox", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
    _form("Google key", "AIza", r"\bAIza[A-Za-z0-9_-]{35,}"),
    _form("Stripe key", "k_live_", r"\b[sr]k_live_[A-Za-z0-9]{20,}"),
    _form("package token", "npm_ pypi-", r"\bnpm_[A-Za-z0-9]{36,}|\bpypi-[A-Za-z0-9_-]{50,}"),
    _form("token", "eyJ", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    _form("storage key", "AccountKey=", r"AccountKey=[A-Za-z0-9+/=]{40,}"),
)
_IN_ADDRESS = re.compile(
    r"(\b(?:postgres(?:ql)?|mysql|mariadb|mongodb(?:\+srv)?|rediss?|amqps?|mssql|smtps?|ldaps?|https?|ftp)"
    r"://[^\s/:@\"]{0,200}:)[^\s/@\"]{1,500}(?=@)"
)
_NAMES = (
    "password|passwd|passphrase|secret|secret_?(?:access_?)?key|api_?key|access_?token|refresh_?token|auth_?token"
    "|client_?secret|private_?key"
)
# The value stands behind the end of a name in quotes (JSON), or behind `=`.
_NAMED_JSON = re.compile(rf'((?:{_NAMES})"\s{{0,4}}:\s{{0,4}}")(?:[^"\\]|\\.)+(?=")', re.IGNORECASE)
# In a JSON text, a quotation mark of the value has a backslash, and the one without it ends the text.
_BEFORE_VALUE = r"[ \t]?=[ \t]?(?:\\?[\"'])?"
_VALUE = r"(?:[^\s\"'&;,`\\]|\\[^\s\"']){4,}"
_NAMED_LINE = re.compile(rf"((?:{_NAMES}){_BEFORE_VALUE}){_VALUE}", re.IGNORECASE)
# A variable of a shell or of a file of settings: `DEPLOY_TOKEN=...`. In lower case, the same names often have no secret
# (`page_token`, `sort_key`).
_NAMED_VARIABLE = re.compile(rf"(\b[A-Z][A-Z0-9_]{{0,80}}_(?:TOKEN|KEY|PASS|PWD|CREDENTIALS?){_BEFORE_VALUE}){_VALUE}")
_BEARER = re.compile(r"(\b(?:Bearer|Basic)\s)[A-Za-z0-9._~+/=-]{16,}")
_NAME_HINTS = ("passw", "passphrase", "secret", "key", "token")
_VARIABLE_HINTS = ("_token", "_key", "_pass", "_pwd", "_credential")
_VALUES = (
    (("://",), _IN_ADDRESS),
    (_NAME_HINTS, _NAMED_JSON),
    (_NAME_HINTS, _NAMED_LINE),
    (_VARIABLE_HINTS, _NAMED_VARIABLE),
    (("bearer", "basic"), _BEARER),
)
"""Values that stand behind something else, which stays; with hints in lower case."""


def mask_secrets(text: str, find: FindSecrets | None = None) -> str:
    """Return a text in which each secret is replaced by `[secret: KIND]`.

    Args:
        text: the text; of JSON it stays JSON.
        find: finds further secrets.
    """
    if find is not None:
        text = _without(text, {each for each in find(text) if len(each) >= FOUND_CHARS_MIN})
    lowered = text.lower()
    for kind, hints, pattern in _FORMS:
        if any(hint in text for hint in hints):
            text = pattern.sub(f"[secret: {kind}]", text)
    for hints, pattern in _VALUES:
        if any(hint in lowered for hint in hints):
            text = pattern.sub(_masked_value, text)
    return text


def _without(text: str, found: set[str]) -> str:
    """Return a text without what was found, the longest first.

    Most finds are words of their own. These go in one pass, so that a flood of them costs one pass. The others are
    searched for one by one: texts of several words before that pass, parts of words after it, in what it leaves.
    """
    words = sorted((each for each in found if _WORD.fullmatch(each)), key=len, reverse=True)
    for phrase in sorted(found.difference(words), key=len, reverse=True):
        text = text.replace(phrase, _FOUND)
    text = _WORD.sub(lambda match: _FOUND if match.group() in found else match.group(), text)
    left = text.replace(_FOUND, "\n")
    for word in words:
        if word in left:
            text = text.replace(word, _FOUND)
    return text


def _masked_value(match: re.Match[str]) -> str:
    before, value = match.group(1), match.group()[len(match.group(1)) :]
    # What an earlier pattern has replaced stays as it is. A value that ends before a space has the beginning of that.
    return match.group() if value.startswith("[secret:") else f"{before}[secret: value]"
