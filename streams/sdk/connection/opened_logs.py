"""Opens the log of an agent or an executor: a Kafka cluster, or the embedded log of a state folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streams.model.errors import SettingsError
from streams.ports.open_log import EMBEDDED_LOG_FILE, Log, LogMissingError
from streams.sdk.entropy import SYSTEM


def open_log(log: str | Path, topic_prefix: str, extra: Mapping[str, str | int | bool]) -> Log:
    """Open a log; its caller closes it. See `streams.sdk.connect` for the arguments and errors."""
    if isinstance(log, str):
        if _is_state_folder(log):
            raise SettingsError(f"`{log}` is the folder of an embedded log, and text names brokers: pass a `Path`")
        from streams.kafka.log import KafkaLog  # noqa: PLC0415 - loads the client library

        return KafkaLog(log, topic_prefix=topic_prefix, extra=extra)
    if extra:
        raise SettingsError(f"the embedded log in `{log}` has no settings of librdkafka: leave `extra` out")
    path = log / EMBEDDED_LOG_FILE
    # An empty log would have no topics, and no gate would read it.
    if not path.is_file():
        raise LogMissingError(f"there is no embedded log at `{path}`; create it with `stoplog topics apply`")
    from streams.embedded.log import EmbeddedLog  # noqa: PLC0415 - loads SQLite

    return EmbeddedLog(path, clock=SYSTEM, topic_prefix=topic_prefix)


def _is_state_folder(text: str) -> bool:
    try:
        return (Path(text) / EMBEDDED_LOG_FILE).is_file()
    except OSError:
        # Such as a list of brokers that is longer than a name of a file may be.
        return False
