"""Reads the inputs of `delegation.effective_reach` from the log: grants, revocations and the catalog."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from streams.audit.publishers import UNSIGNED
from streams.audit.releasers import Releasers
from streams.audit.reviewers import Reviewers
from streams.delegation.effective_reach import Question, Reach, effective_reach
from streams.model.delegation import Delegation
from streams.model.errors import RecordError
from streams.model.revocation_set import RevocationSet
from streams.model.topics import CATALOG, DELEGATION, REVOCATION
from streams.operations.topics.reader import read_to_end
from streams.policy import compile_bundle
from streams.ports import Clock, Received
from streams.ports.open_log import Log
from streams.processors.control.catalog import CALLABLE_STATES, Catalog
from streams.processors.control.compilation import InlineCompiler
from streams.processors.control.publications import Publications
from streams.processors.control.state import ControlState
from streams.processors.sessions.grants import standard_of
from streams.processors.settings import GateSettings
from streams.sdk.connection.transport import RecordCodec

_log = logging.getLogger(__name__)


class Trusted(NamedTuple):
    """The trusted reviewers of tools and releasers of stops."""

    reviewers: Reviewers
    releasers: Releasers


def read_reach(
    log: Log, codec: RecordCodec, clock: Clock, question: Question, gate: GateSettings, trusted: Trusted
) -> Reach:
    """Return what the agent can reach for the user, according to the log as it is now. Blocking.

    Args:
        question: the agent and the user.
        gate: the settings by which a gate checks grants.
        trusted: whose signatures count.

    Raises:
        TopicReadError: a topic does not exist, or its end can't be reached.
        LogError: the log did not answer, or refused.
    """
    rules = Publications(gate.bundle_name, UNSIGNED, InlineCompiler(compile_bundle))
    control = ControlState(rules, Catalog(trusted.reviewers), RevocationSet(trusted.releasers))
    for received in read_to_end(log, (REVOCATION.name, CATALOG.name), clock):
        _apply(control, codec, received)
    grants = list(_grants(codec, read_to_end(log, (DELEGATION.name,), clock)))
    tools = [name for name, tool in control.tools.items() if tool.entry.state in CALLABLE_STATES]
    return effective_reach(question, grants, tools, control.revocations, standard_of(gate), clock.now_ms())


def _apply(control: ControlState, codec: RecordCodec, received: Received) -> None:
    """Apply a record as a gate does: an unreadable record stops what its key names."""
    try:
        record = None if received.value is None else codec.decode(received.topic, received.value, received.headers)
        control.apply(received.topic, received.key, record, received.offset + 1, received.timestamp_ms)
    except RecordError as error:
        _log.warning("%s/%d/%d is not usable: %s", received.topic, received.partition, received.offset, error)
        control.block_unreadable(received.topic, received.key)


def _grants(codec: RecordCodec, records: Iterator[Received]) -> Iterator[Delegation]:
    for received in records:
        try:
            record = codec.decode(received.topic, received.value or b"", received.headers)
        except RecordError as error:
            _log.warning("%s/%d/%d can't be read: %s", received.topic, received.partition, received.offset, error)
            continue
        if isinstance(record, Delegation):
            yield record
