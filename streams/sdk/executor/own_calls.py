"""The own calls that an executor has read: sessions side by side, the calls of a session in the order of the log.

The way of a call: it waits for the call before it of its session, a worker claims it and runs it, the recorder writes
how it ended to the store, and the loop collects it. Each change of the store waits for the disk, so the recorder
records all ends that are there in one change, and workers do not wait for it. A session's next call begins once the end
of the one before is on disk.

What is bounded are the own calls, in number and in bytes: verdicts of others are never here.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from streams.model.reasons import Refusal
from streams.model.verdict import Verdict
from streams.sdk.errors import ExecutorError
from streams.sdk.executor.attempts import Ended
from streams.sdk.executor.executor import Executor
from streams.sdk.executor.types import ToolOutcome
from streams.sdk.executor.uses import Use
from streams.sdk.executor.verdict_checks import Refused
from streams.sdk.executor.verdict_jobs import Done, Job

RECORDED_AT_ONCE_MAX = 256

_log = logging.getLogger(__name__)


class OwnCalls:
    """Queue, workers and recorder. `put`, `put_expired`, `collect` and `stop_revoked` are for one thread."""

    def __init__(self, executor: Executor, concurrency: int, is_current: Callable[[Job], bool]) -> None:
        """Make the threads; `start` starts them.

        Args:
            is_current: whether the call's partition still belongs to this member, as it did when the call was read.
                Called in the workers' threads.
        """
        self._executor = executor
        self._is_current = is_current
        self._ready: queue.SimpleQueue[Job | list[Job] | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[Job, Ended] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._in_flight: dict[int, Job] = {}
        # By session key: calls that wait for the running call of their session.
        self._chains: dict[bytes | None, deque[Job]] = {}
        self._error: Exception | None = None
        self.bytes_count = 0
        self._workers = [
            threading.Thread(target=self._work, name=f"stoplog-executor-{number}", daemon=True)
            for number in range(concurrency)
        ]
        self._recorder = threading.Thread(target=self._record, name="stoplog-executor-ends", daemon=True)

    def __len__(self) -> int:
        return len(self._in_flight)

    def start(self) -> None:
        """Start the threads."""
        for thread in (*self._workers, self._recorder):
            thread.start()

    def close(self) -> None:
        """End the threads, after what they have begun. Does not wait for them."""
        for _ in self._workers:
            self._ready.put(None)

    def waiting(self) -> list[Verdict]:
        """Return the verdicts that have not had their turn. May be called in any thread."""
        return [job.verdict for job in list(self._in_flight.values()) if not job.begun.locked()]

    def put(self, job: Job) -> None:
        """Run a call when the calls before it of its session have ended."""
        self._add(job)
        chain = self._chains.get(job.key)
        if chain is None:
            self._chains[job.key] = deque()
            self._ready.put(job)
        else:
            chain.append(job)

    def put_expired(self, jobs: list[Job]) -> None:
        """Use up expired verdicts, together and at once: nothing runs, so they need not wait for their sessions."""
        for job in jobs:
            self._add(job)
            job.begun.acquire()
        self._ready.put(jobs)

    def collect(self, wait_ms: int) -> list[Done]:
        """Return the calls that are done; wait up to `wait_ms` for the first.

        Raises:
            ExecutorError: a worker can't continue.
        """
        error, self._error = self._error, None
        if error is not None:
            # Its offset is not committed, so it is read again; what it has used up stays used.
            raise ExecutorError(f"the executor can't continue: {error}") from error
        found: list[Done] = []
        timeout_s = wait_ms / 1000
        while True:
            try:
                done = self._done.get(timeout=timeout_s) if timeout_s > 0 else self._done.get_nowait()
            except queue.Empty:
                return found
            timeout_s = 0.0
            if self._in_flight.pop(id(done.job), None) is not None:
                self.bytes_count -= done.job.size_bytes
            if done.had_turn:
                self._go_on(done.job.key)
            if done.error is None:
                found.append(done)
                continue
            # What was done before it is reported first.
            self._error = done.error
            return found if found else self.collect(0)

    def stop_revoked(self) -> None:
        """End waiting calls that a revocation stops, without waiting for their turn."""
        stopped = [
            (job, refused)
            for job in list(self._in_flight.values())
            if (refused := self._executor.refused_if_revoked(job.verdict, job.key))
            and job.begun.acquire(blocking=False)
        ]
        if not stopped:
            return
        had_turn = [self._take_out(job) for job, _ in stopped]
        try:
            found = self._executor.give_up([(job.verdict, refused) for job, refused in stopped])
            done = [self._reported(job, attempted) for (job, _), attempted in zip(stopped, found, strict=True)]
        except Exception as error:
            done = _failed([job for job, _ in stopped], error)
        for each, had in zip(done, had_turn, strict=True):
            self._done.put(replace(each, had_turn=had))

    def _take_out(self, job: Job) -> bool:
        """Take a call out of those that wait for its session; return whether it had its turn already."""
        chain = self._chains.get(job.key, deque())
        if job not in chain:
            return True
        chain.remove(job)
        return False

    def _add(self, job: Job) -> None:
        self._in_flight[id(job)] = job
        self.bytes_count += job.size_bytes

    def _go_on(self, key: bytes | None) -> None:
        """Start the next call of the session, if one waits."""
        chain = self._chains[key]
        if chain:
            self._ready.put(chain.popleft())
        else:
            del self._chains[key]

    # -- the workers ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (ready := self._ready.get()) is not None:
            if isinstance(ready, list):
                self._give_up(ready)
            elif ready.begun.acquire(blocking=False):
                self._run(ready)
        self._ended.put(None)

    def _run(self, job: Job) -> None:
        try:
            if not self._is_current(job):
                # Its partition has moved to another member, which reads it again.
                self._done.put(Done(job, left=True))
                return
            attempted = self._executor.run_claimed(job.verdict, job.key)
            if isinstance(attempted, Refused):
                self._done.put(self._reported(job, attempted))
            else:
                self._ended.put((job, attempted))
        except Exception as error:
            self._done.put(Done(job, error=error))

    def _give_up(self, jobs: list[Job]) -> None:
        current = [job for job in jobs if self._is_current(job)]
        try:
            found = self._executor.give_up_expired([(job.verdict, job.key) for job in current])
            done = [self._reported(job, attempted) for job, attempted in zip(current, found, strict=True)]
        except Exception as error:
            done = _failed(jobs, error)
        else:
            moved = set(map(id, jobs)) - set(map(id, current))
            done += [Done(job, left=True) for job in jobs if id(job) in moved]
        for each in done:
            self._done.put(replace(each, had_turn=False))

    def _record(self) -> None:
        """Record the ends of calls, as many as there are in one change of the store."""
        working_count = len(self._workers)
        while working_count:
            batch = [self._ended.get()]
            while len(batch) < RECORDED_AT_ONCE_MAX:
                try:
                    batch.append(self._ended.get_nowait())
                except queue.Empty:
                    break
            working_count -= batch.count(None)
            self._record_batch([each for each in batch if each is not None])

    def _record_batch(self, batch: list[tuple[Job, Ended]]) -> None:
        if not batch:
            return
        try:
            uses = self._executor.finish([ended for _, ended in batch])
            found = [self._reported(job, (use, ended.outcome)) for (job, ended), use in zip(batch, uses, strict=True)]
        except Exception as error:
            found = _failed([job for job, _ in batch], error)
        for done in found:
            self._done.put(done)

    def _reported(self, job: Job, attempted: Refused | tuple[Use, ToolOutcome]) -> Done:
        """Return what there is to report about a call that has ended."""
        if not isinstance(attempted, Refused):
            use, outcome = attempted
            ran = outcome if outcome.refusal is None else None
            return Done(job, self._executor.reports.outcome_records(use), use, ran)
        if attempted.refusal is Refusal.ALREADY_USED:
            # Verdicts are repeated for repeated intents, and read again after a crash.
            _log.debug("verdict `%s` was used before", job.verdict.verdict_id)
            return Done(job)
        return Done(job, self._executor.reports.refusal_records(job.verdict, attempted))


def _failed(jobs: list[Job], error: Exception) -> list[Done]:
    """Return the outcome of calls that an error concerns: it is raised once, and none of their offsets is committed."""
    return [Done(jobs[0], error=error), *(Done(job, left=True) for job in jobs[1:])]
