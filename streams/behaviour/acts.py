"""What a tool does with what it is about, as far as its name says: whether it only reads, or only prepares a message.

Detectors don't see the catalog (ADR 0095), so names decide, as they do for the roles of arguments. Tools are reviewed
before anybody can call them, so an attacker does not choose their names. A name that says nothing counts as an act.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from math import inf

TOOLS_CACHED_MAX = 4_096
READ_BYTES_MAX = 400
"""The largest arguments of a call that only asks for something. A longer address or query may carry data away."""
_READING = frozenset(
    {
        "browse", "check", "count", "describe", "download", "fetch", "find", "get", "inspect", "list", "lookup", "peek",
        "preview", "query", "read", "recall", "retrieve", "search", "select", "show", "tail", "track", "view",
    }
)  # fmt: skip
_STATES = frozenset({"history", "info", "state", "status"})
"""What a tool is called that has no verb: `job_status`."""
_PROGRESS = frozenset(
    {
        "build", "builds", "deploy", "deployment", "health", "job", "jobs", "pipeline", "poll", "progress", "queue",
        "run", "runs", "state", "status", "task", "tasks", "tracking", "workflow",
    }
)  # fmt: skip
"""What somebody waits for changes by itself. A record that is read again and again does not."""
_ACTING = frozenset(
    {
        "add", "adjust", "append", "apply", "approve", "assign", "attach", "authorize", "ban", "block", "broadcast",
        "cancel", "change", "clear", "clone", "close", "create", "del", "delete", "deliver", "deploy", "destroy",
        "disable", "dispatch", "drop", "edit", "enable", "erase", "exec", "execute", "forward", "generate", "grant",
        "increment", "insert", "install", "into", "invite", "invoke", "kill", "launch", "lock", "mark", "migrate",
        "modify", "move", "notify", "open", "out", "overwrite", "patch", "pay", "post", "provision", "publish", "purge",
        "push", "put", "register", "reject", "remove", "rename", "replace", "reply", "reset", "restart", "restore",
        "resume", "revoke", "rewrite", "rollback", "rotate", "run", "save", "send", "set", "share", "start", "stop",
        "store", "submit", "subscribe", "suspend", "sync", "terminate", "toggle", "transfer", "unlock", "unsubscribe",
        "update", "upload", "upsert", "wipe", "withdraw", "write",
    }
)  # fmt: skip
"""Words that say that a tool does more than its other words: `set_status`, `check_out`. No nouns: `get_order` reads."""
_NAMING = frozenset({"describe", "get", "inspect", "list", "read", "show", "view"})
_NAMED = frozenset({"deploy", "invite", "patch", "post", "push", "reply", "run", "share", "sync", "transfer"})
"""Words that are things as well, as the last of a name that begins with one of `_NAMING`: `get_run` runs nothing."""
_FURTHER = frozenset({"and", "or", "then"})
"""What a further verb follows on: `search_and_buy`. If that does not read, the tool does more than to read."""
_SECRETS = frozenset(
    {"secret", "secrets", "vault", "credential", "credentials", "password", "passwords", "token", "tokens", "keys"}
)
_NAMES_OF_SECRETS = re.compile(
    r"""
    (?:^|[/\\]) \. (?:env|ssh|aws|gnupg|kube|netrc|npmrc|pypirc|pgpass|htpasswd|git-credentials) (?![a-z])
    | (?<![a-z]) id_(?:rsa|dsa|ecdsa|ed25519)
    | \.(?:pem|key|ppk|p12|pfx|jks|kdbx|keystore) $
    | secret(?!ar) | credential | credencial | zugangsdaten
    | passw | kennwort | contrase[nñ]a | mot[_\ -]?de[_\ -]?passe
    | (?:api|access|private|signing|ssh)[_\ -]?key(?!board)
    | vault | bitwarden | keepass | lastpass | keychain | ^ssm\.
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What keys and passwords are called, and the files and the stores in which they are."""
_SOURCES = re.compile(
    r"\.(?:c|cc|cpp|cs|css|go|html?|java|jsx?|kt|md|php|py|rb|rs|rst|scala|swift|tsx?|vue)$", re.IGNORECASE
)
"""The ends of files that are about secrets, as the form for a new password is, and hold none."""
_DESTROYING = frozenset({"clear", "del", "delete", "destroy", "drop", "erase", "purge", "remove", "truncate", "wipe"})
_ACCESS = frozenset(
    {
        "access", "acl", "authorize", "collaborator", "grant", "invite", "member", "membership", "permission",
        "permissions", "privilege", "role", "roles", "share",
    }
)  # fmt: skip
_MAKING = frozenset({"add", "attach", "create", "generate", "issue", "provision", "register"})
_MADE = frozenset({"account", "credential", "credentials", "key", "keys", "policy", "token", "tokens", "user", "users"})
"""`_ACCESS`: words of tools that give somebody access. So does a tool that makes (`_MAKING`) one of these (`_MADE`)."""
_DRAFT = frozenset({"draft", "drafts"})
_SENDING = frozenset(
    {
        "accept", "approve", "complete", "confirm", "deliver", "dispatch", "execute", "finalize", "forward", "merge",
        "pay", "post", "publish", "pull", "push", "release", "schedule", "send", "share", "submit", "transfer",
        "transmit", "upload",
    }
)  # fmt: skip
"""What makes more of a draft than a draft. A draft of a pull request is published."""
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@lru_cache(maxsize=TOOLS_CACHED_MAX)
def only_reads(tool: str) -> bool:
    """Return whether a tool (`server.name`) only reads: its name begins with a verb for that, and has none for more."""
    words = _words_of(tool)
    if not words or not (words[0] in _READING or words[-1] in _STATES):
        return False
    further = [word for before, word in pairwise(words) if before in _FURTHER]
    return not _acts(words) and _READING.issuperset(further)


@lru_cache(maxsize=TOOLS_CACHED_MAX)
def asks_for_state(tool: str) -> bool:
    """Return whether the name of a tool (`server.name`) says that it asks how far something is."""
    return not _PROGRESS.isdisjoint(word.lower() for word in _WORDS.findall(tool))


@lru_cache(maxsize=TOOLS_CACHED_MAX)
def is_of_secrets(tool: str) -> bool:
    """Return whether a tool (`server.name`) is about keys and passwords."""
    return not _SECRETS.isdisjoint(word.lower() for word in _WORDS.findall(tool))


def may_hold_secrets(tool: str, thing: str) -> bool:
    """Return whether a call is about keys and passwords, as far as the name of its tool or of its object says.

    Args:
        tool: the tool (`server.name`).
        thing: what the call is about, such as the path of a file; empty if that is not known.
    """
    if is_of_secrets(tool) or _NAMES_OF_SECRETS.search(tool):
        return True
    return bool(_NAMES_OF_SECRETS.search(thing)) and not _SOURCES.search(thing)


@lru_cache(maxsize=TOOLS_CACHED_MAX)
def only_writes(tool: str) -> bool:
    """Return whether the name of a tool (`server.name`) says that it acts, and nothing worse: it neither destroys, nor
    gives access, nor is about secrets."""
    return changes(tool) and not is_of_secrets(tool)


@lru_cache(maxsize=TOOLS_CACHED_MAX)
def changes(tool: str) -> bool:
    """Return whether the name of a tool (`server.name`) says that it acts, but neither destroys nor gives access."""
    words = _words_of(tool)
    if not _acts(words):
        return False
    makes_access = not (_MAKING.isdisjoint(words) or _MADE.isdisjoint(words))
    return not makes_access and _DESTROYING.isdisjoint(words) and _ACCESS.isdisjoint(words)


@lru_cache(maxsize=TOOLS_CACHED_MAX)
def destroys(tool: str) -> bool:
    """Return whether the name of a tool (`server.name`) says that it deletes something or cuts it short."""
    return not _DESTROYING.isdisjoint(_words_of(tool))


@lru_cache(maxsize=TOOLS_CACHED_MAX)
def is_grave(tool: str) -> bool:
    """Return whether the name of a tool (`server.name`) says that it acts, and destroys or gives access, or that it is
    about secrets."""
    return is_of_secrets(tool) or (_acts(_words_of(tool)) and not changes(tool))


def only_prepares(tool: str) -> bool:
    """Return whether a tool (`server.name`) makes a draft that somebody else has to send."""
    words = _words_of(tool)
    return not _DRAFT.isdisjoint(words) and _SENDING.isdisjoint(words)


@lru_cache(maxsize=TOOLS_CACHED_MAX)
def sends_from(tool: str) -> float:
    """Return how large the arguments of a call of a tool (`server.name`) that names a destination have to be, in bytes,
    for it to bring data there."""
    if only_prepares(tool):
        return inf
    return READ_BYTES_MAX + 1 if only_reads(tool) else 0


def may_send(tool: str, size_bytes: int) -> bool:
    """Return whether a call of a tool (`server.name`) that names a destination may bring data there.

    Args:
        tool: the tool.
        size_bytes: how large the arguments are.
    """
    return size_bytes >= sends_from(tool)


def _acts(words: tuple[str, ...]) -> bool:
    is_named = words[:1] and words[0] in _NAMING and words[-1] in _NAMED and _FURTHER.isdisjoint(words)
    return not _ACTING.isdisjoint(words[:-1] if is_named else words)


def _words_of(tool: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORDS.findall(tool.rpartition(".")[2]))
