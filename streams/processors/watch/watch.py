"""Watch the behaviour of agents: hold decisions until they are in order, judge them, publish baselines, raise alerts.

**Idea.** Several partitions write decisions to one partition of this processor's input, each in transactions of its
own, so they come a little out of order. Each is kept, named by its time and id, until `grace_ms` of stream time later
(`waiting`). Then they are judged in order of their names. So order of arrival makes no difference within that time, and
a record that comes twice is kept once, or is known to its session. Timers are set on a grid, so they cost one row for
many decisions, and what is judged when depends on stream time alone, not on how often the state was committed.

**Rejected.** Judging on arrival: two partitions that are read at different speeds would give different alerts in a
replay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from streams.behaviour.activity import DAY_MS, Activity, row_key
from streams.behaviour.announced import KEPT_MAX
from streams.behaviour.feedback import LOWERED_MS, Bar, Reported
from streams.behaviour.pages import OpenRows, RememberedRows
from streams.behaviour.profiles import Extraction, Profile, RiskPoint, updated_profile, with_risk
from streams.behaviour.risks import RaisedRisk
from streams.behaviour.watcher import Declared, Watcher
from streams.model.alert_status import CLOSED, AlertState, AlertStatus, Announced
from streams.model.behaviour import BehaviourEvent, BehaviourScope
from streams.model.control import Baseline
from streams.model.errors import RecordError
from streams.model.keys import baseline_key
from streams.model.proof import derived_uuid
from streams.model.reasons import CONTROL_TEXTS, ControlReason, DeadLetterReason
from streams.model.topics import AUDIT_REPORTED, BASELINE
from streams.model.types import Header, Record
from streams.ports.processor import CommitHook, Output, StateView
from streams.ports.wire import Encoder
from streams.processors import layout
from streams.processors.audit import alert_status_event, audit_output
from streams.processors.call_features import PUBLISHED_FEATURES
from streams.processors.dead_letters import Reporter, ReportingProcessor
from streams.processors.dedup.alerts import AlertWindows
from streams.processors.rows import TimerKind, parse_timer, timer_payload
from streams.processors.settings import WatchSettings
from streams.processors.watch.aging_rows import EXPIRY_TIMER, AgingOpenRows, AgingRows, delete_expired
from streams.processors.watch.alerts import finding_alert, too_many_agents_alert
from streams.processors.watch.features import SOURCE, activity_of
from streams.processors.watch.long_names import check_whose, with_short_names
from streams.processors.watch.new_agents import admitted
from streams.processors.watch.prompts import with_steady_prompt
from streams.processors.watch.waiting import Waiting

GRID_MS = 500
JUDGED_PER_STEP_MAX = 500
RISK_GRID_MS = 5_000
"""How often a risk that has risen is published at most. Baselines are published less often."""
_OF_AGENT = ("agent.id",)
_RISK_OF: Mapping[tuple[str, ...], Callable[[Activity], str]] = {
    _OF_AGENT: lambda _activity: "",
    ("session.id",): lambda activity: activity.user,
}
"""Declared keys of risks, and the user whose risk each is; empty for that of the agent."""

# Each look at a member of an enumeration costs as much as a call, and so does its hash (ADR 0094).
_AGENT, _DELEGATION = BehaviourScope.AGENT, BehaviourScope.DELEGATION
_LOWERED = ControlReason.ALERTS_LOWERED
_ANNOUNCED = AlertState.ANNOUNCED
_BEHAVIOUR_TIMER = timer_payload(TimerKind.BEHAVIOUR, b"")
_encode = msgspec.msgpack.Encoder().encode
replace = msgspec.structs.replace


class CoveredCalls:
    """Counts calls that were not judged because they had been announced. For the watch's thread."""

    def __init__(self) -> None:
        """Begin at 0."""
        self._count = 0

    def add(self) -> None:
        """Count a call. No record is written of it, so it counts before its transaction is committed."""
        self._count += 1

    def taken(self) -> int:
        """Return how many calls there were since the last time."""
        count, self._count = self._count, 0
        return count


class Watch(ReportingProcessor):
    """Judges decisions in order, and learns from them. All memory is in the state views."""

    def __init__(
        self,
        encoder: Encoder,
        declared: Declared,
        settings: WatchSettings,
        extractions: tuple[Extraction, ...] = (),
        covered: CoveredCalls | None = None,
    ) -> None:
        """Args:
        encoder: what encodes records.
        declared: the detectors and correlations.
        settings: how long to wait, and how often to publish.
        extractions: where features are found in arguments. It is published with baselines, for whoever reads them.
        covered: counts announced calls.
        """
        self._covered = covered or CoveredCalls()
        self._reads = tuple(each for each in extractions if each.feature in PUBLISHED_FEATURES)
        self._windows = AlertWindows(encoder, settings.alert_window_ms)
        super().__init__(Reporter(encoder, AUDIT_REPORTED, SOURCE), self._windows)
        self._encoder = encoder
        self._settings = settings
        of_agents, of_delegations = declared.by_scope()
        self._of_agents, self._of_delegations = Watcher(of_agents), Watcher(of_delegations, ".root", "delegation.root")
        self._short_lived = self._of_agents.short_lived | self._of_delegations.short_lived
        self._remembered = RememberedRows()
        self._waiting = Waiting()

    @property
    def commit_hook(self) -> CommitHook:
        """What writes the decisions together that a transaction leaves waiting."""
        return self._waiting

    def prepare(self, state: StateView) -> None:
        """Check that the partition's rows have a layout that this version knows."""
        layout.bring_up_other(state)

    def process(
        self, topic: str, key: bytes | None, record: Record, state: StateView, received_ms: int, now_ms: int
    ) -> list[Output]:
        """Keep one decision until it is its turn, or take note of an alert that somebody has closed.

        Raises:
            RecordError: it is none of this topic, the name of agent, session or tenant is too long, or there is no room
            for what is announced.
        """
        del topic
        if isinstance(record, AlertStatus):
            rows = self._open_rows(state, now_ms)
            outputs = self._closed(key, record, rows, received_ms)
            rows.close()
            return outputs + self._ended(record, state, now_ms)
        if not isinstance(record, BehaviourEvent):
            raise RecordError(DeadLetterReason.SCHEMA_MISMATCH, f"`{type(record).__name__}` does not belong here")
        if record.scope is not _AGENT and record.scope is not _DELEGATION:
            raise RecordError(DeadLetterReason.RECORD_INVALID, f"the scope `{record.scope}` is not known")
        check_whose(record)
        record = with_short_names(record)
        time_ms = max(0, record.header.time)
        self._waiting.keep(record, time_ms, state)
        state.set_timer(_next_ms(max(time_ms + self._settings.grace_ms, now_ms), GRID_MS), _BEHAVIOUR_TIMER)
        return []

    def on_timer(self, payload: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Judge what is due, publish a baseline, delete rows that have expired, or end the window of an alert."""
        kind, key, _ = parse_timer(payload)
        if kind is TimerKind.ALERT:
            return self._windows.on_due(key, state, now_ms)
        if kind is TimerKind.BASELINE:
            return self._published(bytes.fromhex(key.decode()), state, now_ms)
        if kind is TimerKind.BEHAVIOUR_EXPIRY:
            if not delete_expired(state, now_ms):
                state.set_timer(now_ms + 1, EXPIRY_TIMER)
            return []
        due = self._waiting.take(state, now_ms - self._settings.grace_ms + 1, JUDGED_PER_STEP_MAX)
        outputs: list[Output] = []
        rows = self._open_rows(state, now_ms)
        for event in due:
            outputs += self._judged(event, rows, state, now_ms)
        rows.close()
        if len(due) == JUDGED_PER_STEP_MAX:
            state.set_timer(now_ms + 1, _BEHAVIOUR_TIMER)
        return outputs

    def _open_rows(self, state: StateView, now_ms: int) -> OpenRows:
        return AgingOpenRows(AgingRows(state, now_ms, self._short_lived), self._remembered)

    def _judged(self, event: BehaviourEvent, rows: OpenRows, state: StateView, now_ms: int) -> list[Output]:
        activity = activity_of(event)
        outputs: list[Output] = []
        is_of_agent, window_ms = event.scope is _AGENT, self._settings.alert_window_ms
        admission = admitted(activity.tenant, activity.agent, rows, now_ms, window_ms)
        is_reported = admission.is_reported
        if activity.delegator and not is_of_agent and admission.is_watched:
            # What it usually gives is remembered. Without room for it, it is as if nobody knew who has given the work.
            giver = admitted(activity.tenant, activity.delegator, rows, now_ms, window_ms)
            is_reported = is_reported or giver.is_reported
            activity = activity if giver.is_watched else replace(activity, delegator="")
        if is_reported:
            outputs += self._windows.raised(too_many_agents_alert(event, state.partition, now_ms), state, now_ms)
        if not admission.is_watched:
            return outputs
        activity = with_steady_prompt(activity, rows)
        watcher = self._of_agents if is_of_agent else self._of_delegations
        observed = watcher.judge(rows, activity)
        if observed.is_announced:
            self._covered.add()
        if observed.has_learned and is_of_agent:
            self._learn_profile(activity, rows, state, now_ms, may_add=not observed.is_full)
        if observed.risks and is_of_agent:
            self._note_risks(activity, observed.risks, rows, state, now_ms)
        for finding in observed.findings:
            alert = finding_alert(finding, event, now_ms)
            watcher.reports.remember(rows, finding, alert.finding_uid)
            outputs += self._windows.raised(alert, state, now_ms)
        return outputs

    def _closed(self, key: bytes | None, status: AlertStatus, rows: OpenRows, received_ms: int) -> list[Output]:
        """Take note of a closed alert, or of announced work; return the audit record of what is reported less often."""
        if status.announced is not None:
            self._expect(status, status.announced, rows)
            return []
        if status.status not in CLOSED:
            return []
        is_false, tenant = status.status is AlertState.FALSE_POSITIVE, status.header.tenant_uid
        for watcher in (self._of_agents, self._of_delegations):
            closed = watcher.reports.close(
                rows, tenant, status.finding_uid, status.header.id, status.header.time, is_false=is_false
            )
            if closed is None or closed.bar is None:
                continue
            event_id = derived_uuid("alerts lowered", status.header.id)
            text = _lowered_text(closed.bar, closed.reported, status)
            event = alert_status_event(status, event_id, SOURCE, received_ms, reason=_LOWERED.value, text=text)
            return [audit_output(self._encoder, key, event, AUDIT_REPORTED)]
        return []

    def _expect(self, status: AlertStatus, it: Announced, rows: OpenRows) -> None:
        """Raises:
        RecordError: so much is announced of the agent that there is no room for more.
        """
        tenant, uid, time_ms = status.header.tenant_uid, status.finding_uid, status.header.time
        if status.status is not _ANNOUNCED:
            self._of_agents.announcements.withdraw(rows, tenant, uid, it.agent, time_ms)
        elif not self._of_agents.announcements.announce(rows, tenant, uid, it, time_ms):
            text = f"announcement `{uid}` does not count: {KEPT_MAX} others about its agent are remembered"
            raise RecordError(DeadLetterReason.RECORD_INVALID, text)

    def _ended(self, status: AlertStatus, state: StateView, now_ms: int) -> list[Output]:
        """End the window of a closed alert: what is found from now on is not counted with it, but a new alert."""
        if status.status not in CLOSED:
            return []
        return self._windows.end(status.dedup_key, status.header.tenant_uid, status.finding_uid, state, now_ms)

    def _learn_profile(
        self, activity: Activity, rows: OpenRows, state: StateView, now_ms: int, *, may_add: bool
    ) -> None:
        key = _profile_key(activity)
        before = rows.load(key, TenantProfile)
        if before is None and not may_add:
            return
        profile = updated_profile(None if before is None else before.profile, activity)
        rows.store(key, TenantProfile(activity.tenant, profile))
        if before is None or before.profile.is_published:
            _publish_by(_next_ms(now_ms, self._settings.publish_ms), key, state)

    def _note_risks(
        self, activity: Activity, risks: tuple[RaisedRisk, ...], rows: OpenRows, state: StateView, now_ms: int
    ) -> None:
        """Keep risks that have risen with the agent's profile, if there is one, and publish it soon."""
        key = _profile_key(activity)
        found = rows.load(key, TenantProfile)
        if found is None:
            return
        profile = found.profile
        for risk in risks:
            user = _RISK_OF.get(risk.key)
            # Without a user, the risk of a session would be taken for the agent's.
            if user is not None and (activity.user or risk.key == _OF_AGENT):
                point = RiskPoint(user(activity), risk.share, activity.time_ms, risk.half_life_ms)
                profile = with_risk(profile, point) or profile
        if profile is found.profile:
            return
        rows.store(key, TenantProfile(activity.tenant, profile))
        _publish_by(_next_ms(now_ms, RISK_GRID_MS), key, state)

    def _published(self, key: bytes, state: StateView, now_ms: int) -> list[Output]:
        """Return a baseline as it is published, unless nothing has been learned since the last time."""
        rows = self._open_rows(state, now_ms)
        found = rows.load(key, TenantProfile)
        if found is None or found.profile.is_published:
            return []
        profile = replace(found.profile, version=found.profile.version + 1, is_published=True)
        rows.store(key, TenantProfile(found.tenant, profile))
        rows.close()
        named = (found.tenant, profile.agent, profile.epoch, str(profile.version))
        header = Header(id=derived_uuid("baseline", *named), source=SOURCE, time=now_ms, tenant_uid=found.tenant)
        baseline = Baseline(
            header=header,
            agent=profile.agent,
            epoch=profile.epoch,
            version=profile.version,
            intents_count=profile.calls,
            state=_encode(replace(profile, reads=self._reads)),
        )
        record_key = baseline_key(found.tenant, profile.agent, profile.epoch)
        return [Output(BASELINE, record_key, self._encoder.encode(BASELINE.name, baseline), header)]


def _profile_key(activity: Activity) -> bytes:
    return row_key("@profile", (activity.tenant, activity.agent, activity.epoch))


def _publish_by(due_ms: int, key: bytes, state: StateView) -> None:
    """Have the profile with this key published at an instant."""
    state.set_timer(due_ms, timer_payload(TimerKind.BASELINE, key.hex().encode()))


def _next_ms(now_ms: int, every_ms: int) -> int:
    """Return the next instant of a grid, so that timers of one time are one."""
    return now_ms // every_ms * every_ms + every_ms


def _lowered_text(bar: Bar, reported: Reported, status: AlertStatus) -> str:
    return (
        f"{CONTROL_TEXTS[_LOWERED]}: {reported.name} about agent {reported.agent}, from {bar.share:.3g} times its "
        f"threshold on, for {LOWERED_MS // DAY_MS} days; alert {status.finding_uid} was a false positive "
        f"({status.by_user}: {status.reason})"
    )


class TenantProfile(msgspec.Struct, frozen=True, array_like=True):
    """The profile of an agent, and its tenant."""

    tenant: str
    profile: Profile
