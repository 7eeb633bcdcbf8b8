"""A durable log in one SQLite file: the ports of `streams.ports` without a broker."""

from streams.embedded.errors import (
    DamagedFileError,
    FileVersionError,
    ForeignFileError,
    LockedLogError,
    LogFullError,
    RefusedRecordError,
    TopicError,
    UnknownTopicError,
)
from streams.embedded.log import EmbeddedLog

__all__ = [
    "DamagedFileError",
    "EmbeddedLog",
    "FileVersionError",
    "ForeignFileError",
    "LockedLogError",
    "LogFullError",
    "RefusedRecordError",
    "TopicError",
    "UnknownTopicError",
]
