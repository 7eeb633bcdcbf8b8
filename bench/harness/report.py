"""Writes results to files: JSON for programs, and tables for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bench.tables import behaviour, executors, faults, gates, injection
from bench.tables.cells import Result, table, table_lines

RESULTS = Path(__file__).resolve().parents[1] / "results"


def save(name: str, result: Result, card: dict[str, str], *, quick: bool, folder: Path = RESULTS) -> None:
    """Write one result with the description of its machine, and rewrite the page with all tables."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"bench": name, "quick": quick, "card": card, "result": result}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    (folder / "README.md").write_text(page(folder))


def page(folder: Path) -> str:
    """Return the page with the tables of all results in a folder."""
    parts = [
        "# Results\n\n`python -m bench` writes this page. Each table has the figures of one run. CPU time is that of "
        "all threads of the gate.\n"
    ]
    for name, tables in _TABLES.items():
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text())
        parts.append(f"## {name}\n")
        if content["quick"]:
            parts.append("This was a quick run, which is too short for reliable figures.\n")
        parts.append(tables(content["result"]))
        parts.append(_card_lines(content["card"]))
    return "\n".join(parts)


def _card_lines(card: dict[str, str]) -> str:
    return "\n".join(
        ["<details><summary>machine</summary>\n", *table_lines(("", ""), list(card.items())), "\n</details>\n"]
    )


def _cli(result: Result) -> str:
    rows = [(f"`{row['command']}`", row["cpu_ms"], row["ratio"]) for row in result["commands"]]
    return (
        "CPU time of each command from start to end, and how many times that of a Python that does nothing "
        f"({result['empty_ms']} ms).\n\n"
    ) + table(("command", "CPU ms", "ratio"), rows)


def _printed(result: Result) -> str:
    return f"```\n{result['text'].rstrip()}\n```\n"


_TABLES: dict[str, Callable[[Result], str]] = {
    "gate": gates.gate_table,
    "compare": gates.compare_table,
    "faust": gates.faust_table,
    "latency": gates.latency_table,
    "sessions": gates.sessions_table,
    "many_sessions": gates.many_sessions_table,
    "disk": gates.disk_table,
    "rebalance": faults.rebalance_table,
    "takeover": faults.takeover_table,
    "kill": executors.kill_table,
    "executor": executors.executor_table,
    "executor_compare": executors.executor_compare_table,
    "identity": gates.identity_table,
    "cluster": faults.cluster_table,
    "cluster_layout": faults.cluster_table,
    "soak": faults.soak_table,
    "floods": faults.floods_table,
    "codec": _printed,
    "cli": _cli,
    "rules": _printed,
    "budgets": _printed,
    "leases": _printed,
    "replay": _printed,
    "tampering": _printed,
    "kills": _printed,
    "swap": _printed,
    "attributes": _printed,
    "extraction": _printed,
    "audit": _printed,
    "provenance": _printed,
    "injection": injection.injection_table,
    "injection_forms": injection.forms_table,
    "behaviour": behaviour.behaviour_table,
}
