"""Publications of rules: which of them count, and which rules are in force for a session.

Every publication is a record of its own with a serial that only rises. What is in force follows from all of them
together, whatever order they are read in: the newest one that is for all sessions and compiles, and above it the newest
one that is for a share of them. So a gate that starts reads the same as one that was there all along, and a bad bundle
changes nothing.

What must not come back is remembered outside of the topic, too: every partition keeps the highest serial that was seen,
and that of the rules in force. Whoever wipes the topic, or puts old records there again, gets no rules at all.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from streams.audit.publishers import Publishers
from streams.model.bundle_files import files_of
from streams.model.bundle_signature import publication_key
from streams.model.control import BundleAction, RulesetBundle
from streams.model.errors import RecordError
from streams.model.reasons import ControlReason, DeadLetterReason
from streams.model.topics import RULESET
from streams.policy import PolicyError, bundle_from_files
from streams.policy.language.bundle import BundleSource
from streams.policy.runtime.portable import active_tools
from streams.policy.runtime.ruleset import CompiledRuleset, Tool
from streams.processors.control.compilation import BundleCompiler, Compilation, CompilerFailedError

_log = logging.getLogger(__name__)
CANDIDATES_MAX = 128
COMPILED_KEPT_MAX = 4
"""Those in force, and those before them: going back to them takes no time."""
COMPILE_TRIES_MAX = 3
BEHIND_MS_MAX = 5_000
"""After so long, rules that are older than others were before are an alarm."""
EARLY_MAX = 256
WARM_TOOLS_MAX = 256
CANARY_BP_ALL = 10_000

_ACTION_REASONS = {
    BundleAction.PUBLISH: ControlReason.RULES_PUBLISHED,
    BundleAction.PROMOTE: ControlReason.RULES_PROMOTED,
    BundleAction.ROLLBACK: ControlReason.RULES_ROLLED_BACK,
    BundleAction.WITHDRAW: ControlReason.RULES_WITHDRAWN,
}
_encode = msgspec.msgpack.Encoder().encode
_decode_memory = msgspec.msgpack.Decoder(tuple[int, int]).decode


class InForce(NamedTuple):
    """Rules that judge sessions. `ruleset` is None where they were withdrawn; `canary_bp` 0 is every session."""

    serial: int
    offset: int
    digest: bytes
    ruleset: CompiledRuleset | None
    canary_bp: int

    def takes(self, session_key: bytes) -> bool:
        """Whether a session belongs to the share that the rules are for; the same wherever it is asked."""
        drawn = hashlib.sha256(self.digest + session_key).digest()
        return int.from_bytes(drawn[:8], "big") % CANARY_BP_ALL < self.canary_bp


class RulesEvent(NamedTuple):
    """What became of a publication.

    Attributes:
        name: the bundle's.
        bundle: it, without its files; None where the topic as a whole is behind what was in force.
        offset: where it stands on its topic.
        signers: the publishers whose signatures hold.
        reason: what it has done; None where it was refused.
        error: why it was refused.
        detail: what else there is to say.
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
        """Where publications stand."""
        return RULESET.name


class _Signed(NamedTuple):
    """A publication with the signatures that it needs."""

    bundle: RulesetBundle
    offset: int
    signers: tuple[str, ...]


@dataclass(slots=True)
class _Candidate:
    """A publication that counts, and of which is not decided yet what it does."""

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
    """The publications of one bundle.

    Attributes:
        name: the bundle that is enforced; others are ignored.
        publishers: whose signatures count.
        compiler: how files become rules.
        stable: the rules of all sessions that no other rules are for.
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
    _told_behind: bool = False
    _early: list[_Signed] | None = field(default_factory=list)
    _candidates: list[_Candidate] = field(default_factory=list)
    _former: _Candidate | None = None
    _running: tuple[_Candidate, Compilation] | None = None
    _compiled: OrderedDict[bytes, CompiledRuleset] = field(default_factory=OrderedDict)
    _events: list[RulesEvent] = field(default_factory=list)
    _memory: bytes | None = None

    @property
    def is_behind(self) -> bool:
        """Whether rules were in force, here or at another gate, that are newer than all on the topic."""
        if self._highest >= self._highest_before and self._stable_serial >= self._stable_before:
            return False
        # Another gate was faster to compile what is known here, too: that is no way back.
        return self._highest < self._highest_before or not any(
            each.serial >= self._stable_before and not each.is_canary for each in self._candidates
        )

    @property
    def is_busy(self) -> bool:
        """Whether `advance` has something to do, rather than to wait for another process."""
        return self._running is not None and self._running[1].is_busy

    @property
    def _stable_serial(self) -> int:
        return -1 if self.stable is None else self.stable.serial

    def in_force(self, session_key: bytes) -> InForce | None:
        """The rules of a session; None: there are none, or not the newest ones."""
        if self.is_behind:
            return None
        if self.canary is not None and self.canary.takes(session_key):
            return self.canary
        return self.stable

    def offer(self, bundle: RulesetBundle, offset: int) -> bool:
        """Take in a publication; an event tells later what became of it. Whether it is one of this bundle."""
        if bundle.name != self.name:
            return False
        try:
            signed = _Signed(bundle, offset, self.publishers.signers(bundle))
        except RecordError as error:
            self._refuse(_Signed(bundle, offset, ()), error)
            return True
        if self._early is None:
            self._admit(signed)
            return True
        self._early.append(signed)
        for dropped in self._early[:-EARLY_MAX]:
            self._tell(dropped, ControlReason.RULES_SUPERSEDED)
        del self._early[:-EARLY_MAX]
        return True

    def settle(self) -> None:
        """All that stood on the topic at the start was offered: decide on all of it. Blocks."""
        early, self._early = self._early or [], None
        # By serial, because a record that was put there again stands behind those that came after it.
        for signed in sorted(early, key=lambda each: (each.bundle.serial, each.offset)):
            self._admit(signed)
        while self._candidates:
            self._step(blocking=True)

    def advance(self, now_ms: int) -> None:
        """Go on with what takes time, for some milliseconds at most.

        Args:
            now_ms: of a clock that never goes back.
        """
        self._watch_behind(now_ms)
        while self._candidates and self._step(blocking=False):
            pass
        if not self._candidates:
            self._prepare_former()

    def take_events(self) -> list[RulesEvent]:
        """What has become of publications since this was last asked."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Drop what is under way."""
        self._cancel()

    # What is remembered elsewhere

    def memory(self) -> bytes | None:
        """What every partition is to remember: the same object until it changes. None before there is anything."""
        highest = max(self._highest, self._highest_before)
        stable = max(self._stable_serial, self._stable_before)
        if highest < 0:
            return None
        memory = _encode((highest, stable))
        if memory != self._memory:
            self._memory = memory
        return self._memory

    def recall(self, memory: bytes) -> None:
        """What a partition remembered when it was taken over."""
        highest, stable = _decode_memory(memory)
        self._highest_before = max(self._highest_before, highest)
        self._stable_before = max(self._stable_before, stable)

    def _watch_behind(self, now_ms: int) -> None:
        """Being behind for a moment is nothing: the newest record may not have been read yet."""
        if not self.is_behind:
            self._behind_since_ms, self._told_behind = None, False
            return
        if self._behind_since_ms is None:
            self._behind_since_ms = now_ms
        if self._told_behind or now_ms - self._behind_since_ms < BEHIND_MS_MAX:
            return
        self._told_behind = True
        detail = (
            f"the highest serial of bundle `{self.name}` is {self._highest}, and {self._stable_serial} is in force; "
            f"before it was {self._highest_before}, and {self._stable_before}: restore the topic, or publish above that"
        )
        _log.error("denying everything: %s", detail)
        self._events.append(RulesEvent(self.name, None, -1, (), ControlReason.RULES_TOPIC_BEHIND, None, detail))

    # Which publications count

    def _admit(self, signed: _Signed) -> None:
        key = publication_key(signed.bundle)
        if signed.bundle.serial == self._highest and key == self._highest_key:
            self._tell(signed, ControlReason.RULES_REPEATED)
            return
        try:
            self._check_serial(signed.bundle)
            source = _checked_source(signed.bundle)
        except RecordError as error:
            self._refuse(signed, error)
            return
        self._candidates.append(_Candidate(_without_files(signed.bundle), source, signed.offset, signed.signers))
        for dropped in self._candidates[:-CANDIDATES_MAX]:
            self._tell(dropped, ControlReason.RULES_SUPERSEDED)
        del self._candidates[:-CANDIDATES_MAX]

    def _check_serial(self, bundle: RulesetBundle) -> None:
        floor = max(self._highest, self._highest_before - 1)
        if bundle.serial <= floor:
            text = (
                f"bundle `{bundle.name}` serial {bundle.serial} is refused: serial "
                f"{max(self._highest, self._highest_before)} was there already; an old bundle comes back by "
                "`stoplog rules rollback`, under a new serial"
            )
            raise RecordError(DeadLetterReason.BUNDLE_ROLLED_BACK, text)
        self._highest, self._highest_key = bundle.serial, publication_key(bundle)

    def _refuse(self, signed: _Signed | _Candidate, error: RecordError) -> None:
        bundle = _without_files(signed.bundle)
        self._events.append(RulesEvent(self.name, bundle, signed.offset, signed.signers, None, error))

    def _tell(self, signed: _Signed | _Candidate, reason: ControlReason) -> None:
        bundle = _without_files(signed.bundle)
        self._events.append(RulesEvent(self.name, bundle, signed.offset, signed.signers, reason, None))

    # From newest to oldest: what is found first ends the search

    def _step(self, *, blocking: bool) -> bool:
        """Decide on the newest candidate; False if that takes longer."""
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
        """The candidate's rules; None while they are made."""
        digest = candidate.source.digest
        if digest in self._compiled:
            self._compiled.move_to_end(digest)
            return self._compiled[digest]
        if self._running is None or self._running[0] is not candidate:
            self._cancel()
            self._running = (candidate, self.compiler.start(candidate.source, self._active_tools()))
        compilation = self._running[1]
        try:
            ruleset = compilation.result() if blocking else compilation.advance()
        except (PolicyError, CompilerFailedError):
            self._running = None
            raise
        if ruleset is None:
            return None
        self._running = None
        if ruleset.digest != digest:
            raise CompilerFailedError("other rules came back than were to be compiled")
        self._compiled[digest] = ruleset
        return ruleset

    def _active_tools(self) -> tuple[Tool, ...]:
        ruleset = None if self.stable is None else self.stable.ruleset
        return () if ruleset is None else active_tools(ruleset, WARM_TOOLS_MAX)

    def _cancel(self) -> None:
        if self._running is not None:
            self._running[1].cancel()
            self._running = None

    def _drop(self, candidate: _Candidate, why: str) -> None:
        self._candidates.remove(candidate)
        text = f"bundle `{self.name}` serial {candidate.serial} is refused: {why}"
        self._refuse(candidate, RecordError(DeadLetterReason.BUNDLE_INVALID, text))

    def _accept(self, candidate: _Candidate, ruleset: CompiledRuleset | None) -> None:
        bundle = candidate.bundle
        rules = InForce(bundle.serial, candidate.offset, bundle.digest, ruleset, bundle.canary_bp)
        self._candidates.remove(candidate)
        # An older one can't come into force any more; but below a canary, the rules of all others are still wanted.
        over = [each for each in self._candidates if each.serial < rules.serial]
        if candidate.is_canary:
            over = [each for each in over if each.is_canary]
            self.canary = rules
            self._tell(candidate, ControlReason.RULES_CANARY_STARTED)
        else:
            self.stable = rules
            if self.canary is not None and self.canary.serial < rules.serial:
                self.canary = None
            self._note_former(over)
            self._tell(candidate, _ACTION_REASONS[bundle.action])
        for each in over:
            self._candidates.remove(each)
            self._tell(each, ControlReason.RULES_SUPERSEDED)
        self._forget_compiled()
        _log.info("bundle `%s` serial %d: %s", self.name, rules.serial, self._events[-1 - len(over)].reason)

    def _forget_compiled(self) -> None:
        """Keep the newest of what was compiled, and what is in force."""
        wanted = {rules.digest for rules in (self.stable, self.canary) if rules is not None}
        for digest in list(self._compiled):
            if len(self._compiled) <= COMPILED_KEPT_MAX:
                return
            if digest not in wanted:
                del self._compiled[digest]

    def _note_former(self, over: list[_Candidate]) -> None:
        """Of what was over before it began, the newest: the rules that a person would go back to."""
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
            _log.info("bundle `%s` serial %d can't be made ready: %s", self.name, former.serial, error)
        self._former = None
        self._forget_compiled()


def _without_files(bundle: RulesetBundle) -> RulesetBundle:
    return msgspec.structs.replace(bundle, files=(), packed=b"")


def _checked_source(bundle: RulesetBundle) -> BundleSource:
    """The files of a publication that says what it is.

    Raises:
        RecordError: it contradicts itself.
    """
    what = f"bundle `{bundle.name}` serial {bundle.serial} is refused"
    try:
        source = bundle_from_files(files_of(bundle))
    except ValueError as error:
        raise RecordError(DeadLetterReason.BUNDLE_INVALID, f"{what}: {error}") from None
    fault = None
    if source.digest != bundle.digest:
        fault = "its files do not have the digest it states"
    elif bundle.action is BundleAction.UNKNOWN:
        fault = "what it is for is not known here; a newer gate may know"
    elif (bundle.action is BundleAction.WITHDRAW) is bool(source.files):
        fault = "only a bundle that withdraws the rules has no files"
    elif not 0 <= bundle.canary_bp < CANARY_BP_ALL:
        fault = f"a share of {bundle.canary_bp} hundredths of a percent makes no sense"
    elif bundle.canary_bp and bundle.action is not BundleAction.PUBLISH:
        fault = "only a new bundle can be for a share of the sessions"
    if fault is not None:
        raise RecordError(DeadLetterReason.BUNDLE_INVALID, f"{what}: {fault}")
    return source
