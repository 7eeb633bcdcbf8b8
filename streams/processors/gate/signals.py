"""Tell rules what is unusual about a call in its session: the detectors that need no more than the session itself.

A gate whose rules read no signal does nothing here, and keeps nothing. Where they do, the session's last calls are kept
in one row of bounded size, and the call under judgment counts as the newest of them. It is stored with its final
verdict: an intent that waits is judged several times, and is one call. Denied calls count, as a loop of them is one.
What needs more than the session (what is usual for an agent, its peers) is found by `stoplog watch`.
"""

from __future__ import annotations

import msgspec

from streams.behaviour.activity import digest_of
from streams.behaviour.detectors.sequences import RING_MAX, Ring, Stretch, repeats
from streams.behaviour.detectors.spread import visited
from streams.model.verdict import FINAL_OUTCOMES, Outcome
from streams.ports.processor import StateView
from streams.processors.gate.case import Case
from streams.processors.gate.observed import Observed, SignalsRow
from streams.processors.rows import signals_row_key

SIGNAL_FACT = "signal"
RETURN_WINDOW_MS = 300_000
"""Within which time a session that comes back to an instance of its agent is in two places."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SignalsRow).decode
_NOTHING = SignalsRow()


def observe(case: Case, state: StateView) -> dict[str, int]:
    """Return the fact `signal` for a call; what was observed is kept with the case."""
    asked = case.asked
    found = state.get(signals_row_key(asked.session_key))
    row = _NOTHING if found is None else _decode(found)
    intent = asked.intent
    tool = f"{intent.tool.server_id}.{intent.tool.name}"
    calls = (*row.ring.calls, digest_of(f"{tool} {intent.args_digest.hex()}"))[-RING_MAX:]
    called = digest_of(tool)
    run = row.stretch.count + 1 if row.stretch.tool == called else 1
    places = row.places
    if intent.act.instance_uid is not None:
        places, _ = visited(places, intent.act.instance_uid, asked.now_ms, RETURN_WINDOW_MS)
    after = SignalsRow(Ring(calls), Stretch(called, run), places)
    case.observed = Observed(after, repeats(calls), run, places.returns)
    return case.observed.facts


def after_verdict(case: Case, outcome: Outcome, state: StateView) -> None:
    """Keep a call that has its final verdict. Only proven calls are kept: others are not the session's."""
    if case.observed is not None and case.is_proven and outcome in FINAL_OUTCOMES:
        state.put(signals_row_key(case.asked.session_key), _encode(case.observed.row))
