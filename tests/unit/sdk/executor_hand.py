"""An executor of one server, with tools that are functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from streams.model.verdict import Verdict
from streams.sdk import (
    Executor,
    ExecutorSettings,
    FunctionTool,
    RevocationWatch,
    SingleUseStore,
    ToolOutcome,
)
from streams.sdk.connection.transport import Transport
from streams.sdk.executor.seal_checks import UNPROVEN
from tests.unit.sdk.hands import (
    REPORT_KEY,
    TOOL,
    key_of,
)

Calls = list[Mapping[str, object]]


def tool(function: Callable[[Mapping[str, object]], object]) -> FunctionTool:
    return FunctionTool(function, TOOL.definition_digest)


def executor_with(
    transport: Transport,
    store: SingleUseStore,
    revocations: RevocationWatch,
    function: Callable[[Mapping[str, object]], object],
    **settings: object,
) -> Executor:
    return Executor(
        transport,
        ["mail"],
        {"mail/send": tool(function)},
        store,
        report_keys=REPORT_KEY,
        seal_keys=UNPROVEN,
        revocations=revocations,
        settings=ExecutorSettings(**settings),
    )


def run(executor: Executor, verdict: Verdict) -> ToolOutcome:
    return executor.execute(verdict, key_of(verdict))
