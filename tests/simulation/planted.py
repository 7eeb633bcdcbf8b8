"""Bugs to be planted into the engine and the gate. The simulator must catch each of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from simulation import simulator
from simulation.seals import SEAL_KEY, BatchSeals
from simulation.simulator import Ingredients
from simulation.workload import TENANTS
from streams.audit.notes import Signer
from streams.audit.releasers import ANYBODY
from streams.audit.report_keys import ServerKeys
from streams.delegation.authority import Authority
from streams.delegation.digest import lineage_of
from streams.delegation.tools import GrantedTool
from streams.engine.broadcasts import Broadcasts
from streams.engine.input_buffer import InputBuffer
from streams.engine.placement import InputPlacement
from streams.engine.record_steps import RecordSteps
from streams.engine.settings import EngineSettings
from streams.engine.standbys import Standbys
from streams.engine.state import PartitionState
from streams.engine.task import PartitionTask
from streams.engine.time_watch import TimeWatch
from streams.engine.transaction import Transaction
from streams.engine.worker import Worker
from streams.inmemory.broker import MemoryBroker
from streams.inmemory.clients import MemoryReader
from streams.model.errors import RecordError
from streams.model.intent import Intent, ReplyTo
from streams.model.topics import REVOCATION, outcome_topic
from streams.model.verdict import Outcome
from streams.ports import GroupMetadata, Outgoing, Reader, Received, TopicPartition
from streams.ports.processor import Output, StateView
from streams.ports.wire import Encoder, Wire
from streams.processors.control.state import ControlState
from streams.processors.dedup import flood
from streams.processors.gate import conclusion, intents, order, outcomes, reports, session_events
from streams.processors.gate.checks.time import check_time
from streams.processors.gate.conclusion import Concluder
from streams.processors.gate.gate import Gate
from streams.processors.gate.intents import Intents
from streams.processors.rows import SEALED_KEY, verdict_row_key
from streams.processors.seals import Seals
from streams.processors.sessions import grants, revocation_cascade
from streams.processors.settings import GateSettings

Plant = Callable[[pytest.MonkeyPatch, Ingredients], Ingredients]


def state_before_commit(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """Stores are written first, the transaction is committed afterwards."""

    def commit(self: Transaction, tasks: Mapping[int, PartitionTask], group: GroupMetadata) -> None:
        ends: dict[int, int] = {}
        offsets: dict[TopicPartition, int] = {}
        for task in tasks.values():
            task.note_time()
            offsets.update(task.offsets() or task.all_offsets())
            self._send_changes(task, ends)
            end = task.state._store.changelog_offset() or 0
            task.state._store.apply(task.state.changes(), end)
        self._producer.send_offsets(offsets, group)
        self._producer.commit()
        self._opened_ms = None
        for task in tasks.values():
            task.committed(ends.get(task.partition))

    patch.setattr(Transaction, "commit", commit)
    return healthy


def no_abort_on_loss(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """Partitions are lost, but the open transaction goes on and is committed with the next assignment's."""
    commit = Worker._commit
    patch.setattr(Worker, "on_lost", lambda self, partitions: self._forget_assignment())
    patch.setattr(Worker, "_commit", lambda self: commit(self) if self._group is not None else None)
    return healthy


def offset_off_by_one(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """The offset of the last record is committed, not that of the next one."""
    offsets = PartitionTask.offsets

    def one_less(self: PartitionTask) -> dict[TopicPartition, int]:
        return {partition: max(offset - 1, 0) for partition, offset in offsets(self).items()}

    patch.setattr(PartitionTask, "offsets", one_less)
    return healthy


def restore_to_the_last_stable_offset(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A predecessor's transaction that is decided but not marked yet is not waited for."""

    def stable_ends(self: MemoryReader, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        broker: MemoryBroker = self._broker
        return {partition: broker.partition(partition).last_stable_offset for partition in partitions}

    patch.setattr(MemoryReader, "end_offsets", stable_ends)
    return healthy


def duplicates_not_detected(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """An intent that was judged is judged again."""
    process = Intents.process

    def forgetful(
        self: Intents, session_key: bytes, intent: Intent, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        state.delete(verdict_row_key(session_key, intent.intent_id))
        return process(self, session_key, intent, state, received_ms, now_ms)

    patch.setattr(Intents, "process", forgetful)
    return healthy


def transactions_of_any_age(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A transaction takes in all that was polled, however old it gets meanwhile."""
    is_full = Transaction.is_full

    def is_full_at_any_age(self: Transaction, settings: EngineSettings, records_max: int | None) -> bool:
        return is_full(self, replace(settings, transaction_age_max_ms=sys.maxsize), records_max)

    patch.setattr(Transaction, "is_full", is_full_at_any_age)
    return healthy


def timers_are_not_fenced(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A transaction in which only timers did anything is committed without offsets, so that nothing fences it."""
    patch.setattr(PartitionTask, "all_offsets", lambda self: {})
    return healthy


def half_steps_are_committed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A worker whose step failed commits what the step has left behind when it is stopped."""
    patch.setattr(Worker, "_failed", property(lambda self: False, lambda self, failed: None), raising=False)
    return healthy


def stream_time_starts_anew(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A new owner goes by the time of its first record alone."""
    patch.setattr(PartitionTask, "note_time", lambda self: None)
    return healthy


def revocations_are_ignored(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """What was taken back is still allowed."""

    def make(settings: GateSettings, wire: Wire, control: ControlState) -> Gate:
        control.revocations.reason_against = lambda call, now_ms: None
        return Gate(settings, wire, control)

    return healthy._replace(make_gate=make)


def writers_are_believed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """Whoever may write the topic of sessions opens and ends them."""
    patch.setattr(session_events, "is_proven_event", lambda key, event: True)
    return healthy


def reports_are_believed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A report counts without a proof."""
    patch.setattr(ServerKeys, "fault", lambda self, event, deployment: None)
    return healthy


def the_last_report_counts(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """What a verdict's first report was is forgotten, so each later one counts, too."""
    patch.setattr(reports, "set_reported", lambda *_: None)
    return healthy


def grants_are_believed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A grant holds because it is there."""
    patch.setattr(grants, "verify", lambda grant, *_: lineage_of(grant))
    return healthy


def bounds_are_not_asked(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A tool that a grant has may be called with any arguments."""
    patch.setattr(GrantedTool, "fault", lambda self, args: None)
    return healthy


def grants_hold_for_ever(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """That a grant has expired is asked when it arrives, and never again."""
    fault = Authority.fault
    patch.setattr(Authority, "fault", lambda self, server_id, name, args, now_ms: fault(self, server_id, name, args, 0))
    return healthy


def publications_are_reported_again(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A gate that starts puts on record again what it reads of rules."""

    def is_new(self: Broadcasts, record: Received | None, task: PartitionTask) -> bool:
        return True

    patch.setattr(Broadcasts, "_is_new", is_new)
    return healthy


def partitions_are_not_checked(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A record counts on whichever partition it lies."""
    patch.setattr(InputPlacement, "check", lambda _self, _record: None)
    return healthy


def intents_of_any_age(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """An intent is judged whenever it was made."""
    patch.setattr(order, "CHECKS", tuple(check for check in order.CHECKS if check is not check_time))
    return healthy


def left_out_letters_are_not_recorded(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """The end of a flood is not reported."""
    patch.setattr(Gate, "_end_flood", lambda _self, state: flood.end_window(state) and [])
    return healthy


def any_time_is_believed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """Stream time follows whatever a broker has stamped: the step is not bounded."""
    patch.setattr(TimeWatch, "admit", lambda self, records: (records, None))
    return healthy


def the_hosts_clock_is_believed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """Stream time of idle partitions follows this host's clock, whatever it shows."""
    patch.setattr(TimeWatch, "_idle_ms", lambda self: self._clock.now_ms() - self._margin_ms)
    return healthy


def ends_stamped_ahead_are_set_aside(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """The end of a session becomes a dead letter because of its time."""
    patch.setattr(Gate, "takes_effect_ahead", lambda self, record: False)
    return healthy


def releases_need_no_role(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """Whoever may stop may release, as nobody asks for the proof of a role."""
    patch.setattr(simulator, "RELEASERS", ANYBODY)
    return healthy


def ends_alone(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A session that is over takes nothing with it."""
    patch.setattr(revocation_cascade, "revocations_of_ended", lambda *_args: [])
    return healthy


def freezes_alone(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A session that is frozen takes nothing with it."""
    conclude = Concluder.conclude

    def without_stops(self: Concluder, *args: Any, **kwargs: Any) -> list[Output]:
        return [output for output in conclude(self, *args, **kwargs) if output.topic is not REVOCATION]

    patch.setattr(Concluder, "conclude", without_stops)
    return healthy


def seals_are_written_after_the_commit(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """The hook is called once the transaction is committed, and its seal goes into one of its own."""
    commit, hook, noted = Worker._commit, PartitionTask.before_commit, PartitionTask.committed

    def committed(self: PartitionTask, changelog_offset: int | None) -> None:
        written = list(self._written)
        noted(self, changelog_offset)
        self._written.extend(written)

    def commit_twice(self: Worker) -> None:
        if not self._transaction.is_open:
            return
        commit(self)
        self._transaction.ensure_open()
        for task in self._tasks.values():
            hook(task)
            task._written.clear()
        commit(self)

    patch.setattr(PartitionTask, "before_commit", lambda self: None)
    patch.setattr(PartitionTask, "committed", committed)
    patch.setattr(Worker, "_commit", commit_twice)
    return healthy


def state_of_the_hook_outlives_an_abort(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A transaction is aborted, but the row of the seals stays as the hook has left it."""
    aborted = PartitionState.aborted

    def kept(self: PartitionState) -> None:
        row = self.get(SEAL_KEY)
        aborted(self)
        if row is not None:
            self.put(SEAL_KEY, row)
            self.keep_record()

    patch.setattr(PartitionState, "aborted", kept)
    return healthy


def timers_are_not_sealed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """The hook is not called for a transaction in which only timers of an idle partition did anything."""
    hook, advance = PartitionTask.before_commit, PartitionTask.advance
    fired: set[PartitionTask] = set()

    def note(self: PartitionTask, now_ms: int) -> bool:
        has_fired = advance(self, now_ms)
        if has_fired:
            fired.add(self)
        return has_fired

    def unless_timers_only(self: PartitionTask) -> None:
        if self.offsets() or self not in fired:
            hook(self)
        fired.discard(self)

    patch.setattr(PartitionTask, "advance", note)
    patch.setattr(PartitionTask, "before_commit", unless_timers_only)
    return healthy


def aborted_records_are_sealed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """The hook is shown what an aborted transaction wrote, beside what the next one does."""
    return _kept_over_aborts(patch, healthy, "_written")


def aborted_reports_are_sealed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """The hook is shown what an aborted transaction has read, beside what the next one reads, which is the same."""
    return _kept_over_aborts(patch, healthy, "_read")


def _kept_over_aborts(patch: pytest.MonkeyPatch, healthy: Ingredients, name: str) -> Ingredients:
    """Let a task keep over an abort what its hook is to be shown."""
    aborted = PartitionTask.aborted

    def remembering(self: PartitionTask) -> dict[TopicPartition, int]:
        kept = list(getattr(self, name))
        offsets = aborted(self)
        getattr(self, name).extend(kept)
        return offsets

    patch.setattr(PartitionTask, "aborted", remembering)
    return healthy


def reports_that_do_not_count_are_not_sealed(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """What became a dead letter is not among the leaves, so that nobody knows what was read."""
    report = RecordSteps.report_dead_letter
    letters: set[tuple[str, int, int]] = set()

    def noting(self: RecordSteps, record: Received, error: RecordError, stream_time_ms: int) -> None:
        letters.add((record.topic, record.partition, record.offset))
        report(self, record, error, stream_time_ms)

    before_commit = Seals.before_commit

    def without_letters(
        self: Seals, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        kept = [each for each in read if (each.topic, each.partition, each.offset) not in letters]
        return before_commit(self, written, kept, state, now_ms)

    patch.setattr(RecordSteps, "report_dead_letter", noting)
    patch.setattr(Seals, "before_commit", without_letters)
    return healthy


def seals_remember_in_the_process(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """The hook keeps its chain in itself, and not in the state."""
    return healthy._replace(make_hook=_Remembering)


def sealed_logs_are_remembered_in_the_process(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """The gate goes on with the log that it sealed last, whether that was committed, and whoever has sealed since."""
    return healthy._replace(make_seals=_RememberingSeals)


def verdicts_given_again_are_sealed_once(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A batch in which a verdict comes twice has one leaf of it."""
    before_commit = Seals.before_commit

    def without_copies(
        self: Seals, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        return before_commit(self, list({record.value: record for record in written}.values()), read, state, now_ms)

    patch.setattr(Seals, "before_commit", without_copies)
    return healthy


def topics_are_joined_within_one_poll(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A topic of which the last poll has brought nothing holds back no other."""
    patch.setattr(InputBuffer, "_holds_back", lambda _self, _topic, _has_ended: False)
    return healthy


def standby_ahead_of_commit(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A standby applies what is on the changelog, committed or not."""

    def apply_all(self: Standbys, reader: Reader) -> None:
        assert isinstance(reader, MemoryReader)
        for number, standby in self._standbys.items():
            partition = reader._broker.partition(TopicPartition(self._changelog, number))
            entries = [entry for entry in partition.all_entries() if entry.offset >= standby.position]
            rows = {entry.key: entry.value for entry in entries if entry.key is not None}
            standby.position = partition.high_watermark
            if rows:
                standby.store.apply(rows, standby.position)

    patch.setattr(Standbys, "_apply_batch", apply_all)
    return healthy


def standby_claims_to_be_complete(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """A standby that becomes a partition's state claims to have everything, although something is still to be read."""
    lend_reader = Standbys.lend_reader

    def lend_as_complete(self: Standbys) -> Reader | None:
        for partition in self._followed & self._standbys.keys():
            standby = self._standbys[partition]
            standby.store.apply({}, standby.position + (self._lag(partition) or 0))
        return lend_reader(self)

    patch.setattr(Standbys, "lend_reader", lend_as_complete)
    return healthy


class _RememberingSeals(Seals):
    def __init__(self, encoder: Encoder, signer: Signer, deployment: str) -> None:
        super().__init__(encoder, signer, deployment)
        self._frontiers: dict[int, bytes] = {}

    def before_commit(
        self, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        if state.partition in self._frontiers:
            state.put(SEALED_KEY, self._frontiers[state.partition])
        outputs = super().before_commit(written, read, state, now_ms)
        frontier = state.get(SEALED_KEY)
        if frontier is not None:
            self._frontiers[state.partition] = frontier
        return outputs


class _Remembering(BatchSeals):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self._heads: dict[int, bytes] = {}

    def before_commit(
        self, written: Sequence[Outgoing], read: Sequence[Received], state: StateView, now_ms: int
    ) -> list[Output]:
        if state.partition in self._heads:
            state.put(SEAL_KEY, self._heads[state.partition])
        outputs = super().before_commit(written, read, state, now_ms)
        head = state.get(SEAL_KEY)
        if head is not None:
            self._heads[state.partition] = head
        return outputs


def outcomes_go_where_the_intent_says(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """An agent is answered on whatever topic it names, also on another tenant's."""
    told = outcomes.outcome_outputs

    def anywhere(encoder: Encoder, session_key: bytes, intent: Intent, *rest: Any) -> list[Output]:
        if intent.reply_to is None:
            return []
        tenants = {outcome_topic(tenant).name: outcome_topic(tenant) for tenant in TENANTS}
        named = tenants[intent.reply_to.topic]
        own = replace(intent, reply_to=ReplyTo(topic=outcome_topic(intent.header.tenant_uid).name, partition=0))
        return [output._replace(topic=named) for output in told(encoder, session_key, own, *rest)]

    patch.setattr(conclusion, "outcome_outputs", anywhere)
    return healthy


def outcomes_are_told_once_only(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """An intent that comes again gets its verdict again, but its agent hears nothing."""
    patch.setattr(intents, "outcome_outputs", lambda *_args: [])
    return healthy


def outcomes_say_what_was_first_decided(patch: pytest.MonkeyPatch, healthy: Ingredients) -> Ingredients:
    """What is told is not what the verdict says."""
    told = outcomes.outcome_outputs

    def hopeful(encoder: Encoder, key: bytes, intent: Intent, outcome: Outcome, *rest: Any) -> list[Output]:
        return told(encoder, key, intent, Outcome.ALLOW if outcome is Outcome.DEFER else outcome, *rest)

    patch.setattr(conclusion, "outcome_outputs", hopeful)
    return healthy


PLANTS: tuple[Plant, ...] = (
    outcomes_go_where_the_intent_says,
    outcomes_are_told_once_only,
    outcomes_say_what_was_first_decided,
    seals_are_written_after_the_commit,
    state_of_the_hook_outlives_an_abort,
    timers_are_not_sealed,
    aborted_records_are_sealed,
    aborted_reports_are_sealed,
    reports_that_do_not_count_are_not_sealed,
    seals_remember_in_the_process,
    sealed_logs_are_remembered_in_the_process,
    verdicts_given_again_are_sealed_once,
    publications_are_reported_again,
    partitions_are_not_checked,
    intents_of_any_age,
    left_out_letters_are_not_recorded,
    state_before_commit,
    no_abort_on_loss,
    offset_off_by_one,
    restore_to_the_last_stable_offset,
    duplicates_not_detected,
    transactions_of_any_age,
    timers_are_not_fenced,
    half_steps_are_committed,
    stream_time_starts_anew,
    revocations_are_ignored,
    writers_are_believed,
    reports_are_believed,
    the_last_report_counts,
    grants_are_believed,
    bounds_are_not_asked,
    grants_hold_for_ever,
    any_time_is_believed,
    the_hosts_clock_is_believed,
    ends_stamped_ahead_are_set_aside,
    releases_need_no_role,
    ends_alone,
    freezes_alone,
    topics_are_joined_within_one_poll,
    standby_ahead_of_commit,
    standby_claims_to_be_complete,
)
