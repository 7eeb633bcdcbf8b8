"""Notice members of groups that are never assigned partitions again, and report no error.

After brokers that stood still for longer than a group's session, librdkafka (2.16) sometimes leaves a member whose
session has ended without partitions for good: see `streams.kafka.noticing.silence`. A member also waits while the
group's coordinator is away, and goes on by itself once that is back. Only the coordinator assigns partitions, so it is
asked, and not the leader of some partition: either may be away without the other.
"""

from __future__ import annotations

import time

from confluent_kafka import KafkaException

from streams.kafka.groups.questions import GroupQuestions, Question
from streams.ports import UnansweredError

ASK_AFTER_S = 10.0
"""The coordinator is asked once a member has waited for this long."""

ASK_PAUSE_S = 2.0
"""The pause between an answer and the next question."""

JOIN_S_MAX = 50.0
"""A member that is assigned nothing for this long, while the coordinator answers each question, is given up: a minute
after it has begun to wait. An executor that gives its partitions up finishes its calls first, for up to 30 s, and the
others wait for it."""


class JoinWatch:
    """Raises an error once a member waits for partitions in vain. One per member, for one thread."""

    def __init__(self, group: str, questions: GroupQuestions) -> None:
        """Watch a member of `group`; nobody else may ask these `questions`."""
        self._group = group
        self._questions = questions
        self._waits_since_s: float | None = None
        self._answers_since_s: float | None = None
        self._ask_at_s = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether the member waits for partitions."""
        return self._waits_since_s is not None

    def begin(self) -> None:
        """Note that the member begins to wait for partitions."""
        self.end()
        self._waits_since_s = time.monotonic()
        self._ask_at_s = self._waits_since_s + ASK_AFTER_S

    def end(self) -> None:
        """Note that the member is assigned partitions, or leaves the group."""
        self._waits_since_s = self._answers_since_s = None
        # Also forgets what was asked: an answer that comes later is not about the next wait.
        self._questions.close()

    def check(self) -> None:
        """Check that the member does not wait in vain. Does not block.

        Raises:
            UnansweredError: it is assigned nothing, and the coordinator has answered for JOIN_S_MAX seconds. Create a
                new client.
        """
        now_s = time.monotonic()
        if self._waits_since_s is None or now_s < self._ask_at_s:
            return
        if not self._questions.is_asked:
            self._questions.ask(Question(self._group))
        try:
            answer = self._questions.answer()
        except KafkaException:
            # It is away, or has just come back, and members need time to join.
            self._answers_since_s = None
        else:
            if answer is None:
                return
            self._answers_since_s = now_s if self._answers_since_s is None else self._answers_since_s
        self._ask_at_s = now_s + ASK_PAUSE_S
        if self._answers_since_s is not None and now_s - self._answers_since_s >= JOIN_S_MAX:
            waited_s = now_s - self._waits_since_s
            self.begin()
            raise UnansweredError(
                f"the member of group `{self._group}` has been assigned nothing for {waited_s:.0f} s although the "
                "coordinator answers: it needs a new client"
            )
