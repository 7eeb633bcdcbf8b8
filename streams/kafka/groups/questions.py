"""Asks coordinators about groups, in a process of its own.

**Idea.** librdkafka (2.16) ends its process with a failed assertion if the coordinator vanishes at the wrong moment
while it is asked about a group (https://github.com/confluentinc/librdkafka/issues/4605). Brokers vanish just when gates
ask, and a gate must outlive that. So another process asks, which lives for as long as there are questions, so that an
answer takes no longer than its request. If it dies, the question has no answer, and the next one starts it again.

**Rejected.** `AdminClient.list_groups`, which does not ask coordinators: it asks every broker, waits for those that are
away, and does not name static members. The second client library (ADR 0042): it lacks ways to sign in that librdkafka
has. A process for each question: starting it takes as long as a takeover waits for the answer.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from typing import IO

import msgspec
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.settings import Settings, connection_settings

ANSWER_S_MAX = 5.0
"""Until the brokers have answered."""

LATE_S_MAX = 3.0
"""Beyond that, until the process has: it may have to start first."""

RESTART_PAUSE_S = 0.5
"""Between two processes, should they die."""

ANSWER_BYTES_MAX = 16 * 1024 * 1024
_MODULE = "streams.kafka.groups.questions_child"
_READ_BYTES = 65_536


class Question(msgspec.Struct, frozen=True):
    """What the process is asked, a line each time. The first line is an `Order`.

    Attributes:
        group: about which group.
        with_operations: whether to say what this client may do with it.
    """

    group: str
    with_operations: bool = False


class Order(msgspec.Struct, frozen=True):
    """Whom the process asks, and how it gets in: `extra` has librdkafka's names."""

    bootstrap: str
    extra: dict[str, str | int | bool]


class Group(msgspec.Struct, frozen=True):
    """What is known of a group, or the error in place of that.

    Attributes:
        is_stable: whether its members have agreed on an assignment.
        instances: the static names of its members; None for a member without a name.
        operations: what this client may do; None if the broker doesn't say, or nobody has asked.
        error_code: of librdkafka's error; None if there is none.
        error_text: what it says.
    """

    is_stable: bool = False
    instances: tuple[str | None, ...] = ()
    operations: tuple[str, ...] | None = None
    error_code: int | None = None
    error_text: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Group).decode


class GroupQuestions:
    """One question at a time. Not thread-safe. Starts its process with the first question."""

    def __init__(self, bootstrap: str, extra: Settings) -> None:
        """Use the brokers and the settings of the client that this belongs to."""
        self._order = Order(bootstrap, dict(connection_settings(extra)))
        self._process: subprocess.Popen[bytes] | None = None
        self._asked_s: float | None = None
        self._started_s = float("-inf")
        self._received = b""

    @property
    def is_asked(self) -> bool:
        """Whether an answer is still to be taken."""
        return self._asked_s is not None

    def ask(self, question: Question) -> None:
        """Ask a question. A question that has no answer yet is forgotten."""
        if self._asked_s is not None:
            self.close()
        self._asked_s = time.monotonic()
        try:
            self._send(_encode(question))
        except OSError:
            # It has died meanwhile: `answer` says so.
            self._end()

    def answer(self, wait_s: float = 0.0) -> Group | None:
        """Return the answer if it has come within `wait_s`, else None. Takes the question back with it.

        Raises:
            KafkaException: the brokers have answered with an error, or the process has not answered in time.
        """
        if self._asked_s is None:
            return None
        line = self._line(wait_s)
        if line is None:
            if self._process is not None and time.monotonic() - self._asked_s < ANSWER_S_MAX + LATE_S_MAX:
                return None
            self.close()
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the process that asks has not answered"))
        self._asked_s = None
        found = _decode(line)
        if found.error_code is not None:
            raise KafkaException(KafkaError(found.error_code, found.error_text))
        return found

    def close(self) -> None:
        """End the process, and forget the question."""
        self._asked_s = None
        self._end()

    def _send(self, question: bytes) -> None:
        process = self._process
        if process is None:
            if time.monotonic() - self._started_s < RESTART_PAUSE_S:
                return  # has no answer, as the one before it
            process = self._start()
        pipe = _pipe(process.stdin)
        pipe.write(question + b"\n")
        pipe.flush()

    def _start(self) -> subprocess.Popen[bytes]:
        self._started_s, self._received = time.monotonic(), b""
        # Everything in the environment may be needed to get in. What the library logs is in the answers, too.
        process = subprocess.Popen(  # noqa: S603 - our own command line
            (sys.executable, "-s", "-m", _MODULE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._process = process
        os.set_blocking(_pipe(process.stdout).fileno(), False)
        pipe = _pipe(process.stdin)
        pipe.write(_encode(self._order) + b"\n")
        return process

    def _line(self, wait_s: float) -> bytes | None:
        """Return the next line that the process has written; None without one. A process that has died is dropped."""
        deadline_s = time.monotonic() + wait_s
        while self._process is not None and b"\n" not in self._received:
            output = _pipe(self._process.stdout).fileno()
            # `select` refuses descriptors from 1024 on, and a gate with many partitions has more open.
            waiting = select.poll()
            waiting.register(output, select.POLLIN)
            if not waiting.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
                return None
            part = os.read(output, _READ_BYTES)
            if not part or len(self._received) > ANSWER_BYTES_MAX:
                self._end()
                return None
            self._received += part
        line, end, self._received = self._received.partition(b"\n")
        return line if end else None

    def _end(self) -> None:
        process, self._process, self._received = self._process, None, b""
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                _pipe(pipe).close()
            except BrokenPipeError:
                continue  # what was still to be written has no reader any more


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise OSError("the process has no pipes")
    return pipe
