"""The single place that maps Kafka's errors to what they mean for a caller: see `streams.ports.LogError`.

Two kinds of calls report errors differently. Transactional calls flag their errors (`retriable`, `txn_requires_abort`,
`fatal`), and only the flags count: the same code can mean "again" or "over", depending on the state of the transaction.
All other calls have only a code.
"""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from streams.ports import (
    AbortableTransactionError,
    DeniedLogError,
    FatalLogError,
    FencedError,
    LogError,
    RetriableLogError,
)

# A newer producer with our transactional id, or a newer owner of our static member id.
FENCED_CODES = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
    }
)
# The group has a newer generation: the partitions of these offsets are no longer assigned to this member.
STALE_GROUP_CODES = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
    }
)
# Temporary: a broker that is down, starting, or transferring leadership.
TRANSIENT_CODES = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._DESTROY_BROKER,
        KafkaError._IN_PROGRESS,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._NODE_UPDATE,
        KafkaError._NOENT,  # a partition has no known leader
        KafkaError._RESOLVE,
        KafkaError._RETRY,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._UNKNOWN_BROKER,
        KafkaError._WAIT_CACHE,
        KafkaError._WAIT_COORD,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.FETCH_SESSION_ID_NOT_FOUND,
        KafkaError.INVALID_FETCH_SESSION_EPOCH,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.LISTENER_NOT_FOUND,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.PREFERRED_LEADER_NOT_AVAILABLE,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    }
)
DENIED_CODES = frozenset(
    {
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
# Records that can't be read as stored, and missing rights of a reader: reading on would skip records.
UNREADABLE_CODES = frozenset(
    {
        KafkaError._BAD_COMPRESSION,
        KafkaError._BAD_MSG,
        KafkaError._LOG_TRUNCATION,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
    }
)


def error_of(exception: KafkaException) -> KafkaError:
    """Return the error within an exception of confluent_kafka."""
    error = exception.args[0] if exception.args else None
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError._FAIL, str(exception))


def is_gone(error: KafkaError) -> bool:
    """Return whether the client that reports the error can no longer be used."""
    return error.fatal() or error.code() == KafkaError._FATAL


def call_error(error: KafkaError, doing: str) -> LogError:
    """Return the port's error for an error of a call outside transactions (reading, publishing, set-up).

    Args:
        error: as reported.
        doing: what was tried, to follow "can't": "read the committed offsets of group `gate`".
    """
    if error.code() in FENCED_CODES:
        return FencedError(_text(error, doing))
    if is_gone(error):
        return FatalLogError(_text(error, doing))
    if error.retriable() or error.code() in TRANSIENT_CODES:
        return RetriableLogError(_text(error, doing))
    if error.code() in DENIED_CODES:
        return DeniedLogError(_text(error, doing))
    return LogError(_text(error, doing))


def transaction_error(error: KafkaError, doing: str, *, with_offsets: bool = False) -> LogError:
    """Return the port's error for an error of a transactional call.

    Args:
        error: as reported.
        doing: what was tried, to follow "can't".
        with_offsets: whether the call commits offsets for a group, which may have a newer generation.
    """
    if error.code() in FENCED_CODES or (with_offsets and error.code() in STALE_GROUP_CODES):
        return FencedError(_text(error, doing))
    if is_gone(error):
        return FatalLogError(_text(error, doing))
    if error.txn_requires_abort():
        return AbortableTransactionError(_text(error, doing))
    if error.retriable():
        return RetriableLogError(_text(error, doing))
    return FatalLogError(_text(error, doing))


def _text(error: KafkaError, doing: str) -> str:
    return f"can't {doing}: {error.str()} ({error.name()})"
