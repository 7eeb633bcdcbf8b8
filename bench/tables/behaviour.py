"""Tables of how well behaviour detectors tell attacks from honest work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.tables.cells import Result, table

_NOTE = (
    "Synthetic fleets (`simulation/fleet`), four weeks each; attacks begin in the third. Thresholds were chosen on "
    "seeds {calibrated}, these figures are of seeds {reported}. Found: an alert names a session of the attack. The "
    "author of the fleets is the author of the detectors, so the figures are upper bounds. The simple judges have the "
    "lowest limits that give at most one false alert in 10,000 honest calls on the seeds for calibration."
)


def behaviour_table(result: Result) -> str:
    """Return the figures in Markdown."""
    cost = result["cost"]
    seeds = {
        "calibrated": ", ".join(map(str, result["calibrated_on"])),
        "reported": ", ".join(map(str, result["reported_on"])),
    }
    columns = (
        "judge",
        "loud",
        "stealthy",
        "false in 10,000",
        "false an agent-day",
        "odd alarmed",
        "further",
        "minutes",
    )
    return "\n".join(
        [
            _NOTE.format(**seeds) + "\n",
            table(columns, list(_judges(result))),
            "Attacks found by the detectors, by kind:\n",
            table(("attack", "loud", "stealthy", "minutes to detection"), list(_kinds(result))),
            f"The detectors take {cost['us_per_event']} us of CPU for an event, in steps of forty (decoding and "
            f"encoding of rows included); both workers of the watch take {cost['us_per_decision']} us for a decision, "
            f"with codec, state and transactions, on a log in memory. The detectors keep "
            f"{cost['bytes_per_agent']:,} bytes of an agent in {cost['rows_per_agent']:,} rows, its sessions included "
            f"({cost['bytes_per_session']} bytes of a session).\n",
            *_processes(result),
        ]
    )


def _processes(result: Result) -> Iterator[str]:
    found = result["processes"]
    if found is not None:
        watch, gate = found["watch"], found["gate"]
        yield (
            f"On Kafka, the process of a watch takes {watch['decisions_per_cpu_s']:,} decisions in a second of CPU "
            f"time, {watch['cpu_us_per_decision']} us for each: a verdict and an audit record are read, and what they "
            f"say is written, read and judged. Rules that ask for signals cost a gate {gate['us_of_signals']} us for "
            f"an intent, {gate['us_with']} instead of {gate['us_without']}.\n"
        )


def printed(result: Result) -> str:
    """Return the figures for a screen, 100 columns wide."""
    cost = result["cost"]
    lines = [
        f"{'':24}{'loud':>9}{'stealthy':>10}{'false in 10k':>14}{'agent-day':>11}{'odd':>7}{'further':>9}{'minutes':>9}"
    ]
    for name, *cells in _judges(result):
        widths = (9, 10, 14, 11, 7, 9, 9)
        lines.append(f"{name:24}" + "".join(f"{cell!s:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    lines += ["", f"{'found by the detectors':24}{'loud':>9}{'stealthy':>10}{'minutes':>10}"]
    lines += [f"{kind:24}{loud:>9}{stealthy:>10}{minutes!s:>10}" for kind, loud, stealthy, minutes in _kinds(result)]
    lines += [
        "",
        f"{cost['us_per_event']} us an event, {cost['us_per_decision']} us in the whole watch, "
        f"{cost['bytes_per_agent']:,} bytes an agent, {cost['events']:,} events",
        *_processes_printed(result),
        "found: an alert names a session of the attack; odd: odd but honest episodes with an alert, in %;",
        "further: alerts after the first, for each found attack; minutes: median from first call to alert",
    ]
    return "\n".join(lines)


def _processes_printed(result: Result) -> Iterator[str]:
    found = result["processes"]
    if found is not None:
        yield (
            f"{found['watch']['decisions_per_cpu_s']:,} decisions a second of CPU on Kafka, "
            f"{found['gate']['us_of_signals']} us an intent for signals in the gate"
        )


def _judges(result: Result) -> Iterator[tuple[Any, ...]]:
    for name, each in result["judges"].items():
        yield (
            name,
            _share(each["loud"]),
            _share(each["stealthy"]),
            each["false_per_10k"],
            each["false_per_agent_day"],
            f"{100 * each['odd_alarmed']:.0f}%",
            each["further_per_incident"],
            "-" if each["minutes"] is None else each["minutes"],
        )


def _kinds(result: Result) -> Iterator[tuple[Any, ...]]:
    for kind, each in result["judges"]["detectors"]["kinds"].items():
        loud, stealthy = ("{}/{}".format(*each[name]) for name in ("loud", "stealthy"))
        yield kind.replace("_", " "), loud, stealthy, "-" if each["minutes"] is None else each["minutes"]


def _share(found: tuple[int, int]) -> str:
    return f"{100 * found[0] / max(1, found[1]):.0f}%"
