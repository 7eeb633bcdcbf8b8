"""The facts that conditions can use: the join of an intent with everything that the gate knows about it.

The declaration below, with those of `provenance_facts`, is the only one. The type checker, the gate's builder of facts,
the validation of test fixtures and the reference pages all read it. Facts are plain nested dicts with these names. An
optional field that is not known is left out, never None; a rule that reads it without `has()` is in error, which fails
closed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from streams.policy.language.fact_types import (
    Field,
    Kind,
    ListOf,
    MapOf,
    Struct,
    flag,
    number,
    text,
    texts,
    type_name,
    word,
)
from streams.policy.language.provenance_facts import ACT, FLOW, ORIGIN, OWNER, READ, SCOPE

RESERVED_WORDS = frozenset(
    (
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let"),
        *("loop", "namespace", "null", "package", "return", "true", "var", "void", "while"),
    )
)
"""The reserved words of CEL's grammar: none of them can be the name of a field."""

MS_PER_MINUTE = 60_000
MINUTES_PER_DAY = 1_440


_TRUST = ("trusted", "untrusted")
_CONFIDENTIALITY = ("public", "private", "user_identity")


INTENT = Struct(
    "Intent",
    (
        text("id", "the intent's id, a UUID as text"),
        number("turn", "the turn of the conversation in which it was made; parallel calls have the same turn"),
        number("age_ms", "the log time between the append of the intent and its evaluation"),
        texts("claimed_sources", "ids of events that the agent claims to have used; the claim can only narrow"),
    ),
)

AGENT = Struct(
    "Agent",
    (
        text("id", "the agent, as its issuer names it"),
        text("instance", "the running instance", optional=True),
    ),
)

MODEL = Struct(
    "Model",
    (
        text("provider", "the provider of the model", optional=True),
        text("name", "the model that made the intent, according to the agent", optional=True),
        text("version", "the version of the model", optional=True),
    ),
)

USER = Struct(
    "User",
    (
        text("id", "the subject on whose behalf the agent acts", sensitive=True),
        texts("scopes", "the effective scopes: the intersection of user, application, agent, delegation and task"),
    ),
)

SESSION = Struct(
    "Session",
    (
        text("id", "the session's id"),
        number("age_ms", "the time since the session was established"),
        flag("attended", "a person is present, as declared when the session was opened"),
        flag(
            "fingerprint_changed",
            "an intent had another model, system prompt or toolset than the session was opened with",
        ),
        Field(
            "changed",
            ListOf(Kind.STRING),
            "what has changed since the session was opened: model, system_prompt, toolset",
            values=("model", "system_prompt", "toolset"),
        ),
        text("model", "the model that the session was opened with, as `provider/name`", optional=True),
        text("system_prompt_digest", "SHA-256 of the initial system prompt, in hex", optional=True),
        text("toolset_digest", "SHA-256 of the initial toolset, in hex", optional=True),
        number("intents", "the number of intents judged before this one"),
        number("allowed", "the number of intents that were allowed"),
        number("denied", "the number of intents that were denied or quarantined"),
        number("spent", "the sum of the amounts of allowed calls, in minor units of whatever currency"),
        Field(
            "spent_in",
            MapOf(Kind.INT),
            "the same by currency, in all its spellings (`EUR`, `eur`) and in capitals, of calls that state one; it "
            "and `spent` are missing after an allowed call whose amount can't be read, and it alone after allowed "
            "calls in more than 16 currencies",
            optional=True,
        ),
        Field("calls", MapOf(Kind.INT), "the number of allowed calls by tool, `server.name`"),
        flag(
            "tainted",
            "the session has read data labelled untrusted, or such data have reached it through another session",
        ),
        word(
            "confidentiality",
            "the highest label that the session has read: public, private or user_identity",
            *_CONFIDENTIALITY,
        ),
        number("risk", "from 0 (none) to 4 (critical), set by detectors and risk-level events"),
    ),
)

HOP = Struct(
    "Hop",
    (
        text("uid", "the grant's id"),
        text("issuer", "the issuer of the grant"),
        text("sub", "the subject, the same in the whole chain", sensitive=True),
        text("actor", "the actor that received the grant"),
        number("depth", "the position in the chain; 0 is the root"),
        texts("scopes", "the scopes that the grant conveys"),
        number("expires_in_ms", "the time until the grant expires"),
    ),
)

DELEGATION = Struct(
    "Delegation",
    (
        number("depth", "the depth of the last hop; 0 if there is only a root"),
        text("root_issuer", "the issuer of the root grant"),
        Field("hops", ListOf(HOP), "the grants of the chain, root first"),
    ),
)

TOOL = Struct(
    "Tool",
    (
        text("id", "`server.name`"),
        text("server_id", "the server, as the operator named it"),
        text("name", "the tool's name on its server"),
        text("version", "the number of the catalog entry"),
        flag("read_only", "the tool changes nothing"),
        flag("destructive", "the tool can delete or overwrite; true if the catalog doesn't say"),
        flag("idempotent", "repeating a call changes nothing more"),
        flag("open_world", "the tool reaches beyond the operator's systems; true if the catalog doesn't say"),
        flag("reversible", "a call can be undone"),
        flag("irreversible", "the opposite of reversible"),
        flag("external", "the same as open_world"),
        text("definition_digest", "SHA-256 of the tool's definition, in hex"),
        texts(
            "sink_args",
            "JSON pointers of the arguments that say where data goes or what is acted on; `*` is any one step",
        ),
        flag("compensating", "the catalog names a call that undoes this one", optional=True),
    ),
)

MONEY = Struct(
    "Money",
    (
        number(
            "minor",
            "the argument `amount` in minor units, such as cents, exactly; 0 without one, missing if it can't be read",
            optional=True,
        ),
        text("currency", "the argument `currency`, as the call writes it; empty without one", optional=True),
    ),
)

CATALOG = Struct(
    "Catalog",
    (
        texts(
            "reviewed_digests",
            "digests of the definitions that may be called, in hex: also that of the called tool, always",
        ),
    ),
)

PROVENANCE = Struct(
    "Provenance",
    (
        text("source", "the event, tool or document that was read"),
        word("trust", "trusted or untrusted", *_TRUST),
    ),
)

_BASELINE_FIELDS = (
    number("learned", "how many calls the agent's baseline was learned from; 0 while the gate knows none"),
    number(
        "new_tool",
        "how surprising it is, in bits, that the agent uses this tool for the first time (10 bits: one call in "
        "1,000); 0 if it has used it, or too little is known",
    ),
    number("new_destination", "the same of where the call sends data, such as a domain"),
    number("odd_hour", "the same of the hour (UTC): how rarely the agent has worked within an hour of it"),
    number(
        "amount",
        "how many deviations the amount of the call lies above what the agent usually states for this tool; 0 if "
        "it is usual, or too little is known",
    ),
    number(
        "rate",
        "how many times as many calls the session has made in this hour as the agent makes in the busiest hour of "
        "a usual day; 0 if they are fewer, or too little is known",
    ),
    number("agent_risk", "the agent's risk, as watches have published it, in percent of what is an alert; it fades"),
    number("user_risk", "the same of the user: the highest risk of a session of the user, with whatever agent"),
    number("peers_risk", "the same of the agent's peers: the highest risk of another agent of its type"),
)

SIGNAL = Struct(
    "Signal",
    (
        number(
            "repeats",
            "how often this call, or the cycle that it ends, is among the session's last 32 calls within 10 minutes; "
            "1 from the sixth time on if the tool only reads, by its name, and is asked at most five times a minute",
        ),
        number("run", "how many calls of this tool the session has made in a row, this one included"),
        number("returns", "how often the session came back to an instance within 5 minutes after another had used it"),
        number(
            "owners",
            "the number of people, beside the first one, whose data the session's calls are about, this one included, "
            "as operators' systems say it of the records that they name, else by arguments that name an owner; at most "
            "32",
        ),
        *_BASELINE_FIELDS,
    ),
)

BASELINE_SIGNALS = frozenset(field.name for field in _BASELINE_FIELDS)
"""The fields of `signal` that come from the agent's baseline, which watches publish. They can only restrict: no permit
and no memory reads them, because whoever may write baselines could then permit calls."""

READS_BASELINE = "signal (baseline)"
"""Stands for these fields among the facts that the rules of a tool read. No fact has a name like this."""

APPROVAL = Struct(
    "Approval",
    (
        flag("granted", "people have approved exactly this call"),
        Field("granted_by", MapOf(Kind.INT), "the number of approvals by group"),
    ),
)

DEFERRAL = Struct("Deferral", (number("waited_ms", "how long the call has been deferred without being cancelled"),))

LABEL = Struct(
    "Label",
    (
        word("integrity", "trusted or untrusted", *_TRUST),
        word("confidentiality", "public, private or user_identity", *_CONFIDENTIALITY),
    ),
)

HISTORY = Struct("History", ())
"""The type of `history` in a bundle without memories; `compile.history_struct` makes that of other bundles."""

ENTITY_FIELDS = (
    flag("known", "there is a record of the entity"),
    number("age_ms", "the time since its attributes were last known to be true", optional=True),
)
"""The fields of every entity, besides the attributes that the bundle declares."""

ENTITIES = Struct("Entities", ())
"""The type of `entities` in a bundle that declares none; `compile.entities_struct` makes that of other bundles."""

NOW = Struct(
    "Now",
    (
        number("ms", "log time in milliseconds since the epoch"),
        number("hour", "0 to 23, UTC"),
        number("minute", "0 to 59, UTC"),
        number("weekday", "1 (Monday) to 7 (Sunday), UTC"),
    ),
)

FACTS: tuple[Field, ...] = (
    Field("intent", INTENT, "the proposed call, without its arguments"),
    Field(
        "args",
        MapOf(Kind.DYN),
        "the arguments of the call, typed by the tool's input schema if it is known",
        sensitive=True,
    ),
    Field("agent", AGENT, "the agent that acts"),
    Field("model", MODEL, "the model behind the agent"),
    Field("user", USER, "the user on whose behalf the agent acts"),
    text("tenant", "the tenant's id"),
    Field("session", SESSION, "what the session has done so far; denied intents consume nothing"),
    Field("delegation", DELEGATION, "the verified chain of grants"),
    Field("tool", TOOL, "the tool as the operator's catalog describes it"),
    Field("money", MONEY, "the amount of the call, if it has an argument `amount`"),
    Field("catalog", CATALOG, "facts about the catalog as a whole"),
    Field("provenance", ListOf(PROVENANCE), "everything that the session has read"),
    Field("origins", ListOf(ORIGIN), "where each value of the arguments comes from"),
    Field("act", ACT, "what kind of act the call is, and whether the request asks for it"),
    Field("scope", SCOPE, "what the session may do for the request"),
    Field("owner", OWNER, "whose data the call is about"),
    Field("read", READ, "what the session has read as a whole"),
    Field("flow", FLOW, "whether private data go where more people see them"),
    Field(
        "signal",
        SIGNAL,
        "what is unusual about the call, in its session and for its agent; calls count whose rules read it",
    ),
    Field("history", HISTORY, "the values of the bundle's memories: one field for each that `history:` declares"),
    Field("label", LABEL, "the worst label of what the call returns; in a memory of calls that ran, of the result"),
    Field(
        "entities",
        ENTITIES,
        "what operators' systems say about the things that the call is about: one field for each that `entities:` "
        "declares",
        sensitive=True,
    ),
    Field("approval", APPROVAL, "the approvals of exactly this call"),
    Field("deferral", DEFERRAL, "the state of the call's cancel window"),
    Field("now", NOW, "log time"),
)

FACT_NAMES: frozenset[str] = frozenset(field.name for field in FACTS)

NOT_SUPPLIED: Mapping[str, str] = {
    "signals": "compare `signal.repeats`, `signal.run` or `signal.returns`, or `session.risk`",
    "session.purpose": "compare `scope` and `act.requested`, which follow from the purpose and the request",
    "agent.version": "compare `agent.id` or `agent.instance`, which the session's credential states",
}
"""Names that were once declared and that no gate supplies, with what to use instead. Rules can't read them: a deny on
such a fact would never fire."""


def reads_baseline(paths: Iterable[tuple[str, ...]]) -> bool:
    """Return whether any of these paths reads a field of `signal` that comes from the agent's baseline."""
    return any(path[0] == "signal" and (len(path) == 1 or path[1] in BASELINE_SIGNALS) for path in paths)


def fact(name: str) -> Field | None:
    """Return the top-level fact of that name, or None."""
    return next((field for field in FACTS if field.name == name), None)


def now_facts(now_ms: int) -> dict[str, int]:
    """Return the fact `now` for an instant.

    Args:
        now_ms: the instant in milliseconds since the epoch.
    """
    minutes = now_ms // MS_PER_MINUTE
    return {
        "ms": now_ms,
        "hour": minutes // 60 % 24,
        "minute": minutes % 60,
        "weekday": (minutes // MINUTES_PER_DAY + 3) % 7 + 1,
    }


def schema_digest() -> str:
    """Return a SHA-256 digest, in hex, of the names, types and optionality of all fields."""
    lines = sorted(
        f"{path}:{type_name(field.type)}:{'optional' if field.optional else 'present'}" for path, field in walk_fields()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def walk_fields() -> Iterator[tuple[str, Field]]:
    """Yield every field with its dotted path, records before their fields; list elements are written `name[]`."""
    for field in FACTS:
        yield from _walk(field.name, field)


def _walk(path: str, field: Field) -> Iterator[tuple[str, Field]]:
    yield path, field
    inner = field.type
    if isinstance(inner, ListOf):
        path, inner = f"{path}[]", inner.element
    if isinstance(inner, Struct):
        for member in inner.fields:
            yield from _walk(f"{path}.{member.name}", member)
