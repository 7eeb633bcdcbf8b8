"""What approving a tool permits: what it can do, by which rules, and who holds grants for it now."""

from __future__ import annotations

from typing import NamedTuple

from streams.delegation.tools import ANYTHING
from streams.model.bundle_files import files_of
from streams.model.catalog import ToolCatalogEntry
from streams.model.delegation import Delegation, DelegationOp
from streams.model.errors import RecordError, SettingsError
from streams.model.labels import WORST, Confidentiality, Integrity
from streams.model.topics import DELEGATION
from streams.operations.operator import Operator
from streams.operations.rules.history import read_history
from streams.operations.topics.reader import TopicReadError, read_to_end
from streams.policy import BundleError, CompiledRuleset, bundle_from_files, compile_bundle
from streams.ports import LogError
from streams.processors.control.tool_uses import ToolUses
from streams.provenance.acts.kinds import ActKind

GRANTS_READ_MAX = 200_000
HOLDERS_MAX = 200


class RuleReach(NamedTuple):
    """A rule in force that is for the tool; without `agents` or `tenants` it is for all of them."""

    rule_id: str
    effect: str
    mode: str
    agents: tuple[str, ...]
    tenants: tuple[str, ...]
    when: str
    reason: str


class Holder(NamedTuple):
    """An agent that may call the tool for a user by grants that live now; how many, and until when."""

    agent: str
    user: str
    tenant: str
    grants_count: int
    until_ms: int


class Reach(NamedTuple):
    """What an approval permits.

    Attributes:
        can: what the tool can do, one sentence each.
        rules: the rules that apply to its calls; empty, with a note, if they are not known.
        holders: who has grants for the tool; empty, with a note, if that is not known.
    """

    can: tuple[str, ...]
    rules: tuple[RuleReach, ...]
    rules_note: str
    holders: tuple[Holder, ...]
    holders_note: str

    @property
    def is_permitted(self) -> bool:
        """Return whether any rule in force can permit a call of the tool."""
        return any(rule.effect == "permit" for rule in self.rules)


class ReachReader:
    """Finds out what approvals of tools permit. Reads rules and grants once for all tools."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._ruleset: CompiledRuleset | None = None
        self._rules_note = ""
        self._grants: list[Delegation] = []
        self._grants_note = ""
        self._read_rules()
        self._read_grants()

    def of(self, entry: ToolCatalogEntry) -> Reach:
        """Return what an approval of this entry permits."""
        return Reach(what_it_can(entry), self._rules(entry), self._rules_note, self._holders(entry), self._grants_note)

    def _rules(self, entry: ToolCatalogEntry) -> tuple[RuleReach, ...]:
        if self._ruleset is None:
            return ()
        found = self._ruleset.applicable(entry.server_id, entry.name, str(entry.catalog_version))
        reached = (
            RuleReach(
                checked.rule.id,
                checked.rule.effect.name.lower(),
                checked.rule.mode.name.lower(),
                tuple(pattern.text for pattern in checked.rule.match.agents),
                tuple(pattern.text for pattern in checked.rule.match.tenants),
                checked.rule.when.text,
                checked.rule.reason,
            )
            for checked in found
        )
        # Rules that permit calls come first: an approval makes them effective.
        return tuple(sorted(reached, key=lambda rule: (rule.effect != "permit", rule.rule_id)))

    def _holders(self, entry: ToolCatalogEntry) -> tuple[Holder, ...]:
        held: dict[tuple[str, str, str], list[int]] = {}
        for grant in self._grants:
            if _covers(grant, entry.server_id, entry.name):
                held.setdefault((grant.act.sub, grant.sub, grant.tenant_uid), []).append(grant.exp)
        holders = [Holder(*who, len(ends), max(ends)) for who, ends in sorted(held.items())]
        return tuple(holders[:HOLDERS_MAX])

    def _read_rules(self) -> None:
        name = self._operator.deployment.bundle_name
        try:
            stable = read_history(self._operator, name).stable
            if stable is None:
                self._rules_note = f"no rules of bundle `{name}` are in force, so no call is permitted"
                return
            self._ruleset = compile_bundle(bundle_from_files(files_of(stable.bundle)))
        except (SettingsError, TopicReadError, LogError, BundleError, ValueError) as error:
            self._rules_note = f"the rules in force can't be read: {error}"

    def _read_grants(self) -> None:
        now_ms = self._operator.clock.now_ms()
        newest: dict[str, Delegation] = {}
        revoked: set[str] = set()
        try:
            for count, received in enumerate(
                read_to_end(self._operator.log, (DELEGATION.name,), self._operator.clock), start=1
            ):
                if count > GRANTS_READ_MAX:
                    self._grants_note = f"only the first {GRANTS_READ_MAX} grants are counted"
                    break
                grant = self._decoded(received.value, received.headers)
                if grant is None:
                    continue
                if grant.op is not DelegationOp.GRANT:
                    revoked.add(grant.uid)
                elif grant.exp > now_ms:
                    newest[grant.uid] = grant
        except (TopicReadError, LogError) as error:
            self._grants_note = f"grants can't be read: {error}"
            return
        self._grants = [grant for uid, grant in newest.items() if uid not in revoked]

    def _decoded(self, value: bytes | None, headers: tuple[tuple[str, bytes], ...]) -> Delegation | None:
        if value is None:
            return None
        try:
            record = self._operator.codec.decode(DELEGATION.name, value, headers)
        except RecordError:
            return None
        return record if isinstance(record, Delegation) else None


def _covers(grant: Delegation, server_id: str, name: str) -> bool:
    tools = [tool for detail in grant.authorization_details for tool in detail.tools]
    return any(tool.server_id in (ANYTHING, server_id) and tool.name in (ANYTHING, name) for tool in tools)


def what_it_can(entry: ToolCatalogEntry) -> tuple[str, ...]:
    """Return what the tool can do according to its facts, in plain sentences. Missing facts count as the worst."""
    can: list[str] = []
    if entry.read_only:
        can.append("reads data and changes nothing")
    else:
        what = "changes or destroys" if entry.destructive else "changes or adds"
        back = "can be undone" if entry.reversible else "can't be undone"
        undo = f" by `{entry.compensating_tool}`" if entry.reversible and entry.compensating_tool else ""
        can.append(f"{what} data; its effect {back}{undo}")
        again = "no further effect" if entry.idempotent else "its effect again"
        can.append(f"has {again} if a call is repeated")
    can.append("reaches beyond this deployment" if entry.open_world else "stays within this deployment")
    if entry.sink_args:
        can.append(f"sends data to, or acts on, the targets in its arguments: {', '.join(entry.sink_args)}")
    if (kind := ToolUses(entry).kind) not in (ActKind.READ, ActKind.OTHER):
        can.append(f"counts as an act of the kind `{kind}`")
    label = entry.output_label or WORST
    brings = "data that anybody may have written" if label.integrity is Integrity.UNTRUSTED else "trusted data"
    close = {
        Confidentiality.PUBLIC: "is public",
        Confidentiality.PRIVATE: "is private",
        Confidentiality.USER_IDENTITY: "is about the user's identity",
    }[label.confidentiality]
    assumed = " (the worst is assumed: `output_label` is not set)" if entry.output_label is None else ""
    can.append(f"brings {brings} into a session; the data {close}{assumed}")
    return tuple(can)
