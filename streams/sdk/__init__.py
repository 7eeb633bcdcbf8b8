"""The SDK: agents propose calls, executors run what is allowed. Light to import: no policy, no stores.

An agent:

    with StsClient("https://sts.example") as sts, connect("localhost:9092") as transport:
        session = sts.exchange(user_token, agent_token, purpose="answer the customer's mail")
        with Agent(transport, session.credential, toolset=toolset) as agent:
            answer = agent.propose("mail/send", {"to": ["bob@example.com"], "subject": "hi", "body": "see you"})
            if answer.outcome is Outcome.ALLOW:
                ...  # an executor runs it

Everything that an agent or an executor needs is a name of this package, except for what needs an extra:
`streams.sdk.mcp.tools` (the extra `mcp`), and the watch of definitions, `streams.sdk.mcp.definition_watch`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from streams.audit.releasers import NOBODY, Releasers
from streams.model.lazy_names import lazy_names

if TYPE_CHECKING:
    from streams.audit.receipts import Receipt
    from streams.audit.report_keys import ReportKey
    from streams.audit.seal_keys import SealKeys, SealKeysError
    from streams.audit.signatures import SigningKeyError
    from streams.model.delegation import ConstraintType
    from streams.model.labels import Confidentiality, Integrity, Label
    from streams.model.outcome import IntentOutcome
    from streams.model.session import SessionEventType, TaskScope
    from streams.model.types import Actor, Model, SubProfile, ToolRef
    from streams.model.verdict import Obligation, Outcome, Verdict
    from streams.sdk.agent.agent import Agent
    from streams.sdk.agent.aio import AsyncAgent
    from streams.sdk.agent.credential import OpenedWith, SessionCredential, prompt_digest
    from streams.sdk.agent.development_tokens import DevTokenService
    from streams.sdk.agent.intents import CallContext
    from streams.sdk.agent.model_deriver import model_deriver
    from streams.sdk.agent.token_exchange import SessionToken, StsClient, TokenRefusedError
    from streams.sdk.agent.toolset import Toolset
    from streams.sdk.connection.transport import RecordCodec, Transport
    from streams.sdk.errors import (
        DelegationError,
        ExecutorError,
        McpServerError,
        OutcomeReadError,
        OutcomeTimeoutError,
        ProposalError,
        PublishError,
        ReportError,
        SdkError,
        SingleUseError,
        TokenServiceError,
        VerdictReadError,
    )
    from streams.sdk.executor.executor import Executor
    from streams.sdk.executor.revocations import RevocationWatch, Stop
    from streams.sdk.executor.seal_checks import UNPROVEN
    from streams.sdk.executor.seal_key_file import SealKeyFile
    from streams.sdk.executor.single_use import SingleUseStore
    from streams.sdk.executor.types import ExecutorSettings, ToolOutcome
    from streams.sdk.executor.uses import Ending
    from streams.sdk.executor.verdict_checks import ObligationError
    from streams.sdk.executor.verdict_consumer import LoopSettings, VerdictLoop
    from streams.sdk.executor.verdict_reader import VerdictReader
    from streams.sdk.keys.content import PublicWrapper, SessionSealer, TenantWrappers
    from streams.sdk.keys.key_files import load_report_key
    from streams.sdk.keys.root_key import load_root_key
    from streams.sdk.tools import (
        CancellableFunctionTool,
        Cancellation,
        FunctionTool,
        ToolCancelledError,
        ToolResult,
        ToolRunner,
    )

_NAMES = {
    "streams.audit.receipts": ("Receipt",),
    "streams.audit.report_keys": ("ReportKey",),
    "streams.audit.seal_keys": (
        "SealKeys",
        "SealKeysError",
    ),
    "streams.audit.signatures": ("SigningKeyError",),
    "streams.model.delegation": ("ConstraintType",),
    "streams.model.labels": (
        "Confidentiality",
        "Integrity",
        "Label",
    ),
    "streams.model.outcome": ("IntentOutcome",),
    "streams.model.session": (
        "SessionEventType",
        "TaskScope",
    ),
    "streams.model.types": (
        "Actor",
        "Model",
        "SubProfile",
        "ToolRef",
    ),
    "streams.model.verdict": (
        "Obligation",
        "Outcome",
        "Verdict",
    ),
    "streams.sdk.agent.agent": ("Agent",),
    "streams.sdk.agent.aio": ("AsyncAgent",),
    "streams.sdk.agent.credential": (
        "OpenedWith",
        "SessionCredential",
        "prompt_digest",
    ),
    "streams.sdk.agent.development_tokens": ("DevTokenService",),
    "streams.sdk.agent.intents": ("CallContext",),
    "streams.sdk.agent.model_deriver": ("model_deriver",),
    "streams.sdk.agent.token_exchange": (
        "SessionToken",
        "StsClient",
        "TokenRefusedError",
    ),
    "streams.sdk.agent.toolset": ("Toolset",),
    "streams.sdk.connection.transport": (
        "RecordCodec",
        "Transport",
    ),
    "streams.sdk.errors": (
        "DelegationError",
        "ExecutorError",
        "McpServerError",
        "OutcomeReadError",
        "OutcomeTimeoutError",
        "ProposalError",
        "PublishError",
        "ReportError",
        "SdkError",
        "SingleUseError",
        "TokenServiceError",
        "VerdictReadError",
    ),
    "streams.sdk.executor.executor": ("Executor",),
    "streams.sdk.executor.revocations": (
        "RevocationWatch",
        "Stop",
    ),
    "streams.sdk.executor.seal_checks": ("UNPROVEN",),
    "streams.sdk.executor.seal_key_file": ("SealKeyFile",),
    "streams.sdk.executor.single_use": ("SingleUseStore",),
    "streams.sdk.tools": (
        "CancellableFunctionTool",
        "Cancellation",
        "FunctionTool",
        "ToolCancelledError",
        "ToolResult",
        "ToolRunner",
    ),
    "streams.sdk.executor.types": (
        "ExecutorSettings",
        "ToolOutcome",
    ),
    "streams.sdk.executor.uses": ("Ending",),
    "streams.sdk.executor.verdict_checks": ("ObligationError",),
    "streams.sdk.executor.verdict_consumer": (
        "LoopSettings",
        "VerdictLoop",
    ),
    "streams.sdk.executor.verdict_reader": ("VerdictReader",),
    "streams.sdk.keys.content": (
        "PublicWrapper",
        "SessionSealer",
        "TenantWrappers",
    ),
    "streams.sdk.keys.key_files": ("load_report_key",),
    "streams.sdk.keys.root_key": ("load_root_key",),
}

if not TYPE_CHECKING:
    # Type checkers would take every name for one of the package.
    __getattr__ = lazy_names(__name__, _NAMES)


__all__ = [
    "UNPROVEN",
    "Actor",
    "Agent",
    "AsyncAgent",
    "CallContext",
    "CancellableFunctionTool",
    "Cancellation",
    "Confidentiality",
    "ConstraintType",
    "DelegationError",
    "DevTokenService",
    "Ending",
    "Executor",
    "ExecutorError",
    "ExecutorSettings",
    "FunctionTool",
    "Integrity",
    "IntentOutcome",
    "Label",
    "LoopSettings",
    "McpServerError",
    "Model",
    "Obligation",
    "ObligationError",
    "OpenedWith",
    "Outcome",
    "OutcomeReadError",
    "OutcomeTimeoutError",
    "ProposalError",
    "PublicWrapper",
    "PublishError",
    "Receipt",
    "RecordCodec",
    "Releasers",
    "ReportError",
    "ReportKey",
    "RevocationWatch",
    "SdkError",
    "SealKeyFile",
    "SealKeys",
    "SealKeysError",
    "SessionCredential",
    "SessionEventType",
    "SessionSealer",
    "SessionToken",
    "SigningKeyError",
    "SingleUseError",
    "SingleUseStore",
    "Stop",
    "StsClient",
    "SubProfile",
    "TaskScope",
    "TenantWrappers",
    "TokenRefusedError",
    "TokenServiceError",
    "ToolCancelledError",
    "ToolOutcome",
    "ToolRef",
    "ToolResult",
    "ToolRunner",
    "Toolset",
    "Transport",
    "Verdict",
    "VerdictLoop",
    "VerdictReadError",
    "VerdictReader",
    "connect",
    "load_report_key",
    "load_root_key",
    "model_deriver",
    "prompt_digest",
]


def connect(
    log: str | Path,
    *,
    codec: RecordCodec | None = None,
    topic_prefix: str = "",
    extra: Mapping[str, str | int | bool] | None = None,
    releasers: Releasers = NOBODY,
) -> Transport:
    """Connect to a Kafka cluster, or open an embedded log. Agents and executors are the same on both.

    Args:
        log: a cluster's brokers as text, `host:port`, comma-separated. Or, as a `Path`, the state folder of gates on
            this machine that run on an embedded log (their setting `state_dir`). Every process that can open this log
            can write everything to it, verdicts included: use it for development and tests.
        codec: how records become bytes; by default with the schema ids that this package contains.
        topic_prefix: what the deployment's topics begin with on this log (its setting `topics.prefix`).
        extra: further librdkafka settings (SASL, TLS, timeouts), for a cluster.
        releasers: whose signature releases a stop, for executors: `Releasers.of({"ann": "ed25519:..."})`, with the
            names and keys of the deployment's section `[release]`. By default no release counts.

    Returns:
        A transport. Its caller closes it after the executors, consumers and watches that use it.

    Raises:
        LogMissingError: the folder has no embedded log.
        LogError: the file of the embedded log can't be opened.
        SettingsError: there are settings of librdkafka for an embedded log, or its folder is given as text.
    """
    from streams.codec.avro import Codec  # noqa: PLC0415 - only those who connect need it
    from streams.codec.schemas import CommittedSchemas  # noqa: PLC0415 - likewise
    from streams.sdk.connection.opened_logs import open_log  # noqa: PLC0415 - likewise
    from streams.sdk.connection.transport import Transport  # noqa: PLC0415 - likewise
    from streams.sdk.entropy import SYSTEM  # noqa: PLC0415 - see `lazy_names`

    records = codec or Codec(CommittedSchemas.load())
    return Transport(open_log(log, topic_prefix, extra or {}), records, SYSTEM, releasers, owns_log=True)
