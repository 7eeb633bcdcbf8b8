"""How long clients wait for brokers: the times that depend on each other, and why they are as they are. See ADR 0028.

The other brokers notice that a broker has died after `broker.session.timeout.ms` (9 s by default). Until then it counts
as an in-sync replica of every partition that it has a copy of. None of these partitions passes a record on, and no
transaction ends. Clients can do nothing about it, and a client that gives up earlier loses more time by what follows
(aborted transactions, a rebalance, restored state) than by the wait. So each time below is longer than the wait, by as
little as is safe.
"""

from __future__ import annotations

BROKER_MISSED_MS = 9_000
"""Kafka's default of `broker.session.timeout.ms`."""

ELECTION_MS = 3_000
"""What it takes besides until other brokers lead, have loaded what they coordinate, and are found by clients."""

SESSION_TIMEOUT_MS = BROKER_MISSED_MS + ELECTION_MS
"""A group member is given up after this: the partitions of a gate that has died stand still for as long. The group's
coordinator answers no heartbeat while it waits for a broker that has died."""

STEP_S_MAX = (BROKER_MISSED_MS + ELECTION_MS) / 1_000
"""A step of a transaction is tried for this long, unless the brokers decide on it by themselves. For offsets, a shorter
`session.timeout.ms` of the deployment counts: it says that brokers miss each other sooner (ADR 0097)."""

LATE_S_MAX = 2.0
"""After its time limit a step gets this long to return. The library is sometimes late, and sometimes it never returns
(see `IDLE_CONNECTION_MS`). A gate stands still until this is over."""

HURRIED_S_MAX = 3.0
"""All steps together that end a transaction get this long, and LATE_S_MAX, where a member gives way: its partitions are
revoked, or it stops. A healthy transaction ends within a second. What takes longer is left open: that costs its work
once more, while the group would wait for all the steps' limits together, a minute and more."""

REQUEST_TIMEOUT_MS = BROKER_MISSED_MS + ELECTION_MS
"""A request to a host that has vanished without closing its connections is given up after this (a minute by default),
and sent to whoever leads by then."""

IDLE_CONNECTION_MS = 3_000
"""A producer closes a connection on which nothing was sent or received for this long. If a group's coordinator leaves
the cluster while offsets are committed, librdkafka (2.16) looks for the new one only when the state of some connection
changes (its issue 5511): with open connections that may be never. Reconnecting costs some 10 ms after a pause in the
input. A connection with a request that is not answered is closed as well, and the request sent again: with a shorter
time, gates went on later after a broker's death, not sooner (ADR 0097)."""

RETRY_PAUSE_MS_MAX = 200
"""The longest pause before a producer repeats a request that a broker can't take yet (a second by default). While a
partition changes its leader, the coordinator answers CONCURRENT_TRANSACTIONS, and librdkafka doubles its pauses: a gate
would go on up to a second late."""

FETCH_PAUSE_MS = 100
"""How long a partition is not fetched after an error (500 by default), such as that its leader has changed."""

CONNECTION_TIMEOUT_MS = 5_000
"""A connection must be up within this, encryption and credentials included."""

TRANSACTION_TIMEOUT_MS = 15_000
"""A transaction is aborted by the brokers after this. It may have been open for a while when a broker dies. Readers of
its partitions wait for a writer that has died for as long, and up to 10 s more."""
