"""What gates would stop by behaviour: the shipped shadow rules on `signal.*`, as a gate behind a watch would judge."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from msgspec.structs import asdict, replace

from streams.behaviour.activity import HOUR_MS, Activity, digest_of
from streams.behaviour.detectors.loops import RING_MAX, Lately, told_repeats
from streams.behaviour.detectors.spread import Places, visited
from streams.behaviour.profiles import Profile, RiskPoint, updated_profile, with_risk
from streams.behaviour.usual import NOT_KNOWN, Unusual, Usual, compared, usual_of
from streams.behaviour.watcher import Observed
from streams.policy.language.bundle import load_bundle
from streams.policy.results import RuleEffect, RuleMatch
from streams.policy.runtime.ruleset import CompiledRuleset, compile_bundle
from streams.processors.control.baselines import EPOCHS_MAX
from streams.processors.gate.observed import REPEAT_WINDOW_MS
from streams.processors.gate.signals import RETURN_WINDOW_MS
from streams.wiring.shipped import shadow_rules_directory


@lru_cache(maxsize=1)
def shadow_rules() -> CompiledRuleset:
    """Return the shipped rules, compiled."""
    return compile_bundle(load_bundle(shadow_rules_directory()))


class _Session:
    """What a gate keeps of a session."""

    def __init__(self) -> None:
        self.ring = Lately()
        self.places = Places()
        self.hour, self.hour_calls, self.tool, self.run = -1, 0, "", 0

    def after(self, activity: Activity) -> dict[str, int]:
        """Return what the session itself says about a call of it."""
        self.ring = self.ring.after(digest_of(activity.call), activity.time_ms, REPEAT_WINDOW_MS, RING_MAX)
        self.run = self.run + 1 if activity.tool == self.tool else 1
        self.tool, hour = activity.tool, activity.time_ms // HOUR_MS
        self.hour, self.hour_calls = hour, self.hour_calls + 1 if hour == self.hour else 1
        if activity.instance:
            self.places, _ = visited(self.places, activity.instance, activity.time_ms, RETURN_WINDOW_MS)
        return {"repeats": told_repeats(activity.tool, self.ring), "run": self.run, "returns": self.places.returns}


class Stops:
    """Judges calls by the rules. Baselines are as old as a watch publishes them, an hour at most; risks are current."""

    def __init__(self) -> None:
        self._rules = shadow_rules()
        self._sessions: dict[str, _Session] = {}
        self._profiles: dict[str, dict[str, Profile]] = {}
        self._usual: dict[str, tuple[int, Usual]] = {}
        self._quarantined: set[str] = set()
        self._asked: set[tuple[str, str, str]] = set()
        self._tools: dict[str, dict[str, Any]] = {}

    def stopped_by(self, activity: Activity) -> tuple[str, ...]:
        """Return the rules that would stop a call, before the watch has seen it.

        A rule asks once about a tool of a session: people can approve the further calls of the session with their first
        answer, and do so if the work is honest.
        """
        session = self._sessions.setdefault(activity.session, _Session())
        signal = session.after(activity)
        unusual = self._unusual(activity, session.hour_calls)
        signal |= asdict(unusual)
        facts = {"tool": self._tool(activity.tool), "signal": signal, "session": {"tainted": not activity.is_trusted}}
        found = self._rules.evaluate(facts).rules
        if any(match.effect is RuleEffect.QUARANTINE for match in found):
            self._quarantined.add(activity.session)
        names = tuple(match.rule_id for match in found if self._stops(match, activity))
        return names or (("quarantined",) if activity.session in self._quarantined else ())

    def _stops(self, match: RuleMatch, activity: Activity) -> bool:
        """Return whether a rule stops a call, and remember what it has asked about."""
        question = (activity.session, activity.tool, match.rule_id)
        is_known = question in self._asked
        if match.effect is RuleEffect.REQUIRE_APPROVAL:
            self._asked.add(question)
        return not is_known

    def learn(self, activity: Activity, observed: Observed) -> None:
        """Learn what the watch has learned from a call."""
        epochs = self._profiles.setdefault(activity.agent, {})
        profile = epochs.get(activity.epoch)
        if observed.has_learned:
            profile = updated_profile(profile, activity)
        if profile is None:
            return
        for risk in observed.risks:
            if risk.key == ("agent.id",):
                profile = with_risk(profile, RiskPoint("", risk.share, activity.time_ms, risk.half_life_ms)) or profile
        # The newest epoch stands last.
        epochs.pop(activity.epoch, None)
        epochs[activity.epoch] = profile

    def _unusual(self, activity: Activity, hour_calls: int) -> Unusual:
        profiles = list(self._profiles.get(activity.agent, {}).values())[-EPOCHS_MAX:]
        if not profiles:
            return NOT_KNOWN
        hour, known = activity.time_ms // HOUR_MS, self._usual.get(activity.agent)
        if known is None or known[0] != hour:
            known = (hour, usual_of(profiles))
            self._usual[activity.agent] = known
        found = compared(known[1], activity.tool, activity.destination, activity.amount, activity.time_ms, hour_calls)
        return _with_risk_of(found, profiles, activity.time_ms)

    def _tool(self, name: str) -> dict[str, Any]:
        server, _, tool = name.partition(".")
        return self._tools.setdefault(
            name, {"id": name, "server_id": server, "name": tool, "version": "1", "read_only": False}
        )


def _with_risk_of(unusual: Unusual, profiles: Iterable[Profile], now_ms: int) -> Unusual:
    risk = max((point.at(now_ms) for profile in profiles for point in profile.risks), default=0.0)
    return replace(unusual, agent_risk=int(100 * risk))
