"""The process that asks coordinators may die at any time: it costs a question, and nothing else."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.groups import questions as group_questions
from streams.kafka.groups.questions import RESTART_PAUSE_S, GroupQuestions, Question
from streams.kafka.settings import NO_SETTINGS

UNREACHABLE = "127.0.0.1:1"
WAIT_S = 30.0
SELECTABLE_MAX = 1024
"""`select` refuses this descriptor and those above it."""


@pytest.fixture
def questions() -> Iterator[GroupQuestions]:
    with closing(GroupQuestions(UNREACHABLE, NO_SETTINGS)) as made:
        yield made


@pytest.fixture
def many_open() -> Iterator[None]:
    """As many open files as a gate with many partitions has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2 * SELECTABLE_MAX)), hard))
    # A file that an earlier test has left would be closed at any time, and its descriptor taken again.
    gc.collect()
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(SELECTABLE_MAX)]
    yield
    for each in opened:
        os.close(each)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def asked(questions: GroupQuestions) -> subprocess.Popen[bytes]:
    """Ask, and return the process that answers."""
    questions.ask(Question("a group"))
    assert questions._process is not None
    return questions._process


def test_a_process_that_dies_has_no_answer_and_the_next_question_starts_another(questions: GroupQuestions) -> None:
    first = asked(questions)
    first.kill()
    with pytest.raises(KafkaException) as raised:
        questions.answer(WAIT_S)
    assert raised.value.args[0].code() == KafkaError._TIMED_OUT
    assert not questions.is_asked
    time.sleep(RESTART_PAUSE_S)
    assert asked(questions) is not first


def test_one_that_has_died_between_two_questions_likewise(questions: GroupQuestions) -> None:
    first = asked(questions)
    questions._asked_s = None
    first.kill()
    first.wait()
    questions.ask(Question("a group"))
    with pytest.raises(KafkaException):
        questions.answer(WAIT_S)
    time.sleep(RESTART_PAUSE_S)
    assert asked(questions) is not first


def test_processes_that_die_are_not_started_without_a_pause(
    questions: GroupQuestions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_questions, "RESTART_PAUSE_S", WAIT_S)
    asked(questions).kill()
    with pytest.raises(KafkaException):
        questions.answer(WAIT_S)
    questions.ask(Question("a group"))
    assert questions._process is None
    with pytest.raises(KafkaException):
        questions.answer()


def test_brokers_that_are_away_are_an_answer(questions: GroupQuestions) -> None:
    process = asked(questions)
    with pytest.raises(KafkaException) as raised:
        questions.answer(WAIT_S)
    assert raised.value.args[0].code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
    assert process.poll() is None


@pytest.mark.usefixtures("many_open")
def test_a_gate_with_many_open_files_has_answers(questions: GroupQuestions) -> None:
    process = asked(questions)
    assert process.stdout is not None
    assert process.stdout.fileno() >= SELECTABLE_MAX
    assert questions.answer() is None
    with pytest.raises(KafkaException) as raised:
        questions.answer(WAIT_S)
    assert "the process that asks" not in str(raised.value)
    assert process.poll() is None


@pytest.mark.usefixtures("many_open")
def test_and_sees_a_process_that_has_died(questions: GroupQuestions) -> None:
    asked(questions).kill()
    with pytest.raises(KafkaException, match="the process that asks has not answered"):
        questions.answer(WAIT_S)


def test_an_answer_that_is_too_long_is_none(questions: GroupQuestions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_questions, "ANSWER_BYTES_MAX", 20)
    monkeypatch.setattr(group_questions, "_READ_BYTES", 25)
    process = asked(questions)
    assert process.stdout is not None
    process.stdout.close()
    output, into = os.pipe()
    process.stdout = os.fdopen(output, "rb")
    os.write(into, b"x" * 30 + b"\n")
    with pytest.raises(KafkaException, match="the process that asks has not answered"):
        questions.answer(WAIT_S)
    assert process.poll() is not None
    os.close(into)


def test_it_ends_with_whoever_has_asked(questions: GroupQuestions) -> None:
    process = asked(questions)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(WAIT_S) == 0
