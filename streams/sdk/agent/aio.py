"""The agent for asyncio: the same steps, without blocking the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Self

from streams.model.delegation import Delegation
from streams.model.intent import Intent
from streams.model.outcome import IntentOutcome
from streams.model.types import Actor, Model, ToolRef
from streams.ports.content import ContentSealer
from streams.sdk.agent.agent import OUTCOME_TIMEOUT_MS, Agent, timed_out, waits
from streams.sdk.agent.credential import SessionCredential
from streams.sdk.agent.intents import CallContext
from streams.sdk.agent.toolset import Toolset
from streams.sdk.connection.inbox import Expected
from streams.sdk.connection.transport import Transport
from streams.sdk.entropy import SYSTEM, Entropy

if TYPE_CHECKING:
    from streams.sdk.agent.delegation import Share


class AsyncAgent:
    """`Agent` for asyncio. `open` makes one; waiting for an outcome takes no thread."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    @classmethod
    async def open(
        cls,
        transport: Transport,
        credential: SessionCredential,
        *,
        toolset: Toolset | None = None,
        model: Model | None = None,
        source: str | None = None,
        version: str | None = None,
        system_prompt: str | None = None,
        content_sealer: ContentSealer | None = None,
        entropy: Entropy = SYSTEM,
    ) -> AsyncAgent:
        """See `Agent`."""

        def make() -> Agent:
            return Agent(
                transport,
                credential,
                toolset=toolset,
                model=model,
                source=source,
                version=version,
                system_prompt=system_prompt,
                content_sealer=content_sealer,
                entropy=entropy,
            )

        return cls(await asyncio.to_thread(make))

    def delegate(
        self, act: Actor, share: Share | None = None, *, session_id: str | None = None, uid: str | None = None
    ) -> Delegation:
        """See `Agent.delegate`."""
        return self._agent.delegate(act, share, session_id=session_id, uid=uid)

    async def propose(
        self,
        tool: ToolRef | str,
        args: Mapping[str, object],
        *,
        deadline_ms: int | None = None,
        wait_final: bool = True,
        timeout_ms: int = OUTCOME_TIMEOUT_MS,
        context: CallContext | None = None,
    ) -> IntentOutcome:
        """See `Agent.propose`. Cancelling the wait does not withdraw the intent: it is still judged."""
        intent = self._agent.prepare(tool, args, deadline_ms=deadline_ms, context=context)
        return await self.resend(intent, wait_final=wait_final, timeout_ms=timeout_ms)

    async def resend(
        self, intent: Intent, *, wait_final: bool = True, timeout_ms: int = OUTCOME_TIMEOUT_MS
    ) -> IntentOutcome:
        """See `Agent.resend`."""
        expected = self._agent.expect(intent, wait_final=wait_final)
        answered = _answered(expected)
        try:
            await asyncio.to_thread(self._agent.send, intent)
            first_ms, rest_ms = waits(timeout_ms)
            if not await _came(answered, first_ms):
                await asyncio.to_thread(self._agent.send_again, expected)
                if not await _came(answered, rest_ms):
                    raise timed_out(expected, timeout_ms)
            return expected.future.result()
        finally:
            self._agent.forget(expected)

    async def aclose(self) -> None:
        """See `Agent.close`."""
        self._agent.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


def _answered(expected: Expected) -> asyncio.Event:
    """Return an event of this loop that is set once the expected outcome, or an error instead of it, has come."""
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()

    def tell(_future: Future[IntentOutcome]) -> None:
        # The loop may have ended while the outcome was on its way.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(answered.set)

    expected.future.add_done_callback(tell)
    return answered


async def _came(answered: asyncio.Event, timeout_ms: int) -> bool:
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            await answered.wait()
    except TimeoutError:
        return False
    return True
