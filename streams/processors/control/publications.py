"""Decide which publications of rules count, and which rules are in force for a session.

Every publication is a record of its own with a serial that only rises. What is in force follows from all of them,
whatever order they are read in: the publication with the highest serial that is for all sessions and compiles, and
above it the one with the highest serial that is for a share of them. So a gate that starts reaches the same state as
one that has been running, and a bad bundle changes nothing.

What must not come back is remembered outside of the topic, too: every partition stores the highest serial that was
seen, and the serial of the rules in force. If the topic is wiped, or old records are written to it again, no rules are
in force at all.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from streams.audit.publishers import Publishers
from streams.model.bundle_signature import publication_key
from streams.model.control import BundleAction, RulesetBundle
from streams.model.errors import RecordError
from streams.model.reasons import ControlReason, DeadLetterReason
from streams.model.topics import RULESET
from streams.policy import PolicyError
from streams.policy.language.bundle import BundleSource
from streams.policy.runtime.ruleset import CompiledRuleset, Tool, active_tools
from streams.processors.control.compilation import BundleCompiler, CompiledBundles, CompilerFailedError
from streams.processors.control.publication_checks import CANARY_BP_ALL, usable_source, without_files

_log = logging.getLogger(__name__)
CANDIDATES_MAX = 128
COMPILE_TRIES_MAX = 3
BEHIND_MS_MAX = 5_000
"""How long rules may be older than those in force before until an event reports it."""
EARLY_MAX = 256
WARM_TOOLS_MAX = 256

_ACTION_REASONS = {
    BundleAction.PUBLISH: ControlReason.RULES_PUBLISHED,
    BundleAction.PROMOTE: ControlReason.RULES_PROMOTED,
    BundleAction.ROLLBACK: ControlReason.RULES_ROLLED_BACK,
    BundleAction.WITHDRAW: ControlReason.RULES_WITHDRAWN,
}
_encode = msgspec.msgpack.Encoder().encode
_decode_memory = msgspec.msgpack.Decoder(tuple[int, int]).decode


class InForce(NamedTuple):
    """Holds rules that judge sessions.

    Attributes:
        serial: the serial of their publication.
        offset: the offset of their publication.
        digest: the digest of the bundle.
        ruleset: the compiled rules; None if the rules were withdrawn.
        canary_bp: the share of sessions that they judge, in hundredths of a percent; 0 for every session.
    """

    serial: int
    offset: int
    digest: bytes
    ruleset: CompiledRuleset | None
    canary_bp: int

    def takes(self, session_key: bytes) -> bool:
        """Tell whether the rules judge a session; every gate gives the same answer."""
        drawn = hashlib.sha256(self.digest + session_key).digest()
        return int.from_bytes(drawn[:8], "big") % CANARY_BP_ALL < self.canary_bp


class RulesEvent(NamedTuple):
    """Reports the effect of a publication.

    Attributes:
        name: the name of the bundle.
        bundle: the bundle without its files; None if the topic as a whole is behind what was in force.
        offset: the publication's offset on its topic.
        signers: the publishers whose signatures are valid.
        reason: the effect; None if the publication was rejected.
        error: why the publication was rejected.
        detail: further details in words.
    """

    name: str
    bundle: RulesetBundle | None
    offset: int
    signers: tuple[str, ...]
    reason: ControlReason | None
    error: RecordError | None
    detail: str = ""

    @property
    def topic(self) -> str:
        """The topic of publications."""
        return RULESET.name


class _Signed(NamedTuple):
    """Holds a publication with its valid signatures."""

    bundle: RulesetBundle
    offset: int
    signers: tuple[str, ...]


@dataclass(slots=True)
class _Candidate:
    """Holds a publication that counts, and whose effect is not decided yet."""

    bundle: RulesetBundle
    source: BundleSource
    offset: int
    signers: tuple[str, ...]
    tries_count: int = 0

    @property
    def serial(self) -> int:
        return self.bundle.serial

    @property
    def is_canary(self) -> bool:
        return self.bundle.canary_bp > 0


@dataclass
class Publications:
    """Holds the publications of one bundle.

    Attributes:
        name: the bundle that is enforced; others are ignored.
        publishers: whose signatures count.
        compiler: compiles the bundle's files.
        stable: the rules of all sessions that `canary` does not judge.
        canary: the rules of a share of the sessions.
    """

    name: str
    publishers: Publishers
    compiler: BundleCompiler
    stable: InForce | None = None
    canary: InForce | None = None
    _highest: int = -1
    _highest_key: bytes = b""
    _highest_before: int = -1
    _stable_before: int = -1
    _behind_since_ms: int | None = None
    _is_behind_reported: bool = False
    _early: list[_Signed] | None = field(default_factory=list)
    _candidates: list[_Candidate] = field(default_factory=list)
    _former: _Candidate | None = None
    _events: list[RulesEvent] = field(default_factory=list)
    _memory: bytes | None = None
    _compiled: CompiledBundles = field(init=False)

    def __post_init__(self) -> None:
        self._compiled = CompiledBundles(self.compiler)

    @property
    def is_behind(self) -> bool:
        """Whether rules were in force, at this or another gate, that are newer than all rules on the topic."""
        if self._highest >= self._highest_before and self._stable_serial >= self._stable_before:
            return False
        # If a candidate here has that serial, another gate has only compiled it faster.
        return self._highest < self._highest_before or not any(
            each.serial >= self._stable_before and not each.is_canary for each in self._candidates
        )

    @property
    def is_busy(self) -> bool:
        """Whether `advance` has work to do, rather than waiting for another process."""
        return self._compiled.is_busy

    @property
    def _stable_serial(self) -> int:
        return -1 if self.stable is None else self.stable.serial

    def in_force(self, session_key: bytes) -> InForce | None:
        """Return the rules of a session; None if there are none, or if they are not the latest."""
        stable = self.stable
        # What `is_behind` asks first, asked here once more: every intent comes here twice.
        is_ahead = stable is not None and stable.serial >= self._stable_before
        if not (is_ahead and self._highest >= self._highest_before) and self.is_behind:
            return None
        if self.canary is not None and self.canary.takes(session_key):
            return self.canary
        return stable

    def offer(self, bundle: RulesetBundle, offset: int) -> bool:
        """Apply a publication, and tell whether it is of this bundle; an event reports its effect later."""
        if bundle.name != self.name:
            return False
        try:
            signed = _Signed(bundle, offset, self.publishers.signers(bundle))
        except RecordError as error:
            self._reject(_Signed(bundle, offset, ()), error)
            return True
        if self._early is None:
            self._admit(signed)
            return True
        self._early.append(signed)
        for dropped in self._early[:-EARLY_MAX]:
            self._report(dropped, ControlReason.RULES_SUPERSEDED)
        del self._early[:-EARLY_MAX]
        return True

    def settle(self) -> None:
        """Decide on all publications that were on the topic at the start, once all were offered. Blocks."""
        early, self._early = self._early or [], None
        # By serial, because a record that was written again comes after those that superseded it.
        for signed in sorted(early, key=lambda each: (each.bundle.serial, each.offset)):
            self._admit(signed)
        while self._candidates:
            self._step(blocking=True)

    def advance(self, now_ms: int) -> None:
        """Continue work that takes time, for some milliseconds at most.

        Args:
            now_ms: of a clock that never goes back.
        """
        self._watch_behind(now_ms)
        while self._candidates and self._step(blocking=False):
            pass
        if not self._candidates:
            self._prepare_former()

    def take_events(self) -> list[RulesEvent]:
        """Return the effects of publications since the last call."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Stop compiling."""
        self._compiled.cancel()

    # What partitions remember

    def memory(self) -> bytes | None:
        """Return what every partition must remember; the same object until it changes, None before a publication."""
        highest = max(self._highest, self._highest_before)
        stable = max(self._stable_serial, self._stable_before)
        if highest < 0:
            return None
        memory = _encode((highest, stable))
        if memory != self._memory:
            self._memory = memory
        return self._memory

    def recall(self, memory: bytes) -> None:
        """Merge what a partition that was taken over has remembered."""
        highest, stable = _decode_memory(memory)
        self._highest_before = max(self._highest_before, highest)
        self._stable_before = max(self._stable_before, stable)

    def _watch_behind(self, now_ms: int) -> None:
        """Report that the topic is behind, after a while: its newest record may not have been read yet."""
        if not self.is_behind:
            self._behind_since_ms, self._is_behind_reported = None, False
            return
        if self._behind_since_ms is None:
            self._behind_since_ms = now_ms
        if self._is_behind_reported or now_ms - self._behind_since_ms < BEHIND_MS_MAX:
            return
        self._is_behind_reported = True
        detail = (
            f"the highest serial of bundle `{self.name}` is {self._highest}, and {self._stable_serial} is in force; "
            f"before, it was {self._highest_before}, and {self._stable_before} was in force: restore the topic, or "
            "publish rules under a higher serial"
        )
        _log.error("every call is denied: %s", detail)
        self._events.append(RulesEvent(self.name, None, -1, (), ControlReason.RULES_TOPIC_BEHIND, None, detail))

    # Which publications count

    def _admit(self, signed: _Signed) -> None:
        key = publication_key(signed.bundle)
        if signed.bundle.serial == self._highest and key == self._highest_key:
            self._report(signed, ControlReason.RULES_REPEATED)
            return
        try:
            self._check_serial(signed.bundle)
            source = usable_source(signed.bundle)
        except RecordError as error:
            self._reject(signed, error)
            return
        self._candidates.append(_Candidate(without_files(signed.bundle), source, signed.offset, signed.signers))
        for dropped in self._candidates[:-CANDIDATES_MAX]:
            self._report(dropped, ControlReason.RULES_SUPERSEDED)
        del self._candidates[:-CANDIDATES_MAX]

    def _check_serial(self, bundle: RulesetBundle) -> None:
        floor = max(self._highest, self._highest_before - 1)
        if bundle.serial <= floor:
            text = (
                f"bundle `{bundle.name}` serial {bundle.serial} is rejected: serial "
                f"{max(self._highest, self._highest_before)} was published before; to return to an old bundle, run "
                "`stoplog rules rollback`, which publishes it under a new serial"
            )
            raise RecordError(DeadLetterReason.BUNDLE_ROLLED_BACK, text)
        self._highest, self._highest_key = bundle.serial, publication_key(bundle)

    def _reject(self, signed: _Signed | _Candidate, error: RecordError) -> None:
        bundle = without_files(signed.bundle)
        self._events.append(RulesEvent(self.name, bundle, signed.offset, signed.signers, None, error))

    def _report(self, signed: _Signed | _Candidate, reason: ControlReason) -> None:
        bundle = without_files(signed.bundle)
        self._events.append(RulesEvent(self.name, bundle, signed.offset, signed.signers, reason, None))

    # From newest to oldest: what is found first ends the search

    def _step(self, *, blocking: bool) -> bool:
        """Decide on the newest candidate, and tell whether that is done."""
        candidate = max(self._candidates, key=lambda each: each.serial)
        if candidate.bundle.action is BundleAction.WITHDRAW:
            self._accept(candidate, None)
            return True
        try:
            ruleset = self._compile(candidate, blocking=blocking)
        except CompilerFailedError as error:
            candidate.tries_count += 1
            _log.warning("bundle `%s` serial %d: %s", self.name, candidate.serial, error)
            if candidate.tries_count >= COMPILE_TRIES_MAX:
                self._drop(candidate, f"could not be compiled: {error}")
            return False
        except PolicyError as error:
            self._drop(candidate, str(error))
            return True
        if ruleset is None:
            return False
        self._accept(candidate, ruleset)
        return True

    def _compile(self, candidate: _Candidate, *, blocking: bool) -> CompiledRuleset | None:
        """Return the candidate's rules; None while they are compiled."""
        return self._compiled.rules_of(candidate.source, self._active_tools, blocking=blocking)

    def _active_tools(self) -> tuple[Tool, ...]:
        ruleset = None if self.stable is None else self.stable.ruleset
        return () if ruleset is None else active_tools(ruleset, WARM_TOOLS_MAX)

    def _drop(self, candidate: _Candidate, why: str) -> None:
        self._candidates.remove(candidate)
        text = f"bundle `{self.name}` serial {candidate.serial} is rejected: {why}"
        self._reject(candidate, RecordError(DeadLetterReason.BUNDLE_INVALID, text))

    def _accept(self, candidate: _Candidate, ruleset: CompiledRuleset | None) -> None:
        bundle = candidate.bundle
        rules = InForce(bundle.serial, candidate.offset, bundle.digest, ruleset, bundle.canary_bp)
        self._candidates.remove(candidate)
        # An older candidate can't come into force any more. A canary leaves the candidates for all sessions alone.
        over = [each for each in self._candidates if each.serial < rules.serial]
        if candidate.is_canary:
            over = [each for each in over if each.is_canary]
            self.canary = rules
            self._report(candidate, ControlReason.RULES_CANARY_STARTED)
        else:
            self.stable = rules
            if self.canary is not None and self.canary.serial < rules.serial:
                self.canary = None
            self._set_former(over)
            self._report(candidate, _ACTION_REASONS[bundle.action])
        for each in over:
            self._candidates.remove(each)
            self._report(each, ControlReason.RULES_SUPERSEDED)
        self._forget_compiled()
        _log.info("bundle `%s` serial %d: %s", self.name, rules.serial, self._events[-1 - len(over)].reason)

    def _forget_compiled(self) -> None:
        self._compiled.forget_but(rules.digest for rules in (self.stable, self.canary) if rules is not None)

    def _set_former(self, over: list[_Candidate]) -> None:
        """Note the newest of the superseded candidates: the rules to which a person would roll back."""
        other = [each for each in over if not each.is_canary and each.bundle.action is not BundleAction.WITHDRAW]
        self._former = max(other, key=lambda each: each.serial, default=None)

    def _prepare_former(self) -> None:
        former = self._former
        if former is None or self._early is not None:
            return
        try:
            if self._compile(former, blocking=False) is None:
                return
        except (PolicyError, CompilerFailedError) as error:
            _log.info("bundle `%s` serial %d can't be compiled for a rollback: %s", self.name, former.serial, error)
        self._former = None
        self._forget_compiled()
