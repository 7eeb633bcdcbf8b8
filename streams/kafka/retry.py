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
    call: Callable[[float], _Result], classify: Callable[[KafkaError], LogError], duration_s_max: float
) -> _Result:
    """Repeat a call as long as its error is temporary.

    Args:
        call: called with the number of seconds that it may take.
        classify: maps an error to the port's.
        duration_s_max: for all attempts together.

    Raises:
        RetriableLogError: the time limit has passed.
        LogError: as classified.
    """
    deadline_s = time.monotonic() + duration_s_max
    while True:
        left_s = deadline_s - time.monotonic()
        try:
            return call(max(left_s, RETRY_PAUSE_S))
        except KafkaException as exception:
            error = classify(error_of(exception))
            if not isinstance(error, RetriableLogError) or left_s <= RETRY_PAUSE_S:
                try:
                    raise error from exception
                finally:
                    # See `TimedCalls.call`: a cycle would keep the client.
                    del error
        time.sleep(RETRY_PAUSE_S)
