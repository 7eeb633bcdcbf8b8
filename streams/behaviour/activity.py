"""What detectors are told about one proposed call: names, digests and measures, never its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from operator import attrgetter
from struct import Struct
from types import MappingProxyType

import msgspec

DIGEST_BYTES = 8
KEYS_CACHED_MAX = 16_384
CALLS_CACHED_MAX = 64
"""Equal calls mostly follow on each other, and others hardly ever come again."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
KEPT_DAYS = 45
"""For how long what is usual for an agent is remembered after its last use: the rows of watches, and what they have
published of it. So no history, window or latch of a declaration is longer."""

BATCH_FROM = 12
"""After how many calls a session with one tool or two is a batch."""

LEARNABLE = "ALLOW"
"""The only outcome that baselines learn from. What was denied or quarantined did not happen."""
REFUSED = ("DENY", "QUARANTINE")
"""The outcomes of calls that are not made, whatever anybody approves."""


class Activity(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """One decision of the gate as behaviour sees it.

    Attributes:
        event_id: the audit record that it comes from.
        time_ms: when the gate decided.
        agent: who acts; `epoch` tells versions of its behaviour apart, `cohort` names agents that do alike work.
        instance: the running copy of the agent; empty if unknown.
        root: the first grant of the delegation chain; empty without one. `depth` counts its grants.
        delegator: the agent of all sessions that the session descends from; empty if there is none, or more than one.
        tool: server and name, `server.name`.
        outcome: the verdict, and `reason` its code.
        call: a digest of tool and arguments: equal calls are equal here.
        destination: where data goes, such as a domain; None if the tool has none.
        object: what the call is about, such as a record, a file or a secret.
        owner: whose the object is.
        amount: what the call costs or moves.
        size_bytes: how large the arguments are.
        is_trusted: whether the session has read only trusted data so far.
        previous_tool: the tool of the call before it in the session, and `before_tool` that of the one before that.
        is_answer: whether it brings data somewhere about something that the session has looked at before.
        is_batch: whether the session has made a dozen calls before it, and has used no more than two tools with it.
    """

    event_id: str
    time_ms: int
    tenant: str = ""
    agent: str
    epoch: str = ""
    cohort: str = ""
    session: str
    instance: str = ""
    user: str = ""
    root: str = ""
    depth: int = 0
    delegator: str = ""
    tool: str
    outcome: str = LEARNABLE
    reason: str = ""
    call: str = ""
    destination: str | None = None
    object: str | None = None
    owner: str | None = None
    amount: float | None = None
    size_bytes: int = 0
    is_trusted: bool = True
    previous_tool: str = ""
    before_tool: str = ""
    is_answer: bool = False
    is_batch: bool = False


def _part_of(hour: int) -> str:
    """Return the six-hour part of the day (UTC) of an hour since 1970, apart for weekends."""
    # 1970-01-01 was a Thursday, day 3 of its week.
    is_weekend = (hour // 24 + 3) % 7 >= 5
    return f"{'weekend' if is_weekend else 'weekday'} {hour % 24 // 6 * 6:02d}:00"


_HOURS_PER_WEEK = 7 * 24
_PARTS = tuple(map(_part_of, range(_HOURS_PER_WEEK)))


def _hour(activity: Activity) -> str:
    return _PARTS[activity.time_ms // HOUR_MS % _HOURS_PER_WEEK]


# They are asked of each decision, and `attrgetter` is faster than a function.
FIELDS: Mapping[str, Callable[[Activity], str | None]] = MappingProxyType(
    {
        "tenant": attrgetter("tenant"),
        "agent.id": attrgetter("agent"),
        "agent.epoch": attrgetter("epoch"),
        "agent.type": attrgetter("cohort"),
        "agent.instance": lambda a: a.instance or None,
        "session.id": attrgetter("session"),
        "user.id": lambda a: a.user or None,
        "delegation.root": lambda a: a.root or None,
        "tool.name": attrgetter("tool"),
        "verdict.outcome": attrgetter("outcome"),
        "verdict.reason": attrgetter("reason"),
        "call.digest": lambda a: a.call or None,
        "dest.domain": attrgetter("destination"),
        "object.id": attrgetter("object"),
        "object.owner": attrgetter("owner"),
        "time.part": _hour,
        "session.trust": lambda a: "trusted" if a.is_trusted else "untrusted",
    }
)
"""What declarations may use as keys, peers and terms."""

ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "tenant": "tenant",
        "agent.id": "agent",
        "agent.epoch": "epoch",
        "agent.type": "cohort",
        "agent.instance": "instance",
        "session.id": "session",
        "user.id": "user",
        "delegation.root": "root",
        "tool.name": "tool",
        "verdict.outcome": "outcome",
        "verdict.reason": "reason",
        "call.digest": "call",
        "dest.domain": "destination",
        "object.id": "object",
        "object.owner": "owner",
        "session.trust": "is_trusted",
    }
)
"""The attribute of an activity that is the value of each field; the part of the day has none."""

MEASURES: Mapping[str, Callable[[Activity], float | None]] = MappingProxyType(
    {
        "call.amount": attrgetter("amount"),
        "call.bytes": lambda a: float(a.size_bytes),
        "delegation.depth": lambda a: float(a.depth),
    }
)
"""What declarations may use as values."""


_OF_TEXTS, _OF_KEYS = blake2b(digest_size=DIGEST_BYTES), blake2b(digest_size=2 * DIGEST_BYTES)
"""Copies of these are made in less time than new ones."""
_number_in = Struct(">Q").unpack
"""Reads a digest of `DIGEST_BYTES` in less time than `int.from_bytes`."""


@lru_cache(maxsize=KEYS_CACHED_MAX)
def row_key(name: str, values: tuple[str, ...]) -> bytes:
    """Return the key of a row: the name of what keeps it, NUL, and a digest of the values.

    Values are chosen by strangers. Each is preceded by its length, so different values have different keys.
    """
    parts = "\x00".join([f"{len(value)}\x00{value}" for value in values])
    digest = _OF_KEYS.copy()
    digest.update(parts.encode("utf-8", "surrogatepass"))
    return name.encode() + b"\x00" + digest.digest()


def digest_once(text: str) -> int:
    """Return a digest of a text that fits into a signed 64-bit integer, of a text that hardly comes again."""
    digest = _OF_TEXTS.copy()
    digest.update(text.encode("utf-8", "surrogatepass"))
    number: int = _number_in(digest.digest())[0]
    return number >> 1


digest_of = lru_cache(maxsize=KEYS_CACHED_MAX)(digest_once)
"""The same of texts that come again and again, as names of tools and agents do: digests are remembered."""
digest_of_call = lru_cache(maxsize=CALLS_CACHED_MAX)(digest_once)
"""The same of calls: several detectors ask for the digest of one, one after the other."""
