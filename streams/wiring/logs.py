"""Opens the log that the settings name."""

from __future__ import annotations

from streams.embedded.log import EmbeddedLog
from streams.kafka.log import KafkaLog
from streams.ports.open_log import Log, LogMissingError
from streams.stores.private_folder import make_private
from streams.wiring.clock import SystemClock
from streams.wiring.settings import Settings


def open_log(settings: Settings, *, create: bool = True) -> Log:
    """Open the log of the settings.

    Args:
        create: whether to create an embedded log if there is none.

    Returns:
        The log; the caller closes it.

    Raises:
        LogMissingError: there is no embedded log, and `create` is False.
        LogError: the embedded log's file can't be opened.
    """
    prefix = settings.topics.prefix
    if settings.log == "kafka":
        return KafkaLog(settings.bootstrap, topic_prefix=prefix, extra=settings.kafka)
    path = settings.embedded_path
    if not create and not path.is_file():
        raise LogMissingError(
            f"there is no embedded log at `{path}`; create it with `stoplog topics apply`, or give another state "
            "folder (`--state-dir`) or a cluster (`--bootstrap`)"
        )
    make_private(path.parent)
    return EmbeddedLog(path, clock=SystemClock(), topic_prefix=prefix)
