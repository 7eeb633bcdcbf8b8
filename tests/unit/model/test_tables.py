"""Tables of the model that must be complete."""

from __future__ import annotations

from enum import StrEnum

import pytest

from streams.model.audit import AuditEvent
from streams.model.reasons import (
    CONTROL_TEXTS,
    DEAD_LETTER_TEXTS,
    INPUT_LOSS_TEXTS,
    REASON_TEXTS,
    REFUSAL_TEXTS,
    TIME_CORRECTION_TEXTS,
    ControlReason,
    DeadLetterReason,
    InputLoss,
    Reason,
    Refusal,
    TimeCorrection,
)
from streams.model.topics import (
    AUDIT,
    AUDIT_REPORTED,
    AUDIT_SEAL,
    BY_NAME,
    CONTENT_ORDER,
    DECLARED,
    FEEDBACK,
    REPORT,
    TOKEN_USED,
    TOPICS,
    Spread,
)
from tests.records import BY_RECORD


@pytest.mark.parametrize(
    ("codes", "texts"),
    [
        (Reason, REASON_TEXTS),
        (DeadLetterReason, DEAD_LETTER_TEXTS),
        (Refusal, REFUSAL_TEXTS),
        (ControlReason, CONTROL_TEXTS),
        (InputLoss, INPUT_LOSS_TEXTS),
        (TimeCorrection, TIME_CORRECTION_TEXTS),
    ],
)
def test_every_code_has_a_text(codes: type[StrEnum], texts: dict[StrEnum, str]) -> None:
    assert list(texts) == list(codes)
    for code, text in texts.items():
        assert code.value == code.name.lower()
        assert text
        assert text[0].islower()
        assert not text.endswith(".")
    assert len(set(texts.values())) == len(texts)


def test_topics_are_declared_once() -> None:
    assert len(BY_NAME) == len(TOPICS)
    assert set(BY_RECORD) == {topic.record for topic in DECLARED if topic.record is not None}
    # Only audit events, session events, the statuses of alerts and seals have two topics.
    second = {topic for topic in DECLARED if topic.record is not None} - set(BY_RECORD.values())
    assert second == {AUDIT_REPORTED, REPORT, FEEDBACK, AUDIT_SEAL}
    assert BY_RECORD[AuditEvent] is AUDIT
    assert {topic.dlq for topic in DECLARED if topic.dead_letters} == {t.name for t in TOPICS} - {
        t.name for t in DECLARED
    }


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_is_whole(topic: object) -> None:
    assert topic.note
    assert topic.writers
    assert topic.readers
    config = topic.config()
    assert config["message.timestamp.type"] == "LogAppendTime"
    assert (config["cleanup.policy"] == "compact") is (config["retention.ms"] == "-1" and topic.compacted)


def test_dead_letters_are_kept_no_longer_than_what_they_were() -> None:
    for topic in DECLARED:
        if topic.dead_letters:
            kept_ms = BY_NAME[topic.dlq].retention_ms
            assert kept_ms == (7 * 86_400_000 if topic.compacted else topic.retention_ms)


def test_what_outlives_an_erasure_is_gone_in_time() -> None:
    gone_after_hours = {t.name: (t.gone_after_ms or 0) / 3_600_000 for t in TOPICS if t.outlives_erasure}
    assert gone_after_hours == {
        # Seven days of retention, and a day of which a segment may be.
        "agent.intent.v1": 192,
        # Purposes, which can be in the user's own words.
        "agent.session.v1": 192,
        "agent.delegation.v1": 192,
        "agent.report.v1": 192,
        "agent.verdict.v1": 192,
        "agent.approval.request.v1": 192,
        "agent.intent.v1.dlq": 192,
        "agent.session.v1.dlq": 192,
        "agent.delegation.v1.dlq": 192,
        "agent.report.v1.dlq": 192,
        "stoplog.gate.changelog": 24,
        "stoplog.keying.changelog": 24,
        "agent.content.key.v1": 1,
    }
    for name, hours in gone_after_hours.items():
        config = BY_NAME[name].config()
        segment_ms, kept_ms = int(config["segment.ms"]), int(config["retention.ms"])
        is_deleted = config["cleanup.policy"] == "delete"
        assert segment_ms + (kept_ms if is_deleted else 0) == hours * 3_600_000
        assert is_deleted or int(config["max.compaction.lag.ms"]) == segment_ms
    assert "segment.ms" not in AUDIT.config(), "an audit log of a segment a day would be of many files"
    assert AUDIT.gone_after_ms is None


def test_broadcast_topics_keep_what_is_in_force() -> None:
    # What was used is kept by time: it expires, and the first record of a token counts, not the last.
    broadcast = {topic for topic in DECLARED if topic.spread is Spread.BROADCAST and not topic.compacted}
    assert {topic for topic in broadcast if topic.retention_ms is not None} == {TOKEN_USED}
    # Of orders about content, each is kept: a later one of its key does not always replace it.
    assert broadcast - {TOKEN_USED} == {CONTENT_ORDER}
