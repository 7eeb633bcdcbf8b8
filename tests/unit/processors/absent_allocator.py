"""A budget allocator that does not answer the gate."""

from __future__ import annotations

from streams.inmemory.faults import Call, NoFaults
from streams.ports import RetriableLogError


class Absent(NoFaults):
    """The allocator reads nothing."""

    def before(self, client: str, call: Call) -> None:
        if client == "driver-budgets" and call is Call.POLL:
            raise RetriableLogError("no answer")
