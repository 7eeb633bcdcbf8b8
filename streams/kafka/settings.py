"""The librdkafka settings of every client: fixed ones, defaults, and those of the deployment."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from streams.kafka.timeouts import CONNECTION_TIMEOUT_MS, REQUEST_TIMEOUT_MS

Setting = str | int | bool
Settings = Mapping[str, Setting]

NO_SETTINGS: Settings = MappingProxyType({})

# A client whose broker is down reports that up to twenty times a second.
LOG_INTERVAL_S = 10.0
LOG_KINDS_MAX = 256


class OncePerInterval(logging.Filter):
    """Lets a message of the client library pass once per LOG_INTERVAL_S, and words it for a person.

    Each kind of message of a client passes once, and so does each text, however many clients have it: a gate has a
    dozen of them, and all say at once that the same broker is away.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """Start with no messages; `now_s` is a clock for intervals, in seconds."""
        super().__init__()
        self._now_s = now_s
        self._told_s: dict[tuple[object, object], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the message is to be written; a message that is not librdkafka's always is."""
        if not isinstance(record.args, tuple) or len(record.args) != LIBRARY_ARGUMENTS:
            return True
        kind, client, library_text = record.args
        if kind == UNFIT_KIND and UNFIT_TEXT in str(library_text):
            return False
        text = _for_a_person(str(library_text))
        now_s = self._now_s()
        told = (kind, client), (kind, text)
        if any(now_s - self._told_s.get(key, -LOG_INTERVAL_S) < LOG_INTERVAL_S for key in told):
            return False
        if len(self._told_s) + len(told) > LOG_KINDS_MAX:
            self._told_s.clear()
        self._told_s.update(dict.fromkeys(told, now_s))
        record.msg, record.args = "%s", (text,)
        # For programs that read the log.
        record.fields = {"kafka_client": client, "kafka_kind": kind}
        return True


def _for_a_person(text: str) -> str:
    """Return a message of the library without its thread, its state and its own name for the broker's connection.

    `[thrd:b:9/bootstrap]: b:9/bootstrap: Connect failed (after 0ms in state CONNECT)` is `broker b:9: Connect failed`.
    """
    found = _OF_A_BROKER.fullmatch(text)
    if found is None:
        return f"Kafka client: {_OF_A_THREAD.sub('', text)}"
    return f"broker {found['broker']}: {found['what']}"


_OF_A_THREAD = re.compile(r"\A\[thrd:.*?\]: ")
_OF_A_BROKER = re.compile(
    r"\[thrd:.*?\]: (?:\w+://)?(?P<broker>\S+:[0-9]+)/\w+: (?P<what>.*?)(?: \(after [0-9]+ms in state \w+.*\))?",
    re.DOTALL,
)

# `[kafka]` has the settings of all clients, so each has some that are not for it. Gates make a client every 10 s.
UNFIT_KIND, UNFIT_TEXT = "CONFWARN", "will be ignored by this"
# Kind, client and text: the form in which the client library logs messages of librdkafka.
LIBRARY_ARGUMENTS = 3
LOGGER = logging.getLogger("streams.kafka")
LOGGER.addFilter(OncePerInterval())

# librdkafka's other names for settings that are fixed here, so that nobody changes them under another name.
_ALIASES: Mapping[str, str] = {
    "auto.commit.enable": "enable.auto.commit",
    "request.required.acks": "acks",
    "metadata.broker.list": "bootstrap.servers",
    "delivery.timeout.ms": "message.timeout.ms",
}

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

COMMON_DEFAULTS: Settings = {
    # A broker that was down for a while is found within a second of its return (10 by default, which is a whole
    # transaction timeout).
    "reconnect.backoff.max.ms": 1_000,
    "socket.timeout.ms": REQUEST_TIMEOUT_MS,
    "socket.connection.setup.timeout.ms": CONNECTION_TIMEOUT_MS,
    # The other way (`rebootstrap`, the default) starts over each time no broker answers, and cuts off the connection
    # that is just coming up: after the restart of a lone broker, transactional producers stayed cut off for minutes
    # (librdkafka 2.16). Without it a client that outlives all the brokers it knows must be restarted.
    "metadata.recovery.strategy": "none",
}
READING_DEFAULTS: Settings = {
    # A lone broker that stood still, and goes on, names no broker at all for a moment. A client that asks just then
    # forgets the only broker that it knows, and with `none` it stays silent for good (librdkafka issue 5301). Readers
    # lose nothing by starting over.
    "metadata.recovery.strategy": "rebootstrap",
    "metadata.recovery.rebootstrap.trigger.ms": 30_000,
}
"""Defaults of clients that only read."""

_CONNECTION_PREFIXES = (
    "api.version",
    "broker.",
    "client.",
    "connections.",
    "enable.sasl.",
    "enable.ssl.",
    "reconnect.",
    "sasl.",
    "security.",
    "socket.",
    "ssl.",
)


def client_settings(
    bootstrap: str, *, fixed: Settings, defaults: Settings = NO_SETTINGS, extra: Settings = NO_SETTINGS
) -> dict[str, Any]:
    """Return the settings of one client.

    Args:
        bootstrap: `host:port` of one or more brokers, comma-separated.
        fixed: settings that correctness depends on.
        defaults: settings that `extra` may change.
        extra: settings of the deployment (SASL, TLS, timeouts), in librdkafka's names.

    Returns:
        A new dictionary for the client's constructor, with our logger.

    Raises:
        ValueError: `extra` would change a fixed setting, or has a time that is not a number.
    """
    fixed = {"bootstrap.servers": bootstrap, **fixed}
    for name, value in extra.items():
        known = _ALIASES.get(name, name)
        if known in fixed and fixed[known] != value:
            if known == "bootstrap.servers":
                raise ValueError(f"`{name}` can't be given here: name the brokers in the setting `bootstrap`")
            raise ValueError(f"`{name}` can't be changed: correctness depends on its value")
        # librdkafka reads a number as far as it goes: `6s` would be six milliseconds.
        if name.endswith(".ms") and isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
            raise ValueError(f"`{name}` must be a number of milliseconds, such as 6000, got `{value}`")
    aliased = {_ALIASES.get(name, name) for name in extra}
    kept = {name: value for name, value in {**COMMON_DEFAULTS, **defaults}.items() if name not in aliased}
    # Without a logger of ours librdkafka writes to standard error, which belongs to the commands.
    return {**kept, **extra, **fixed, "logger": LOGGER}


def connection_settings(extra: Settings) -> Settings:
    """Return those of the deployment's settings that concern connecting and authentication."""
    return {name: value for name, value in extra.items() if name.startswith(_CONNECTION_PREFIXES)}
