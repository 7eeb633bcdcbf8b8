"""Measures what provenance costs a gate: `python -m bench.parts.provenance [--against REVISION] [--save]`.

A session reads results of a mailbox. After 10, 100 and 1,000 of them, an intent with five arguments is examined, and
the rows that the session has in the state are counted. Its recipient is one that the user has named, or one that nobody
has: of that, each half is looked up, too. Extraction of the arguments is part of the examination, and is also shown
apart; so is what it costs to keep one result. Rows come from a store in memory: a store on disk adds about a
microsecond for each row that is read.

With a revision, the same intent is examined by the code of that commit, too. Both take turns in processes of their own
(`bench.harness.turns`), and the result is the median of the ratios: the speed of a machine changes more than the code
does.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import median

from bench.harness.checkouts import TurnTaker, worktree
from bench.harness.environments import REPOSITORY
from bench.harness.machine import describe_machine, forget_settings
from bench.harness.report import save
from bench.harness.turns import take_turns
from simulation.records import ROOT_KEY, TRUSTED, UNTRUSTED, SessionMaker, tool_entry
from streams.engine.state import PartitionState
from streams.model.catalog import OutputLabel
from streams.model.session import SessionEvent, SessionEventType
from streams.processors.control.catalog_tool import CatalogTool
from streams.processors.control.schemas import ArgsSchema
from streams.processors.provenance.contents import with_content
from streams.processors.provenance.examine import examine
from streams.processors.provenance.examined import Examined
from streams.processors.provenance.facts import PROVENANCE_MAKERS
from streams.processors.provenance.memory import Memory, store_provenance
from streams.processors.provenance.rows import ProvenanceRow
from streams.processors.provenance.tools import ToolUse
from streams.processors.provenance.user_words import begun, with_user_words
from streams.processors.row_kinds import RowKind
from streams.processors.session_row import SessionRow, evolve
from streams.provenance.extraction.arguments import arguments_in
from streams.provenance.extraction.digests import atom_key
from streams.provenance.extraction.events import described
from streams.stores.memory import MemoryStore

RESULTS = (10, 100, 1_000)
ROUNDS = 300
TURNS = 15
_MAKER = SessionMaker()
_KEY = atom_key(ROOT_KEY, _MAKER.tenant, _MAKER.sub)
_READ = ToolUse(
    CatalogTool(
        tool_entry("mail", "open", read_only=True, output_label=UNTRUSTED,
                   output_labels=(OutputLabel(path="id", label=TRUSTED),)),
        ArgsSchema("{}"),
    )
)  # fmt: skip
_SEND = ToolUse(CatalogTool(tool_entry("mail", "send", sink_args=("/to",)), ArgsSchema("{}")))
_FACTS = frozenset(PROVENANCE_MAKERS)
_ARGUMENTS: dict[str, object] = {
    "to": "person3@shop.example",
    "subject": "Invoice INV-20003",
    "body": "The invoice is attached, and the total is as agreed.",
    "invoice": "INV-20003",
    "amount": 45.5,
}
_UNKNOWN = _ARGUMENTS | {"to": "unknown.person@other-shop.example"}

# What `TurnTaker` runs, in both versions. The gate imports these names in each, wherever they are defined.
_TURNS = f"""
import sys, time
from simulation.records import TRUSTED, UNTRUSTED
from streams.engine.state import PartitionState
from streams.model.session import SessionEventType
from streams.processors.gate.provenance import Memory, begun, examine, store_provenance, with_content, with_user_words
from streams.processors.session_row import SessionRow, evolve
from streams.stores.memory import MemoryStore
try:
    from bench.parts.provenance import _ARGUMENTS, _FACTS, _KEY, _MAKER, _READ, _SEND, _event, _mail
except ModuleNotFoundError:
    # Earlier commits have all modules in one folder.
    from bench.provenance import _ARGUMENTS, _FACTS, _KEY, _MAKER, _READ, _SEND, _event, _mail

arguments = _ARGUMENTS | {{"to": sys.argv[2]}}

state, session = PartitionState(MemoryStore()), evolve(SessionRow(), sub=_MAKER.sub)
memory = Memory(_MAKER.key, _KEY, state)
words = _event(SessionEventType.USER_MESSAGE, "Send invoice INV-20003 to person3@shop.example.")
row = with_user_words(begun(memory, session), words, memory, TRUSTED)
for number in range(int(sys.argv[1])):
    event = _event(SessionEventType.TOOL_RESULT, _mail(number))
    row = with_content(row, event, Memory(_MAKER.key, _KEY, state), _READ, UNTRUSTED, _MAKER.sub)
store_provenance(_MAKER.key, row, state)
# Earlier versions take what the memory has now.
beside = () if hasattr(memory, "state") else (_MAKER.key, state)
print("ready", flush=True)
for _ in sys.stdin:
    began_s = time.process_time()
    for _ in range({ROUNDS}):
        fresh = Memory(_MAKER.key, _KEY, state, keeps=False)
        examine(session, arguments, _SEND, fresh, *beside, asked=_FACTS)
    print((time.process_time() - began_s) / {ROUNDS} * 1e6, flush=True)
"""


def main() -> None:
    """Print the measurements, and write them to `bench/results` if that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.parts.provenance", description=__doc__)
    parser.add_argument("--against", metavar="REVISION", help="an earlier commit whose code examines the same intent")
    parser.add_argument("--save", action="store_true", help="write the result to bench/results")
    options = parser.parse_args()
    forget_settings()
    machine = describe_machine()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        _measure(options.against)
    print(printed.getvalue(), end="")
    if options.save:
        save("provenance", {"text": printed.getvalue()}, machine, quick=False)


def _measure(revision: str | None) -> None:
    found_s = _seconds(lambda: arguments_in(_ARGUMENTS), ROUNDS)
    print(f"five arguments of a call, read alone: {found_s * 1e6:.0f} us")
    print()
    print(
        "results read   values   complete   rows   bytes    keep a result, us   examine, us   with an unknown recipient"
    )
    for count in RESULTS:
        _print(count)
    if revision is None:
        return
    print()
    print(f"results read   recipient   at {revision[:10]}, us   now, us   ratio (median of {TURNS} turns)")
    with worktree(revision) as earlier:
        for count, arguments in product(RESULTS, (_ARGUMENTS, _UNKNOWN)):
            turns = _in_turns(earlier, count, arguments["to"])
            before_us, now_us = (median(took_us) for took_us in zip(*turns, strict=True))
            ratio = median(now / before for before, now in turns)
            recipient = "named" if arguments is _ARGUMENTS else "unknown"
            figures = f"{before_us:17.0f}   {now_us:7.0f}   {ratio:5.2f}"
            print(f"{count:12,}   {recipient:9}   {figures}")


def _in_turns(earlier: Path, count: int, recipient: object) -> list[tuple[float, ...]]:
    """Return the microseconds of the earlier code and of this checkout's in each turn."""
    with contextlib.ExitStack() as stack:
        takers = [
            stack.enter_context(contextlib.closing(TurnTaker(checkout, _TURNS, str(count), str(recipient))))
            for checkout in (earlier, REPOSITORY)
        ]
        return take_turns(takers, lambda taker: float(taker.take_turn()), TURNS)


def _print(count: int) -> None:
    state, row, session = PartitionState(MemoryStore()), ProvenanceRow(), evolve(SessionRow(), sub=_MAKER.sub)
    memory = Memory(_MAKER.key, _KEY, state)
    row = begun(memory, session)
    words = _event(SessionEventType.USER_MESSAGE, "Send invoice INV-20003 to person3@shop.example.")
    row = with_user_words(row, words, memory, TRUSTED)
    events = [_event(SessionEventType.TOOL_RESULT, _mail(number)) for number in range(count)]
    began = time.perf_counter()
    for event in events:
        row = with_content(row, event, Memory(_MAKER.key, _KEY, state), _READ, UNTRUSTED, _MAKER.sub)
        store_provenance(_MAKER.key, row, state)
    kept_us = (time.perf_counter() - began) / count * 1e6

    def examined(arguments: dict[str, object]) -> Examined:
        fresh = Memory(_MAKER.key, _KEY, state, keeps=False)
        return examine(session, arguments, _SEND, fresh, asked=_FACTS)

    named_us = _seconds(lambda: examined(_ARGUMENTS), ROUNDS) * 1e6
    unknown_us = _seconds(lambda: examined(_UNKNOWN), ROUNDS) * 1e6
    kinds = (RowKind.PROVENANCE, RowKind.ATOMS, RowKind.CONTENT)
    rows = [each for kind in kinds for each in state.scan(kind.prefix, bytes((kind.prefix[0] + 1,)))]
    size = sum(len(key) + len(value) for key, value in rows)
    complete = "yes" if row.is_complete else "no"
    held = f"{row.atoms_count:6,}   {complete:8}   {len(rows):4}   {size:6,}"
    print(f"{count:12,}   {held}   {kept_us:17.0f}   {named_us:11.0f}   {unknown_us:25.0f}")


def _event(kind: SessionEventType, content: str) -> SessionEvent:
    return described(_MAKER.event(kind, 0), content, _KEY)


def _mail(number: int) -> str:
    mail = {
        "id": f"m-{number + 1000}",
        "from": f"person{number}@shop.example",
        "invoice": f"INV-{20_000 + number}",
        "text": f"Please find the invoice INV-{20_000 + number} over {number + 42.5} EUR attached.",
    }
    return json.dumps(mail)


def _seconds(run: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        for _ in range(rounds):
            run()
        best = min(best, (time.perf_counter() - began) / rounds)
    return best


if __name__ == "__main__":
    main()
