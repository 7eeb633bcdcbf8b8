"""Says which facts of a test case no gate could make, and completes those that follow from what a case changes.

A case that passes on facts that no gate makes proves nothing: its rule may never fire. The schema says which values a
single field can have; this module says which values can't stand together. So that cases stay short, a fact that depends
on another one follows it: a case that sets `tool.open_world` need not set `tool.external`.

Rejected: to make the facts of cases with a gate. A case would then need records in place of the one field that it is
about, and scenarios exist for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from streams.policy.authoring.quiet_facts import quiet_origins
from streams.policy.language.fact_types import Struct
from streams.policy.language.paths import overlaps
from streams.policy.language.schema import FACTS, MINUTES_PER_DAY, MS_PER_MINUTE, now_facts

Path = tuple[str, ...]

RISK_MAX = 4
_DIGEST_CHARS = 64
_MS_PER_DAY = MINUTES_PER_DAY * MS_PER_MINUTE
_OPENED_WITH = {"model": "model", "system_prompt": "system_prompt_digest", "toolset": "toolset_digest"}
"""The field of the session that says what each item of `session.changed` was when the session was opened."""

_COUNTS = (
    ("signal", "returns"),
    ("act", "drift"),
    *(("intent", "age_ms"), ("session", "age_ms"), ("session", "intents"), ("session", "allowed")),
    *(("session", "denied"), ("session", "spent"), ("deferral", "waited_ms"), ("money", "minor")),
)
_ABSENT = frozenset({("args",), ("history",), ("label",), ("delegation",)})
"""What a gate can leave out besides optional fields. A session without a grant has no `delegation`."""


def is_always_supplied(path: Path) -> bool:
    """Return whether every gate supplies the field at a path, so that no rule ever sees facts without it."""
    if path[:1] in _ABSENT and (len(path) == 1 or path[0] in ("args", "history")):
        return False
    fields, found = FACTS, None
    for name in path:
        found = next((field for field in fields if field.name == name), None)
        if found is None or found.optional:
            return False
        fields = found.type.fields if isinstance(found.type, Struct) else ()
    return True


def complete(facts: dict[str, Any], changed: Sequence[Path]) -> None:
    """Set the facts that follow from those that a case changes, unless the case sets them itself.

    Args:
        facts: the facts after the changes; altered in place.
        changed: the paths that the case sets.
    """
    follower = _Follower(facts, changed)
    follower.tool()
    follower.session()
    follower.delegation()
    follower.now()
    follower.provenance()
    follower.from_one("approval", "granted_by", "granted", bool)


class _Follower:
    """Completes facts, section by section."""

    def __init__(self, facts: dict[str, Any], changed: Sequence[Path]) -> None:
        self._facts = facts
        self._changed = changed

    def _sets(self, *path: str) -> bool:
        return any(overlaps(path, each) for each in self._changed)

    def _section(self, name: str) -> dict[str, Any]:
        found = self._facts.get(name)
        return found if isinstance(found, dict) else {}

    def from_one(self, section: str, source: str, target: str, rule: Callable[[Any], Any]) -> None:
        """Set `target` by a rule from `source`, if the case sets only `source`."""
        fields = self._section(section)
        if source in fields and self._sets(section, source) and not self._sets(section, target):
            fields[target] = rule(fields[source])

    def tool(self) -> None:
        for one, other, rule in (
            ("open_world", "external", bool),
            ("reversible", "irreversible", _opposite),
        ):
            self.from_one("tool", one, other, rule)
            self.from_one("tool", other, one, rule)
        tool, catalog = self._section("tool"), self._section("catalog")
        parts = [self._sets("tool", name) for name in ("server_id", "name")]
        if any(parts) and not self._sets("tool", "id"):
            tool["id"] = f"{tool.get('server_id')}.{tool.get('name')}"
        elif self._sets("tool", "id") and not any(parts) and isinstance(tool.get("id"), str):
            tool["server_id"], _, tool["name"] = tool["id"].partition(".")
        reviewed = catalog.get("reviewed_digests")
        is_followed = self._sets("tool", "definition_digest") and not self._sets("catalog", "reviewed_digests")
        if is_followed and isinstance(reviewed, list):
            catalog["reviewed_digests"] = [*reviewed, tool.get("definition_digest")]

    def session(self) -> None:
        session = self._section("session")
        self.from_one("session", "changed", "fingerprint_changed", bool)
        if self._sets("provenance") and not self._sets("session", "tainted") and "tainted" in session:
            session["tainted"] = session["tainted"] is True or _has_untrusted(self._facts)
        calls = session.get("calls")
        if self._sets("session", "calls") and not self._sets("session", "allowed") and isinstance(calls, dict):
            made, allowed = _sum(calls.values()), session.get("allowed")
            if made is not None and isinstance(allowed, int):
                session["allowed"] = max(allowed, made)
        counted = [self._sets("session", name) for name in ("calls", "allowed", "denied")]
        total = _sum([session.get("allowed"), session.get("denied")])
        if any(counted) and not self._sets("session", "intents") and total is not None:
            session["intents"] = total

    def delegation(self) -> None:
        hops = self._section("delegation").get("hops")
        if self._sets("delegation") or not isinstance(hops, list) or not hops or not isinstance(hops[-1], dict):
            return
        user, agent = self._section("user"), self._section("agent")
        scopes = user.get("scopes")
        for hop in hops:
            if self._sets("user", "id"):
                hop["sub"] = user.get("id")
            if self._sets("user", "scopes") and isinstance(scopes, list) and isinstance(hop.get("scopes"), list):
                hop["scopes"] = [*hop["scopes"], *(each for each in scopes if each not in hop["scopes"])]
        if self._sets("agent", "id"):
            hops[-1]["actor"] = agent.get("id")

    def provenance(self) -> None:
        """Let what was read follow the session's taint, the act its tool, and quiet origins the arguments."""
        tool, session = self._section("tool"), self._section("session")
        act, read, origins = self._section("act"), self._section("read"), self._facts.get("origins")
        if self._sets("session", "tainted") or self._sets("provenance"):
            tainted = session.get("tainted") is True
            follows = {"untrusted": tainted, "text": tainted, "complete": not tainted}
            read |= {name: value for name, value in follows.items() if not self._sets("read", name)}
        if self._sets("tool") and not self._sets("act"):
            act |= {"outward": tool.get("open_world")}
            if tool.get("read_only") is True or act.get("kind") == "read":
                act |= {"kind": "read" if tool.get("read_only") is True else "change", "requested": True}
        is_quiet = isinstance(origins, list) and all(each.get("origin") == "user" for each in origins)
        if is_quiet and (self._sets("args") or self._sets("tool")) and not self._sets("origins"):
            self._facts["origins"] = quiet_origins(self._facts)

    def now(self) -> None:
        now = self._section("now")
        if not self._sets("now") or not all(isinstance(now.get(part), int) for part in now_facts(0)):
            return
        if not self._sets("now", "ms"):
            # The day of the fixture's week that the case asks for, at the time that it asks for.
            days = now["ms"] // _MS_PER_DAY + now["weekday"] - now_facts(now["ms"])["weekday"]
            minutes = days * MINUTES_PER_DAY + now["hour"] * 60 + now["minute"]
            now["ms"] = minutes * MS_PER_MINUTE + now["ms"] % MS_PER_MINUTE
        parts = now_facts(now["ms"])
        now.update({part: value for part, value in parts.items() if not self._sets("now", part)})


def impossibilities(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words why no gate makes these facts; nothing if a gate could. Facts of wrong types are skipped.

    Args:
        facts: facts that fit the schema; top-level facts may be missing.
    """
    for section, name in _COUNTS:
        value = _field(facts, section, name)
        if isinstance(value, int) and value < 0:
            yield f"`{section}.{name}` is {value}, and never negative"
    for check in (_tool, _session, _counters, _approval, _delegation, _model, _now, _provenance, _signal):
        yield from check(facts)


def _tool(facts: Mapping[str, Any]) -> Iterator[str]:
    tool = facts.get("tool")
    if not isinstance(tool, Mapping):
        return
    if tool.get("open_world") is not tool.get("external"):
        yield "`tool.external` is always the same as `tool.open_world`"
    if tool.get("reversible") is tool.get("irreversible"):
        yield "`tool.irreversible` is always the opposite of `tool.reversible`"
    whole = f"{tool.get('server_id')}.{tool.get('name')}"
    if tool.get("id") != whole:
        yield f"`tool.id` is `{tool.get('id')}`, but the server and the name make `{whole}`"
    version, digest = str(tool.get("version")), tool.get("definition_digest")
    if not (version.isascii() and version.isdigit()):
        yield f"`tool.version` is `{version}`, but it is always the number of the catalog entry"
    yield from _no_digest("tool.definition_digest", digest)
    reviewed = _field(facts, "catalog", "reviewed_digests")
    if isinstance(reviewed, list | tuple):
        if digest not in reviewed:
            yield (
                "`catalog.reviewed_digests` lacks `tool.definition_digest`, but the gate itself denies calls of tools "
                "that nobody has approved"
            )
        for each in reviewed:
            yield from _no_digest("catalog.reviewed_digests", each)


def _session(facts: Mapping[str, Any]) -> Iterator[str]:
    session = facts.get("session")
    if not isinstance(session, Mapping):
        return
    risk, changed = session.get("risk"), session.get("changed")
    if isinstance(risk, int) and not 0 <= risk <= RISK_MAX:
        yield f"`session.risk` is {risk}, but it is always from 0 to {RISK_MAX}"
    if _has_untrusted(facts) and session.get("tainted") is False:
        yield "`session.tainted` is false, but `provenance` has something untrusted"
    if isinstance(changed, list | tuple):
        if bool(changed) is not session.get("fingerprint_changed"):
            yield "`session.fingerprint_changed` is true exactly if `session.changed` names something"
        for item in changed:
            if (held := _OPENED_WITH.get(item)) is not None and held not in session:
                yield f"`session.changed` names `{item}`, but `session.{held}` is missing, with which it is compared"
    for name in ("system_prompt_digest", "toolset_digest"):
        if name in session:
            yield from _no_digest(f"session.{name}", session[name])


def _counters(facts: Mapping[str, Any]) -> Iterator[str]:
    session = facts.get("session")
    if not isinstance(session, Mapping):
        return
    intents, allowed, denied = (session.get(name) for name in ("intents", "allowed", "denied"))
    total, calls = _sum([allowed, denied]), session.get("calls")
    if total is not None and intents != total:
        yield f"`session.intents` is {intents}, but {allowed} allowed and {denied} denied ones make {total}"
    if not isinstance(calls, Mapping):
        return
    made = _sum(calls.values())
    if any(isinstance(count, int) and count < 1 for count in calls.values()):
        yield "`session.calls` has a tool with less than one call"
    if made is not None and isinstance(allowed, int) and made > allowed:
        yield f"`session.calls` has {made} calls, but only {allowed} were allowed (`session.allowed`)"
    if allowed == 0 and session.get("spent"):
        yield "`session.spent` is not 0, but no call was allowed (`session.allowed`)"


def _approval(facts: Mapping[str, Any]) -> Iterator[str]:
    granted_by = _field(facts, "approval", "granted_by")
    if not isinstance(granted_by, Mapping):
        return
    if bool(granted_by) is not _field(facts, "approval", "granted"):
        yield "`approval.granted` is true exactly if `approval.granted_by` names a group"
    if any(isinstance(count, int) and count < 1 for count in granted_by.values()):
        yield "`approval.granted_by` has a group with less than one approval"


def _delegation(facts: Mapping[str, Any]) -> Iterator[str]:
    delegation = facts.get("delegation")
    hops = _field(facts, "delegation", "hops")
    if not isinstance(delegation, Mapping) or not isinstance(hops, list | tuple):
        return
    if not hops:
        yield "`delegation.hops` is empty, but it always has the root grant"
        return
    if not all(isinstance(hop, Mapping) for hop in hops):
        return
    if [hop.get("depth") for hop in hops] != list(range(len(hops))) or delegation.get("depth") != len(hops) - 1:
        yield "the `depth` of `delegation` and of its hops must count the hops from 0"
    if hops[0].get("issuer") != delegation.get("root_issuer"):
        yield "`delegation.root_issuer` is always the issuer of the first hop"
    user, actor = _field(facts, "user", "id"), _field(facts, "agent", "id")
    if user is not None and any(hop.get("sub") != user for hop in hops):
        yield "the `sub` of every hop is always `user.id`"
    if actor is not None and hops[-1].get("actor") != actor:
        yield "the `actor` of the last hop is always `agent.id`"
    scopes, conveyed = _field(facts, "user", "scopes"), hops[-1].get("scopes")
    if isinstance(scopes, list | tuple) and isinstance(conveyed, list | tuple):
        missing = [str(each) for each in scopes if each not in conveyed]
        if missing:
            yield f"`user.scopes` has `{missing[0]}`, which the last hop of `delegation` doesn't convey"


def _model(facts: Mapping[str, Any]) -> Iterator[str]:
    model = facts.get("model")
    if isinstance(model, Mapping) and model and not {"provider", "name"} <= model.keys():
        yield "`model` has both `provider` and `name`, or nothing"


def _now(facts: Mapping[str, Any]) -> Iterator[str]:
    now = facts.get("now")
    if not isinstance(now, Mapping) or not isinstance(now.get("ms"), int):
        return
    for part, value in now_facts(now["ms"]).items():
        if isinstance(now.get(part), int) and now[part] != value:
            yield f"`now.{part}` is {now[part]}, but at `now.ms` it is {value}"


def _signal(facts: Mapping[str, Any]) -> Iterator[str]:
    for name in ("repeats", "run"):
        value = _field(facts, "signal", name)
        if isinstance(value, int) and value < 1:
            yield f"`signal.{name}` is {value}, but it counts the call itself"


def _provenance(facts: Mapping[str, Any]) -> Iterator[str]:
    act, read, owner, scope = (facts.get(name) for name in ("act", "read", "owner", "scope"))
    if isinstance(act, Mapping):
        if act.get("outward") is not _field(facts, "tool", "open_world") and "tool" in facts:
            yield "`act.outward` is always the same as `tool.open_world`"
        reads_inside = _field(facts, "tool", "read_only") is True and _field(facts, "tool", "open_world") is False
        if act.get("requested") is False and reads_inside:
            yield "`act.requested` is false, but the tool only reads inside, which every request asks for"
    if isinstance(read, Mapping):
        if read.get("text") is True and read.get("untrusted") is False:
            yield "`read.text` is true, but nothing untrusted was read (`read.untrusted`)"
        if read.get("instructed") is True and read.get("text") is False:
            yield "`read.instructed` is true, but no text was read (`read.text`)"
        if read.get("untrusted") is False and _field(facts, "session", "tainted") is True:
            yield "`read.untrusted` is false, but the session is tainted (`session.tainted`)"
    if isinstance(owner, Mapping) and owner.get("subject") is True and owner.get("other") is True:
        yield "`owner.subject` and `owner.other` are never both true"
    if isinstance(owner, Mapping) and "age_ms" in owner and owner.get("several") is False:
        yield "`owner.age_ms` is stated, so the tool's data belong to several owners (`owner.several`)"
    if isinstance(scope, Mapping) and scope.get("source") == "none" and scope.get("inside") is False:
        yield "`scope.inside` is false, but nobody has set a scope (`scope.source`)"
    yield from _flow(facts)
    yield from _origins(facts.get("origins"))


def _flow(facts: Mapping[str, Any]) -> Iterator[str]:
    if _field(facts, "flow", "excluded") is True and _field(facts, "flow", "private") is False:
        yield "`flow.excluded` is true, but nothing private is passed on (`flow.private`)"
    if _field(facts, "flow", "personal") is True and _field(facts, "flow", "private") is False:
        yield "`flow.personal` is true, but nothing private is passed on (`flow.private`)"
    if _field(facts, "flow", "personal") is True and _field(facts, "tool", "open_world") is False:
        yield "`flow.personal` is true, but the tool does not reach outside (`tool.open_world`)"
    if _field(facts, "flow", "public") is True and _field(facts, "tool", "open_world") is False:
        yield "`flow.public` is true, but the tool does not reach outside (`tool.open_world`)"


_NAMING = ("instructed", "decoded", "named", "events")


def _is_dictated(origin: Mapping[str, Any]) -> bool:
    """Return whether an origin can be that of a sentence in a text, which an instruction dictates."""
    is_text = origin.get("role") == "content" and origin.get("sink") is False
    return is_text and origin.get("origin") == "text" and origin.get("instructed") is True


def _origins(origins: Any) -> Iterator[str]:
    for each in origins if isinstance(origins, list | tuple) else ():
        if not isinstance(each, Mapping):
            return
        where = f"the origin of `{each.get('arg')}`"
        if each.get("origin") == "user" and each.get("pointed") is False:
            yield f"{where} is the user, so it is `pointed`"
        if each.get("subject") is True and each.get("origin") != "user":
            yield f"{where} is the subject, so its `origin` is `user`"
        if each.get("part") is True and each.get("shaped") is False and not _is_dictated(each):
            yield f"{where} is a part of a text, and only parts that are `shaped` or dictated are listed"
        # An order can call for a number in an argument, and does not state it: that takes a currency.
        naming = _NAMING if each.get("sink") is True or each.get("part") is True else _NAMING[1:]
        if each.get("origin") == "nowhere" and any(each.get(name) for name in naming):
            yield f"{where} is nowhere, so no event, text or instruction names it"


def _no_digest(path: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and (len(value) != _DIGEST_CHARS or not set(value) <= set("0123456789abcdef")):
        yield f"`{path}` must be a SHA-256 digest in hex, found `{value[:_DIGEST_CHARS]}`"


def _opposite(value: Any) -> Any:
    return not value if isinstance(value, bool) else value


def _has_untrusted(facts: Mapping[str, Any]) -> bool:
    reads = facts.get("provenance")
    each = reads if isinstance(reads, list | tuple) else ()
    return any(isinstance(read, Mapping) and read.get("trust") == "untrusted" for read in each)


def _field(facts: Mapping[str, Any], section: str, name: str) -> Any:
    found = facts.get(section)
    return found.get(name) if isinstance(found, Mapping) else None


def _sum(values: Any) -> int | None:
    """Return the sum of whole numbers; None if one of them is something else."""
    held = list(values)
    return sum(held) if all(isinstance(each, int) and not isinstance(each, bool) for each in held) else None
