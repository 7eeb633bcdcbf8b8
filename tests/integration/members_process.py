"""Asks for the members of groups again and again, in a process of its own that a fault of the client library would end.

Not a test: `python -m tests.integration.members_process BOOTSTRAP GROUPS` joins no group. For each line of its input it
writes one, once a question that was asked after that line has an answer. It ends, with status 0, with its input.
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, closing

from confluent_kafka import KafkaException

from streams.kafka.groups.members import GroupMembers
from streams.kafka.groups.questions import GroupQuestions, Question
from streams.kafka.settings import NO_SETTINGS

ANSWER_S_MAX = 10.0
PAUSE_S = 0.005


def main() -> None:
    """Run it."""
    bootstrap, count = sys.argv[1], int(sys.argv[2])
    told, ended = threading.Semaphore(0), threading.Event()
    threading.Thread(target=_listen, args=(told, ended), daemon=True).start()
    with ExitStack() as stack:
        groups = [
            stack.enter_context(closing(GroupMembers(bootstrap, f"group-{number}", "me", NO_SETTINGS)))
            for number in range(count)
        ]
        questions = stack.enter_context(closing(GroupQuestions(bootstrap, NO_SETTINGS)))
        while not ended.wait(PAUSE_S):
            for group in groups:
                group.look()
            if told.acquire(blocking=False):
                _await_answer(questions)
                sys.stdout.write("answer\n")
                sys.stdout.flush()


def _await_answer(questions: GroupQuestions) -> None:
    while True:
        questions.ask(Question("group-0"))
        try:
            if questions.answer(ANSWER_S_MAX) is not None:
                return
        except KafkaException:
            continue


def _listen(told: threading.Semaphore, ended: threading.Event) -> None:
    for _ in sys.stdin:
        told.release()
    ended.set()


if __name__ == "__main__":
    main()
