"""What a Kafka error means to the caller."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka.bounded.deadline import within
from streams.kafka.bounded.retry import persist
from streams.kafka.errors import call_error, error_of, transaction_error
from streams.kafka.poll_errors import ERRORS_IN_A_ROW_MAX, FaultCounter
from streams.ports import (
    AbortableTransactionError,
    DeniedLogError,
    FatalLogError,
    FencedError,
    LogError,
    RetriableLogError,
)


class TestTransactionError:
    @pytest.mark.parametrize(
        ("error", "meaning"),
        [
            (KafkaError(KafkaError._TIMED_OUT, "slow", retriable=True), RetriableLogError),
            # The flag decides, not the code: without it this one would be tried again for ever.
            (KafkaError(KafkaError._TIMED_OUT, "slow"), FatalLogError),
            (KafkaError(KafkaError._INCONSISTENT, "lost", txn_requires_abort=True), AbortableTransactionError),
            (
                KafkaError(KafkaError._TIMED_OUT, "x", retriable=True, txn_requires_abort=True),
                AbortableTransactionError,
            ),
            (KafkaError(KafkaError.INVALID_TXN_STATE, "state", fatal=True), FatalLogError),
            (KafkaError(KafkaError._STATE, "state"), FatalLogError),
            (KafkaError(KafkaError._FATAL, "dead"), FatalLogError),
            (KafkaError(KafkaError._FENCED, "newer", fatal=True), FencedError),
            (KafkaError(KafkaError.PRODUCER_FENCED, "newer", txn_requires_abort=True), FencedError),
            (KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, "newer", fatal=True), FencedError),
        ],
    )
    def test_meaning(self, error: KafkaError, meaning: type[LogError]) -> None:
        found = transaction_error(error, "commit")
        assert type(found) is meaning
        assert str(found) == f"can't commit: {error.str()} ({error.name()})"

    @pytest.mark.parametrize("code", [KafkaError.ILLEGAL_GENERATION, KafkaError.UNKNOWN_MEMBER_ID])
    def test_a_group_that_moved_on_fences_only_where_offsets_are_committed(self, code: int) -> None:
        error = KafkaError(code, "old", txn_requires_abort=True)
        assert type(transaction_error(error, "commit offsets", with_offsets=True)) is FencedError
        assert type(transaction_error(error, "commit")) is AbortableTransactionError


class TestCallError:
    @pytest.mark.parametrize(
        ("error", "meaning"),
        [
            (KafkaError(KafkaError._TIMED_OUT, "slow"), RetriableLogError),
            (KafkaError(KafkaError.NOT_CONTROLLER, "moved"), RetriableLogError),
            (KafkaError(KafkaError.UNKNOWN, "?", retriable=True), RetriableLogError),
            (KafkaError(KafkaError._FATAL, "dead"), FatalLogError),
            (KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "gap", fatal=True), FatalLogError),
            (KafkaError(KafkaError.FENCED_INSTANCE_ID, "newer"), FencedError),
            (KafkaError(KafkaError.TOPIC_ALREADY_EXISTS, "there"), LogError),
            (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no"), DeniedLogError),
            (KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "no"), DeniedLogError),
        ],
    )
    def test_meaning(self, error: KafkaError, meaning: type[LogError]) -> None:
        assert type(call_error(error, "look")) is meaning

    def test_an_exception_without_an_error_has_one_all_the_same(self) -> None:
        assert error_of(KafkaException("odd")).code() == KafkaError._FAIL
        assert error_of(KafkaException()).code() == KafkaError._FAIL


class TestFaultCounter:
    def test_what_passes_is_counted_until_a_record_comes(self) -> None:
        faults = FaultCounter("a reader")
        passing = KafkaError(KafkaError._TRANSPORT, "away")
        for _ in range(ERRORS_IN_A_ROW_MAX):
            faults.take(passing)
        faults.clear()
        for _ in range(ERRORS_IN_A_ROW_MAX):
            faults.take(passing, "topic", 1)
        with pytest.raises(FatalLogError, match=r"`topic` partition 1.*errors in a row"):
            faults.take(passing, "topic", 1)

    @pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._BAD_MSG, KafkaError._FATAL])
    def test_reading_on_would_leave_records_out(self, code: int) -> None:
        with pytest.raises(FatalLogError, match="`topic` partition 0") as caught:
            FaultCounter("a reader").take(KafkaError(code, "no"), "topic", 0)
        assert type(caught.value) is FatalLogError

    def test_the_end_of_a_static_member_is_another_one(self) -> None:
        with pytest.raises(FencedError):
            FaultCounter("a reader", static=True).take(KafkaError(KafkaError._FATAL, "no"))


class TestPersist:
    def test_it_ends_with_the_first_result(self) -> None:
        outcomes = [KafkaError(KafkaError._TIMED_OUT, "slow"), KafkaError(KafkaError._NOENT, "none"), None]

        def call(_: float) -> str:
            error = outcomes.pop(0)
            if error is not None:
                raise KafkaException(error)
            return "done"

        assert persist(call, lambda error: call_error(error, "call"), within(5)) == "done"

    def test_it_ends_with_the_first_error_that_stays(self) -> None:
        def call(_: float) -> None:
            raise KafkaException(KafkaError(KafkaError.TOPIC_ALREADY_EXISTS, "there"))

        with pytest.raises(LogError, match="there"):
            persist(call, lambda error: call_error(error, "call"), within(5))

    def test_it_ends_with_the_time(self) -> None:
        left_s: list[float] = []

        def call(seconds: float) -> None:
            left_s.append(seconds)
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "slow"))

        with pytest.raises(RetriableLogError, match="slow"):
            persist(call, lambda error: call_error(error, "call"), within(0.1))
        assert left_s == sorted(left_s, reverse=True)
        assert 2 <= len(left_s) <= 10

    def test_it_makes_no_attempt_once_the_time_is_over(self) -> None:
        made: list[float] = []

        def call(seconds: float) -> None:
            made.append(seconds)
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "slow"))

        with pytest.raises(RetriableLogError, match="slow"):
            persist(call, lambda error: call_error(error, "call"), lambda: 0.0 if made else 60.0)
        assert made == [60.0]
