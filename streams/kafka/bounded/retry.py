"""Repeat a call while that may help, within a time limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

from streams.kafka.errors import error_of
from streams.ports import LogError, RetriableLogError

# Some temporary errors are reported at once; this keeps the repetition from spinning.
RETRY_PAUSE_S = 0.02

_Result = TypeVar("_Result")


def persist(
    call: Callable[[float], _Result], classify: Callable[[KafkaError], LogError], left_s: Callable[[], float]
) -> _Result:
    """Repeat a call as long as its error is temporary and time is left. It is made once in any case.

    Args:
        call: called with the number of seconds that it may take.
        classify: maps an error to the port's.
        left_s: returns how many seconds are left for all attempts together, see `within`. Asked before each of them.

    Raises:
        RetriableLogError: no time is left.
        LogError: as classified.
    """
    allowed_s = left_s()
    while True:
        try:
            return call(max(allowed_s, RETRY_PAUSE_S))
        except KafkaException as exception:
            error = classify(error_of(exception))
            if isinstance(error, RetriableLogError):
                time.sleep(RETRY_PAUSE_S)
                # After the pause: whoever waits may have given the call up meanwhile.
                allowed_s = left_s()
                if allowed_s > 0:
                    continue
            try:
                raise error from exception
            finally:
                # See `TimedCalls.call`: a cycle would keep the client.
                del error
