"""Tell rules what is unusual about a call in its session: the detectors that need no more than the session itself.

A gate whose rules read no signal does nothing here, and keeps nothing. Where they do, the session's last calls are kept
in its row, in bounded size, and the call under judgment counts as the newest of them. It is stored with its final
verdict: an intent that waits is judged several times, and is one call. Denied calls count, as a loop of them is one.
What needs more than the session (what is usual for an agent, its peers) is found by `stoplog watch`. What of it fits
into one row of an agent is published, and a gate compares the call with that, if it has read it and a rule asks for it.
A gate waits for none of it, so the verdict says how far it had read: a replay knows as much as the gate did.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from streams.behaviour.activity import HOUR_MS, digest_of, digest_once
from streams.behaviour.detectors.loops import RING_MAX, Stretch, told_repeats
from streams.behaviour.detectors.spread import visited
from streams.behaviour.names import short_name, short_tool
from streams.behaviour.pages import RememberedRows
from streams.behaviour.usual import NOT_KNOWN, Unusual, compared, risk_texts_of, texts_of
from streams.model.verdict import FINAL_OUTCOMES, Outcome, Signal
from streams.ports.processor import StateView
from streams.processors.call_features import extracted
from streams.processors.control.attributes import Attributes
from streams.processors.control.state import ControlState
from streams.processors.gate.case import Case
from streams.processors.gate.named_owners import with_owners
from streams.processors.gate.observed import REPEAT_WINDOW_MS, Observed, SignalsRow
from streams.processors.rows import signals_row_key
from streams.processors.session_row import Behaviour, SessionRow

SIGNAL_FACT = "signal"
RETURN_WINDOW_MS = 300_000
"""Within which time a session that comes back to an instance of its agent is in two places."""

REMEMBERED_MAX = 2_048
"""Of how many sessions the last calls are remembered decoded, about 3 kB each, and of as many before them."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SignalsRow).decode
_NOTHING = SignalsRow()
# By the key of the session. What was remembered counts only for equal bytes, so it changes nothing but the cost: to
# decode the sixty numbers of a session takes a third of all that is done here.
_remembered = RememberedRows(REMEMBERED_MAX)


def observe(
    case: Case, state: StateView, attributes: Attributes, control: ControlState | None = None
) -> dict[str, int]:
    """Return the fact `signal` for a call; what was observed is kept with the case.

    Args:
        case: the call.
        state: the state of its partition.
        attributes: what operators' systems say about things.
        control: what is known of agents; None if no rule of the tool asks for that.
    """
    asked = case.asked
    kept = case.session.behaviour.signals or _kept_apart(case, state)
    row: SignalsRow = (_remembered.take(asked.session_key, kept) or _decode(kept)) if kept else _NOTHING
    intent = asked.intent
    tool = f"{intent.tool.server_id}.{intent.tool.name}"
    call = digest_once(f"{tool} {intent.args_digest.hex()}")
    ring = row.ring.after(call, asked.now_ms, REPEAT_WINDOW_MS, RING_MAX)
    called = digest_of(tool)
    run = row.stretch.count + 1 if row.stretch.tool == called else 1
    places = row.places
    if intent.act.instance_uid is not None:
        places, _ = visited(places, intent.act.instance_uid, asked.now_ms, RETURN_WINDOW_MS)
    if attributes.next_offset:
        case.attributes_offset = attributes.next_offset
    owners = with_owners(row.owners, case, attributes)
    after = SignalsRow(ring, Stretch(called, run), places, row.hour, row.hour_calls, owners)
    repeats = told_repeats(tool, ring)
    if control is None:
        case.observed = Observed(after, repeats, run, places.returns)
        return case.observed.facts
    number = asked.now_ms // HOUR_MS
    hour_calls = row.hour_calls + 1 if number == row.hour else 1
    after = replace(after, hour=number, hour_calls=hour_calls)
    unusual, told = _beside_baseline(case, tool, hour_calls, control)
    case.observed = Observed(after, repeats, run, places.returns, unusual, told)
    return case.observed.facts


def _beside_baseline(
    case: Case, tool: str, hour_calls: int, control: ControlState
) -> tuple[Unusual, tuple[Signal, ...]]:
    """Return how unusual the call is for its agent, and what of it the verdict names."""
    asked, agent = case.asked, case.asked.intent.act.sub
    tenant, user, now_ms = asked.intent.header.tenant_uid, asked.intent.sub, asked.now_ms
    baselines = control.baselines
    case.baseline_version = baselines.next_offset + 1
    usual, unusual, told = baselines.usual_of(tenant, agent, now_ms), NOT_KNOWN, []
    if usual is not None:
        # The roles that the verdict will state, because the watch has no others. All provenance that rules of the tool
        # ask for is made before this fact, in whatever order they ask.
        examined = case.examined
        stated = () if examined is None else tuple((each.pointer, each.role) for each in examined.values)
        found = extracted(usual.reads, tool, case.known_arguments().values, stated)
        destination, amount = found.get("destination"), found.get("amount")
        place = destination if isinstance(destination, str) else None
        number = amount if isinstance(amount, float) else None
        # The watch has learned, and publishes, long names in a shorter form. Destinations are never that long.
        ref = asked.intent.tool
        unusual = compared(usual, short_tool(ref.server_id, ref.name), place, number, now_ms, hour_calls)
        told = texts_of(unusual, usual, agent, tool, place)
    risks = baselines.risks.of(tenant, agent, short_name(user), now_ms)
    if any(risks):
        unusual = replace(unusual, agent_risk=risks[0], user_risk=risks[1], peers_risk=risks[2])
        told += risk_texts_of(unusual, agent, user)
    return unusual, tuple(Signal(name=name, score=float(score), explain=text) for name, score, text in told)


def after_verdict(case: Case, outcome: Outcome, row: SessionRow, state: StateView) -> SessionRow:
    """Return the session's row with a call that has its final verdict.

    Only proven calls are kept: others are not the session's.
    """
    if case.observed is None or not case.is_proven or outcome not in FINAL_OUTCOMES:
        return row
    if not case.session.behaviour.signals and _kept_apart(case, state):
        state.delete(signals_row_key(case.asked.session_key))
    observed = case.observed.row
    kept = _encode(observed)
    _remembered.keep(case.asked.session_key, kept, observed)
    return replace(row, behaviour=Behaviour(kept))


def _kept_apart(case: Case, state: StateView) -> bytes:
    """Return what earlier versions have kept of the session in a row of its own; empty if there is nothing."""
    # Without a call there is none, and most sessions of this version are spared the look.
    if not case.session.counters.intents_count:
        return b""
    return state.get(signals_row_key(case.asked.session_key)) or b""
