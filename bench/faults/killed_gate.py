"""Kills a gate with SIGKILL while it works, and looks at what is left, for the command `bench.faults.kills`."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from random import Random
from typing import Any, NamedTuple

from bench.harness.records import intent_records, session_records
from bench.harness.workload import credential
from bench.harness.world import ROOT_KEY, World
from streams.audit.seal_keys import SealKeys
from streams.engine.worker import Worker
from streams.model.topics import VERDICT
from streams.model.verdict import FINAL_OUTCOMES, Verdict
from streams.operations.replay.recorded import RecordedLog
from streams.operations.replay.run import ReplayReport, Stretch, replay_log
from streams.operations.topics.decoded import decoded
from streams.operations.topics.reader import read_to_end
from streams.operations.verify.partition import PartitionReport
from streams.operations.verify.run import LogSource, verify_log
from streams.policy import compile_bundle
from streams.processors.control.compilation import InlineCompiler
from streams.stores.rocks import RocksStores
from streams.wiring import gates
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.replays import setup_replay
from streams.wiring.settings import Settings

SESSIONS = 40
INTENTS_MAX = 40
"""The most intents that are written for one life."""

EARLY_SHARE = 0.25
"""How many lives end before the gate has begun to work."""

EARLY_S_MAX = 0.25
WORKING_S_MAX = 0.12
"""How long a gate works at most before it is killed."""

START_S_MAX = 120.0
LAST_S_MAX = 300.0
LAST_LOOK_S = 0.5
"""Between two looks at how many intents the last gate has decided."""

AFTERWARDS_S = 1.0
"""How long the last gate works on once all is decided."""

_WORKING = b"working"


class Outcome(NamedTuple):
    """What was found in the end.

    Attributes:
        lives: how many lives ended when.
        intents: how many intents were written.
        undecided, contradicted: how many of them have no final verdict, or several that differ.
        partitions: what `audit verify` says of each partition.
        replay: what the replay says.
    """

    lives: Counter[str]
    intents: int
    undecided: int
    contradicted: int
    partitions: list[PartitionReport]
    replay: ReplayReport

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        verified = not any(each.offence or each.unknown for each in self.partitions)
        return verified and self.replay.is_same and not self.undecided and not self.contradicted


def live(settings_given: dict[str, Any], told: Connection) -> None:
    """Run a gate until the process is killed."""
    settings = Settings(**settings_given)
    # A process that only compiles rules would outlive this one for a while; how rules are compiled is not tried here.
    vars(gates)["ChildCompiler"] = lambda _: InlineCompiler(compile_bundle)
    stores = RocksStores(settings.state_dir / "gate" / settings.instance)
    worker: Worker = gates.build_gate(settings, open_log(settings), build_codec(settings), ROOT_KEY, stores)
    worker.start()
    is_told = False
    while True:
        if worker.step() and not is_told:
            told.send_bytes(_WORKING)
            is_told = True


class Lives:
    """The lives of a gate on a log."""

    def __init__(self, world: World, rng: Random) -> None:
        """Start with no gate that lives."""
        self._world = world
        self._rng = rng
        self._context = multiprocessing.get_context("forkserver")
        # A life is forked from a process that has imported all of this already.
        self._context.set_forkserver_preload([__name__])
        self.ends: Counter[str] = Counter()
        self.intents = 0
        world.publish(session_records(world, (credential(ROOT_KEY, number) for number in range(SESSIONS))))

    def propose(self, count: int) -> None:
        """Write so many intents."""
        self._world.publish(intent_records(self._world, SESSIONS, self.intents, self.intents + count))
        self.intents += count

    def round(self) -> None:
        """Let a gate live and kill it."""
        rng = self._rng
        self.propose(rng.randint(0, INTENTS_MAX))
        process, heard = self._start()
        if rng.random() < EARLY_SHARE:
            time.sleep(rng.random() * EARLY_S_MAX)
            end = "while it worked" if heard.poll(0) else "while it started"
        else:
            self.propose(rng.randint(1, INTENTS_MAX))
            if not heard.poll(START_S_MAX):
                raise RuntimeError("the gate does not begin to work")
            time.sleep(rng.random() * WORKING_S_MAX)
            end = "while it worked"
        self._kill(process)
        heard.close()
        self.ends[end] += 1

    def last(self) -> dict[str, set[bytes]]:
        """Let a last gate decide what is left; return the final verdicts by their intents."""
        process, heard = self._start()
        deadline_s = time.monotonic() + LAST_S_MAX
        while len(final_verdicts(self._world)) < self.intents and time.monotonic() < deadline_s:
            time.sleep(LAST_LOOK_S)
        # A gate that decided an intent once more would do so after the last one for which this has waited.
        time.sleep(AFTERWARDS_S)
        self._kill(process)
        heard.close()
        return final_verdicts(self._world)

    def _start(self) -> tuple[BaseProcess, Connection]:
        heard, told = self._context.Pipe(duplex=False)
        process = self._context.Process(target=live, args=(self._world.settings, told), daemon=True)
        process.start()
        told.close()
        return process, heard

    @staticmethod
    def _kill(process: BaseProcess) -> None:
        """Kill a gate as a lack of memory would.

        Raises:
            RuntimeError: it has ended before by itself, which no test of kills may count.
        """
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            raise RuntimeError(f"the gate ended by itself before it was killed, with status {process.exitcode}")


def final_verdicts(world: World) -> dict[str, set[bytes]]:
    """Return the bytes of the final verdicts on the log, by their intents. Blocking."""
    found: dict[str, set[bytes]] = {}
    for received in read_to_end(world.log, (VERDICT.name,), SystemClock()):
        record = decoded(world.codec, received)
        if isinstance(record, Verdict) and record.outcome in FINAL_OUTCOMES:
            found.setdefault(record.intent_id, set()).add(received.value or b"")
    return found


def killed(world: World, rounds: int, seed: int, *, told_every: int = 0) -> Outcome:
    """Kill a gate so many times on a log, and look at what is left.

    Args:
        world: the log, with rules and tools.
        rounds: how many kills.
        seed: decides when they come, and how many intents are written.
        told_every: after how many kills to say on standard error how far it is; 0: never.

    Raises:
        RuntimeError: a gate does not begin to work, or ends by itself.
    """
    lives = Lives(world, Random(seed))  # noqa: S311 - it is to be repeatable, not secret
    for number in range(1, rounds + 1):
        lives.round()
        if told_every and number % told_every == 0:
            print(f"{number} rounds, {lives.intents} intents", file=sys.stderr, flush=True)
    found = lives.last()
    settings = Settings(**world.settings)
    keys = SealKeys.derived(ROOT_KEY)
    source = LogSource(world.log, SystemClock())
    partitions = list(verify_log(source, world.codec, keys, since={}, is_whole=True))
    setup = setup_replay(settings, ROOT_KEY)
    recorded = RecordedLog(world.log, setup.wire, SystemClock(), setup.engine.time_ahead_max_ms)
    return Outcome(
        lives.ends,
        lives.intents,
        lives.intents - len(found),
        sum(len(values) > 1 for values in found.values()),
        partitions,
        replay_log(recorded, setup, Stretch()),
    )
