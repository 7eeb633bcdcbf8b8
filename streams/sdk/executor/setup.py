"""What an executor is made with: checked before it starts, so that whoever starts it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from streams.audit.report_keys import ReportKey
from streams.sdk.errors import ExecutorError
from streams.sdk.executor.revocations import RevocationWatch
from streams.sdk.executor.single_use import SingleUseStore
from streams.sdk.executor.types import ExecutorSettings
from streams.sdk.executor.verdict_checks import Standard
from streams.sdk.tools import FunctionTool, ToolRunner


def check_clock(single_use: SingleUseStore, now_ms: int, clock_skew_ms: int) -> None:
    """Start the record of uses, if it has not been started, and check that it does not begin ahead of this clock.

    Every verdict would be refused: the earlier ones, because they may have been used before the record began, and the
    later ones, because they are made ahead of this clock. So whoever starts the executor is told, before any call is.

    Raises:
        ExecutorError: it does.
        SingleUseError: it can't be written.
    """
    ahead_ms = single_use.begin(now_ms) - now_ms
    if ahead_ms > clock_skew_ms:
        raise ExecutorError(
            f"the record of uses `{single_use.path}` begins {ahead_ms} ms ahead of this clock: no verdict could run. "
            "If the clock is behind, set it. If it was ahead when the file was created, move the file away: verdicts "
            "from before the next start are then refused"
        )


def standard_of(
    server_ids: Sequence[str],
    tools: Mapping[str, ToolRunner | Callable[[Mapping[str, object]], object]],
    revocations: RevocationWatch,
    settings: ExecutorSettings,
) -> Standard:
    """Return what an executor checks verdicts with.

    Raises:
        ExecutorError: a tool does not belong to any of the servers.
    """
    for name in tools:
        if name.partition("/")[0] not in server_ids:
            raise ExecutorError(f"tool `{name}` does not belong to any of the servers {', '.join(sorted(server_ids))}")
    return Standard(
        server_ids=frozenset(server_ids),
        tools={name: _runner(tool) for name, tool in tools.items()},
        revocations=revocations,
        audiences=frozenset(settings.audiences),
        obligations=settings.obligations,
        clock_skew_ms=settings.clock_skew_ms,
    )


def keys_of(server_ids: Sequence[str], keys: ReportKey | Mapping[str, ReportKey]) -> dict[str, ReportKey]:
    """Return the report key of each server.

    Raises:
        ExecutorError: a server has none.
    """
    by_server = dict.fromkeys(server_ids, keys) if isinstance(keys, ReportKey) else dict(keys)
    missing = sorted(set(server_ids) - by_server.keys())
    if missing:
        raise ExecutorError(
            f"there is no report key of {', '.join(missing)}: make one with "
            "`stoplog keys server new SERVER --out FILE`, and give it in `report_keys`"
        )
    return by_server


def _runner(tool: ToolRunner | Callable[[Mapping[str, object]], object]) -> ToolRunner:
    return FunctionTool(tool) if callable(tool) else tool
