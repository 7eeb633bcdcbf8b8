"""The faults, by name. Each is brought about, lasts for a while, and is repaired before it returns."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from bench.cluster.deployment import EXECUTORS, GATE_NAMES, Deployment

# Each longer than what the fault is to be noticed after: brokers are missed after 3 s, gates after 6 s, executors after
# 12 s, unless a run sets other times.
BROKER_AWAY_S = 12.0
BROKER_FROZEN_S = 15.0
QUORUM_LOST_S = 20.0
QUORUM_LOST_LONG_S = 240.0
GATE_AWAY_S = 12.0
ZOMBIE_S = 15.0
EXECUTOR_AWAY_S = 15.0
EXECUTOR_ZOMBIE_S = 16.0
BETWEEN_RESTARTS_S = 3.0
BETWEEN_KILLS_S = 1.0
EXECUTOR_KILLS = 2


class Fault(NamedTuple):
    """What is done, and which nodes it takes away."""

    text: str
    nodes: Callable[[Deployment], tuple[int, ...]]
    bring_about: Callable[[Deployment, tuple[int, ...]], None]


def _one(role: str) -> Callable[[Deployment], tuple[int, ...]]:
    return lambda deployment: (deployment.roles()[role],)


def _plain(deployment: Deployment) -> tuple[int, ...]:
    """Return a node that is not the active controller, and coordinates least."""
    roles = deployment.roles()
    others = [node for node in range(deployment.cluster.brokers) if node != roles["controller"]]
    return (min(others, key=list(roles.values()).count),)


def _none(_deployment: Deployment) -> tuple[int, ...]:
    return ()


def _two(deployment: Deployment) -> tuple[int, ...]:
    kept = _plain(deployment)[0]
    return tuple(node for node in range(deployment.cluster.brokers) if node != kept)[:2]


def _kill_brokers(away_s: float) -> Callable[[Deployment, tuple[int, ...]], None]:
    def bring_about(deployment: Deployment, nodes: tuple[int, ...]) -> None:
        for node in nodes:
            deployment.cluster.kill(node)
        time.sleep(away_s)
        deployment.cluster.restart_all(nodes)

    return bring_about


def _freeze_broker(deployment: Deployment, nodes: tuple[int, ...]) -> None:
    (node,) = nodes
    deployment.cluster.freeze(node)
    time.sleep(BROKER_FROZEN_S)
    deployment.cluster.thaw(node)


def _restart_brokers(deployment: Deployment, _nodes: tuple[int, ...]) -> None:
    for node in range(deployment.cluster.brokers):
        deployment.cluster.restart(node)
        deployment.await_whole()
        time.sleep(BETWEEN_RESTARTS_S)


def _kill_gate(deployment: Deployment, _nodes: tuple[int, ...]) -> None:
    name = GATE_NAMES[0]
    deployment.gates[name].kill()
    time.sleep(GATE_AWAY_S)
    deployment.start_gate(name)


def _stop_gate(deployment: Deployment, _nodes: tuple[int, ...]) -> None:
    gate = deployment.gates[GATE_NAMES[0]]
    gate.freeze()
    time.sleep(ZOMBIE_S)
    gate.thaw()


def _kill_executors(deployment: Deployment, _nodes: tuple[int, ...]) -> None:
    """Kill one until another takes its partitions over; then kill each several times, and start it again at once."""
    name = next(iter(EXECUTORS))
    deployment.executors[name].kill()
    time.sleep(EXECUTOR_AWAY_S)
    deployment.start_executor(name)
    for _ in range(EXECUTOR_KILLS):
        for each in EXECUTORS:
            time.sleep(BETWEEN_KILLS_S)
            deployment.executors[each].kill()
            deployment.start_executor(each)


def _stop_executor(deployment: Deployment, _nodes: tuple[int, ...]) -> None:
    executor = deployment.executors[next(iter(EXECUTORS))]
    executor.freeze()
    time.sleep(EXECUTOR_ZOMBIE_S)
    executor.thaw()


FAULTS: dict[str, Fault] = {
    "kill-broker": Fault("kill -9 of a broker that coordinates least", _plain, _kill_brokers(BROKER_AWAY_S)),
    "kill-coordinator": Fault("kill -9 of the group's coordinator", _one("group"), _kill_brokers(BROKER_AWAY_S)),
    "kill-transactions": Fault(
        "kill -9 of the coordinator of a gate's transactions", _one(GATE_NAMES[0]), _kill_brokers(BROKER_AWAY_S)
    ),
    "kill-controller": Fault("kill -9 of the active controller", _one("controller"), _kill_brokers(BROKER_AWAY_S)),
    "freeze-broker": Fault("a broker stands still (SIGSTOP), its connections open", _plain, _freeze_broker),
    "rolling-restart": Fault("all brokers restarted cleanly, one by one", _none, _restart_brokers),
    "lost-quorum": Fault(f"kill -9 of two brokers for {QUORUM_LOST_S:.0f} s", _two, _kill_brokers(QUORUM_LOST_S)),
    "long-lost-quorum": Fault(
        f"kill -9 of two brokers for {QUORUM_LOST_LONG_S:.0f} s", _two, _kill_brokers(QUORUM_LOST_LONG_S)
    ),
    "kill-gate": Fault("kill -9 of one of two gates", _none, _kill_gate),
    "zombie": Fault(f"a gate stands still (SIGSTOP) for {ZOMBIE_S:.0f} s", _none, _stop_gate),
    "kill-executors": Fault(
        f"kill -9 of an executor for {EXECUTOR_AWAY_S:.0f} s, then of each {EXECUTOR_KILLS} times",
        _none,
        _kill_executors,
    ),
    "zombie-executor": Fault(
        f"an executor stands still (SIGSTOP) for {EXECUTOR_ZOMBIE_S:.0f} s", _none, _stop_executor
    ),
}
QUICK = ("kill-broker", "kill-gate", "kill-executors")
