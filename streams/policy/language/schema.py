"""The facts a rule can speak of: the join of an intent with everything the gate knows about it.

Declared once, here. The type checker, the facts builder of the gate, the check of test fixtures and the reference
documentation all read this declaration. Facts are plain nested dicts with these names; an optional field that is
not known is left out (never None), and a rule that reads it without `has()` is in error, which fails closed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Facts = Mapping[str, Any]
"""One evaluation's facts: the top-level names of `FACTS` to their values."""

RESERVED_WORDS = frozenset(
    (
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let"),
        *("loop", "namespace", "null", "package", "return", "true", "var", "void", "while"),
    )
)
"""Words that CEL's grammar keeps for itself: nothing that is selected with a dot can be called so."""

MS_PER_MINUTE = 60_000
MINUTES_PER_DAY = 1_440


class Kind(StrEnum):
    """The scalar types of a fact. `DYN` is typed only when it is evaluated."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    DYN = "dyn"


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list with elements of one type."""

    element: FactType


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map from text to values of one type; any key may be asked for."""

    value: FactType


@dataclass(frozen=True, slots=True)
class Struct:
    """A record with named fields; no other name may be asked for."""

    name: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """The field of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)


FactType = Kind | ListOf | MapOf | Struct


@dataclass(frozen=True, slots=True)
class Field:
    """A named value. `sensitive` values are redacted in explanations; `values` are all that a text, or a text in a
    list, can be, where that is known."""

    name: str
    type: FactType
    doc: str
    optional: bool = False
    sensitive: bool = False
    values: tuple[str, ...] = ()


def _text(name: str, doc: str, *, optional: bool = False, sensitive: bool = False) -> Field:
    return Field(name, Kind.STRING, doc, optional, sensitive)


def _int(name: str, doc: str, *, optional: bool = False) -> Field:
    return Field(name, Kind.INT, doc, optional)


def _bool(name: str, doc: str, *, optional: bool = False) -> Field:
    return Field(name, Kind.BOOL, doc, optional)


def _texts(name: str, doc: str) -> Field:
    return Field(name, ListOf(Kind.STRING), doc)


def _word(name: str, doc: str, *values: str) -> Field:
    return Field(name, Kind.STRING, doc, values=values)


_TRUST = ("trusted", "untrusted")
_CONFIDENTIALITY = ("public", "private", "user_identity")


INTENT = Struct(
    "Intent",
    (
        _text("id", "the intent's id, a uuid as text"),
        _int("turn", "the turn of the conversation it was made in; parallel calls share one"),
        _int("age_ms", "log time between the intent's append and its evaluation"),
        _texts("claimed_sources", "ids of events the agent says it used; a claim, it can only narrow"),
    ),
)

AGENT = Struct(
    "Agent",
    (
        _text("id", "the agent, as its issuer names it"),
        _text("instance", "the running instance", optional=True),
        _text("version", "version of the agent's software", optional=True),
    ),
)

MODEL = Struct(
    "Model",
    (
        _text("provider", "who serves the model", optional=True),
        _text("name", "the model that made the intent, as the agent says", optional=True),
        _text("version", "its version", optional=True),
    ),
)

USER = Struct(
    "User",
    (
        _text("id", "the subject on whose behalf the agent acts", sensitive=True),
        _texts("scopes", "the effective scopes: of user, application, agent, delegation and task together"),
    ),
)

PURPOSE = Struct(
    "Purpose",
    (
        _text("text", "what the user asked for", optional=True, sensitive=True),
        _bool("in_scope", "the call lies within the task's tools, sinks and limits"),
    ),
)

SESSION = Struct(
    "Session",
    (
        _text("id", "the session"),
        _int("age_ms", "since it was established"),
        _bool("attended", "a person is present, as was said when it was opened"),
        _bool(
            "fingerprint_changed", "an intent came from another model, system prompt or toolset than it was opened with"
        ),
        Field(
            "changed",
            ListOf(Kind.STRING),
            "what of it has changed: model, system_prompt, toolset",
            values=("model", "system_prompt", "toolset"),
        ),
        _text("model", "the model it was opened with, `provider/name`", optional=True),
        _text("system_prompt_digest", "SHA-256 of the system prompt it was opened with, in hex", optional=True),
        _text("toolset_digest", "SHA-256 of the toolset it was opened with, in hex", optional=True),
        _int("intents", "intents judged before this one"),
        _int("allowed", "of those, allowed"),
        _int("denied", "of those, denied or quarantined"),
        _int("spent", "sum of the amounts of allowed calls, in minor units"),
        Field("calls", MapOf(Kind.INT), "allowed calls so far by tool, `server.name`"),
        _bool("tainted", "it has read data labelled untrusted"),
        _word("confidentiality", "highest label read so far: public, private or user_identity", *_CONFIDENTIALITY),
        _int("risk", "0 none to 4 critical, from detectors and risk-level events"),
        Field("purpose", PURPOSE, "the task, where a trusted issuer has set one", optional=True),
    ),
)

HOP = Struct(
    "Hop",
    (
        _text("uid", "the grant's id"),
        _text("issuer", "who issued it"),
        _text("sub", "the subject, the same along the chain", sensitive=True),
        _text("actor", "who received it"),
        _int("depth", "0 for the root"),
        _texts("scopes", "what it conveys"),
        _int("expires_in_ms", "time left"),
    ),
)

DELEGATION = Struct(
    "Delegation",
    (
        _int("depth", "depth of the last hop; 0 when there is only a root"),
        _text("root_issuer", "issuer of the root grant"),
        Field("hops", ListOf(HOP), "the chain, root first"),
    ),
)

TOOL = Struct(
    "Tool",
    (
        _text("id", "`server.name`"),
        _text("server_id", "the server, as the operator named it"),
        _text("name", "the tool's name on its server"),
        _text("version", "catalog version"),
        _bool("read_only", "changes nothing"),
        _bool("destructive", "may delete or overwrite; unset means true"),
        _bool("idempotent", "repeating it changes nothing more"),
        _bool("open_world", "reaches beyond the operator's systems; unset means true"),
        _bool("reversible", "can be undone"),
        _bool("irreversible", "the opposite of reversible"),
        _bool("external", "another word for open_world"),
        _text("definition_digest", "SHA-256 of the tool's definition, in hex"),
        _texts("sink_args", "JSON pointers of arguments that say where data goes or what is acted on"),
    ),
)

CATALOG = Struct("Catalog", (_texts("reviewed_digests", "definition digests that a person has reviewed, in hex"),))

PROVENANCE = Struct(
    "Provenance",
    (
        _text("source", "the event, tool or document that was read"),
        _word("trust", "trusted or untrusted", *_TRUST),
    ),
)

ORIGIN = Struct(
    "Origin",
    (
        _text("pointer", "JSON pointer of the argument value"),
        _word("origin", "user, trusted, untrusted or nowhere (made up)", "user", *_TRUST, "nowhere"),
        _bool("whole_field", "the value was a whole field of a structured result, not picked out of text"),
        _bool("sink", "the argument is one of the tool's sink arguments"),
        _texts("sources", "events the value was seen in"),
    ),
)

SIGNAL = Struct(
    "Signal",
    (
        _text("name", "the detector"),
        Field("score", Kind.DOUBLE, "0 to 1"),
    ),
)

APPROVAL = Struct(
    "Approval",
    (
        _bool("granted", "people have approved exactly this call"),
        Field("granted_by", MapOf(Kind.INT), "approvals so far by group"),
    ),
)

DEFERRAL = Struct("Deferral", (_int("waited_ms", "how long the call has been held uncancelled; 0 at first"),))

LABEL = Struct(
    "Label",
    (
        _word("integrity", "trusted or untrusted", *_TRUST),
        _word("confidentiality", "public, private or user_identity", *_CONFIDENTIALITY),
    ),
)

HISTORY = Struct("History", ())
"""What a bundle without memories has of them; a bundle's own are the fields of its `CheckedMemories.history`."""

NOW = Struct(
    "Now",
    (
        _int("ms", "log time, milliseconds since the epoch"),
        _int("hour", "0 to 23, UTC"),
        _int("minute", "0 to 59, UTC"),
        _int("weekday", "1 Monday to 7 Sunday, UTC"),
    ),
)

FACTS: tuple[Field, ...] = (
    Field("intent", INTENT, "the proposed call, without its arguments"),
    Field(
        "args", MapOf(Kind.DYN), "the call's arguments, typed by the tool's input schema where known", sensitive=True
    ),
    Field("agent", AGENT, "who acts"),
    Field("model", MODEL, "the model behind the agent"),
    Field("user", USER, "on whose behalf"),
    _text("tenant", "the tenant's id"),
    Field("session", SESSION, "what the session has done so far; denied intents consume nothing"),
    Field("delegation", DELEGATION, "the verified chain of authority"),
    Field("tool", TOOL, "the tool as the operator's catalog describes it"),
    Field("catalog", CATALOG, "facts about the catalog as a whole"),
    Field("provenance", ListOf(PROVENANCE), "everything the session has read"),
    Field("origins", ListOf(ORIGIN), "where each argument value comes from"),
    Field("signals", ListOf(SIGNAL), "what the detectors say about this intent"),
    Field("history", HISTORY, "what the bundle's memories hold: one field for each that is declared under `history:`"),
    Field("label", LABEL, "how what the call returns is labelled; in a memory of what ran, how the result is"),
    Field("approval", APPROVAL, "the state of approvals for exactly this call"),
    Field("deferral", DEFERRAL, "the state of its cancel window"),
    Field("now", NOW, "log time"),
)

FACT_NAMES: frozenset[str] = frozenset(field.name for field in FACTS)

NOT_REQUIRED = frozenset({"history", "label"})
"""Top-level facts that a test's fixture need not have."""


def fact(name: str) -> Field | None:
    """The top-level fact of that name, or None."""
    return next((field for field in FACTS if field.name == name), None)


def now_facts(now_ms: int) -> dict[str, int]:
    """The `now` fact of an instant, in milliseconds since the epoch."""
    minutes = now_ms // MS_PER_MINUTE
    return {
        "ms": now_ms,
        "hour": minutes // 60 % 24,
        "minute": minutes % 60,
        "weekday": (minutes // MINUTES_PER_DAY + 3) % 7 + 1,
    }


def type_name(fact_type: FactType) -> str:
    """The type as a rule's author would write it."""
    if isinstance(fact_type, ListOf):
        return f"list({type_name(fact_type.element)})"
    if isinstance(fact_type, MapOf):
        return f"map(string, {type_name(fact_type.value)})"
    return fact_type.name if isinstance(fact_type, Struct) else str(fact_type)


def schema_digest() -> str:
    """SHA-256, in hex, over names, types and optionality of every field."""
    lines = sorted(
        f"{path}:{type_name(field.type)}:{'optional' if field.optional else 'present'}" for path, field in walk_fields()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def walk_fields() -> Iterator[tuple[str, Field]]:
    """Every field with its dotted path, structures before their fields; list elements are written `name[]`."""
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


def schema_violations(facts: Mapping[str, Any], *, partial: bool = False, history: Struct = HISTORY) -> list[str]:
    """What is wrong with facts: unknown names, wrong types, missing fields. Empty when they fit.

    Args:
        facts: the facts to look at.
        partial: accept that top-level names are missing.
        history: the type of what the bundle's memories hold.
    """
    found = [f"`{name}` is not a fact" for name in facts if name not in FACT_NAMES]
    for field in FACTS:
        if field.name in facts:
            wanted = history if field.name == "history" else field.type
            found.extend(_violations(field.name, wanted, facts[field.name]))
        elif not partial and field.name not in NOT_REQUIRED:
            found.append(f"`{field.name}` is missing")
    return found


def _violations(path: str, wanted: FactType, value: Any) -> Iterator[str]:
    if isinstance(wanted, Kind):
        if not _fits(wanted, value):
            yield f"`{path}` must be {wanted}, found {type(value).__name__}"
    elif isinstance(wanted, ListOf):
        if not isinstance(value, list | tuple):
            yield f"`{path}` must be a list, found {type(value).__name__}"
            return
        for index, item in enumerate(value):
            yield from _violations(f"{path}[{index}]", wanted.element, item)
    elif not isinstance(value, Mapping):
        yield f"`{path}` must be a mapping, found {type(value).__name__}"
    elif isinstance(wanted, MapOf):
        for key, item in value.items():
            yield from _violations(f"{path}.{key}", wanted.value, item)
    else:
        yield from _struct_violations(path, wanted, value)


def _struct_violations(path: str, wanted: Struct, value: Mapping[str, Any]) -> Iterator[str]:
    for key in value:
        if wanted.field(key) is None:
            yield f"`{path}.{key}` is not a field of {wanted.name}"
    for field in wanted.fields:
        if field.name in value:
            yield from _violations(f"{path}.{field.name}", field.type, value[field.name])
            yield from _unknown_values(f"{path}.{field.name}", field, value[field.name])
        elif not field.optional:
            yield f"`{path}.{field.name}` is missing"


def _unknown_values(path: str, field: Field, value: Any) -> Iterator[str]:
    found = value if isinstance(value, list | tuple) else (value,)
    for text in found if field.values else ():
        if isinstance(text, str) and text not in field.values:
            yield f"`{path}` must be one of {', '.join(field.values)}, found `{text}`"


def _fits(wanted: Kind, value: Any) -> bool:
    if wanted is Kind.DYN:
        return True
    if wanted is Kind.BOOL:
        return isinstance(value, bool)
    if wanted is Kind.INT:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, float if wanted is Kind.DOUBLE else str)
