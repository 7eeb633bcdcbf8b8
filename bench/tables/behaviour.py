"""Tables of how well behaviour detectors tell attacks from honest work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.tables.cells import Result, table

_NOTE = (
    "Synthetic fleets (`simulation/fleet`), four weeks each; attacks begin in the third. Thresholds were chosen on "
    "seeds below 100, those of the simple judges on {calibrated}; these figures are of seeds {reported}. Found: an "
    "alert names a session of the attack. The author of the fleets is the author of the detectors, so the figures are "
    "upper bounds. The simple judges have the lowest limits that give at most one false alert in 10,000 honest calls "
    "on the seeds for calibration."
)

_INPUT_RECORDS = 2
"""What the watch reads of a decision: a verdict and an audit record."""

_WHAT_COUNTS = (
    "Figures of cost count decisions. A decision is one audit event and two input records, a verdict and an audit "
    "record. The aims are 40 us for a decision in the detectors, and 10,000 audit events in a second of CPU time of "
    "the watch's process, so they are compared with decisions.\n"
)

_AIMS = (
    "Stopped: honest calls that the shipped shadow rules on behaviour (`shadow_rules`) would deny, quarantine or ask "
    "about; a rule asks once about a tool of a session, because people can approve its further calls in one answer. "
    "After alerts: honest calls of sessions about which there was an alert before; they run, unless somebody stops the "
    "session. Further: alerts after the first, for each found attack. The aims are 80% of loud and 50% of stealthy "
    "attacks, 1 false alert and 1 stopped call in 10,000, 8% of odd episodes, and 0.3 further alerts.\n"
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
        "stopped in 10,000",
        "after alerts in 10,000",
        "odd alarmed",
        "further",
        "minutes",
    )
    return "\n".join(
        [
            _NOTE.format(**seeds) + "\n",
            table(columns, list(_judges(result))),
            _AIMS,
            *(f"{line}.\n" for line in _stopped_attacks(result)),
            "Attacks found by the detectors, by kind:\n",
            table(("attack", "loud", "stealthy", "minutes to detection"), list(_kinds(result))),
            *_other_fleets(result, columns),
            _WHAT_COUNTS,
            f"These are figures of {_build(result)}. The detectors take {cost['us_per_event']} us of CPU for a "
            f"decision, in steps of forty (decoding and encoding of rows included); both workers of the watch take "
            f"{cost['us_per_decision']} us for a decision, with codec, state and transactions, on a log in memory. The "
            "detectors keep "
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
            f"say is written, read and judged. These are {_input_records(watch):,} input records in a second. Rules "
            f"that ask for signals cost a gate {gate['us_of_signals']} us for an intent, {gate['us_with']} instead of "
            f"{gate['us_without']}, where each session makes one call again and again{_varied(gate)}.\n"
        )


def _varied(gate: Mapping[str, Any]) -> str:
    # Results of earlier versions have none.
    varied_us = gate.get("us_of_signals_varied")
    return "" if varied_us is None else f", and {varied_us} us where no two calls are equal"


def _build(result: Result) -> str:
    return "a build with compiled modules" if result.get("is_compiled") else "pure Python"


def _input_records(watch: Mapping[str, Any]) -> int:
    return _INPUT_RECORDS * int(watch["decisions_per_cpu_s"])


def printed(result: Result) -> str:
    """Return the figures for a screen, 100 columns wide."""
    cost = result["cost"]
    widths = (6, 10, 11, 11, 9, 10, 5, 9, 7)
    names = ("loud", "stealthy", "false 10k", "agent-day", "stopped", "after", "odd", "further", "min")
    head = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    lines = [f"{'':22}{head}", *_lines(_judges(result), widths)]
    lines += ["", "the detectors, on fleets that are unlike those for calibration", *_lines(_others(result), widths)]
    lines += ["", f"{'found by the detectors':24}{'loud':>9}{'stealthy':>10}{'minutes':>10}"]
    lines += [f"{kind:24}{loud:>9}{stealthy:>10}{minutes!s:>10}" for kind, loud, stealthy, minutes in _kinds(result)]
    lines += [
        "",
        f"{cost['us_per_event']} us a decision in the detectors, {cost['us_per_decision']} us in the whole watch "
        f"({_build(result)})",
        f"{cost['bytes_per_agent']:,} bytes an agent, {cost['events']:,} decisions",
        *_processes_printed(result),
        "found: an alert names a session of the attack; odd: odd but honest episodes with an alert, in %;",
        "further: alerts after the first, for each found attack; min: median minutes from first call to alert",
        "stopped: honest calls in 10,000 that the shipped shadow rules on behaviour would stop",
        "after: honest calls in 10,000 of sessions about which there was an alert before; nothing stops them",
        *_stopped_attacks(result),
        "aims: loud 80%, stealthy 50%, false 1, stopped 1, odd 8%, further 0.3",
    ]
    return "\n".join(lines)


def _lines(rows: Iterator[tuple[Any, ...]], widths: Sequence[int]) -> Iterator[str]:
    for name, *cells in rows:
        yield f"{name:22.22}" + "".join(f"{cell!s:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _processes_printed(result: Result) -> Iterator[str]:
    found = result["processes"]
    if found is not None:
        yield (
            f"{found['watch']['decisions_per_cpu_s']:,} decisions ({_input_records(found['watch']):,} input records) "
            "a second of CPU on Kafka"
        )
        yield f"{found['gate']['us_of_signals']} us an intent for signals in the gate{_varied(found['gate'])}"


def _stopped_attacks(result: Result) -> Iterator[str]:
    found = result["judges"]["detectors"].get("rules_attacks")
    # Results of earlier versions have none, nor have judges without a gate.
    if found is not None:
        loud, stealthy = map(_share, found)
        yield f"the shadow rules would stop a call of {loud} of the loud and {stealthy} of the stealthy attacks"


def _judges(result: Result) -> Iterator[tuple[Any, ...]]:
    return _rows(result["judges"])


def _other_fleets(result: Result, columns: Sequence[str]) -> Iterator[str]:
    # Results of earlier versions have none.
    if result.get("others"):
        seeds = ", ".join(map(str, result["others_on"]))
        yield (
            f"Fleets that are unlike those for calibration (seeds {seeds}). The habits are those of "
            "`simulation/fleet/habits.py`; `bureau` is a second generator (`simulation/bureau`). In those that are "
            "called announced, operators announce 70% of the batches (`simulation/fleet/announced.py`).\n"
        )
        yield table(("fleet", *columns[1:-1]), [row[:-1] for row in _others(result)])


def _others(result: Result) -> Iterator[tuple[Any, ...]]:
    return _rows(result.get("others", {}))


def _rows(figures: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for name, each in figures.items():
        yield (
            name,
            _share(each["loud"]),
            _share(each["stealthy"]),
            each["false_per_10k"],
            each["false_per_agent_day"],
            each.get("rules_per_10k", "-"),
            each.get("stopped_per_10k", "-"),
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
