"""Opens the log that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.ports.open_log import Log, LogMissingError
from streams.stores.private_folder import make_private
from streams.wiring.clock import SystemClock

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings


def drop_replaced(log: Log) -> None:
    """Drop now what later records have replaced, where that is this process's to do: on an embedded log. Blocking.

    Raises:
        LogError: the file can't be written.
    """
    from streams.embedded.log import EmbeddedLog  # noqa: PLC0415 - only erasing needs it

    if isinstance(log, EmbeddedLog):
        log.clean(force=True)


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
        from streams.kafka.log import KafkaLog  # noqa: PLC0415 - a command needs one kind of log, and its client library

        return KafkaLog(settings.bootstrap, topic_prefix=prefix, extra=settings.kafka)
    path = settings.embedded_path
    if not create and not path.is_file():
        raise LogMissingError(
            f"there is no embedded log at `{path}`; create it with `stoplog topics apply`, or give another state "
            "folder (`--state-dir`) or a cluster (`--bootstrap`)"
        )
    from streams.embedded.log import EmbeddedLog  # noqa: PLC0415 - likewise

    make_private(path.parent)
    return EmbeddedLog(path, clock=SystemClock(), topic_prefix=prefix)
