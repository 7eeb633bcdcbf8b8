"""Writes results to files: JSON for programs, and tables for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")

Result = dict[str, Any]
_BAR_CHARS = 40
_STAGES = ("consume", "decode", "state", "decide", "encode", "produce", "commit", "store", "engine")


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
    for name, table in _TABLES.items():
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text())
        parts.append(f"## {name}\n")
        if content["quick"]:
            parts.append("This was a quick run, which is too short for reliable figures.\n")
        parts.append(table(content["result"]))
        parts.append(_card_lines(content["card"]))
    return "\n".join(parts)


def _card_lines(card: dict[str, str]) -> str:
    return "\n".join(["<details><summary>machine</summary>\n", *_rows(("", ""), list(card.items())), "\n</details>\n"])


def _rows(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    return "\n".join(_rows(head, rows)) + "\n"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _tenths(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _gate(result: Result) -> str:
    rates = _table(
        ("log", "rules", "intents/s", "intents/s of one core", "CPU us an intent", "of which in the gate's own thread"),
        [
            (
                case["log"],
                case["rules"],
                _whole(case["intents_per_s"]),
                _whole(case["intents_per_cpu_s"]),
                _tenths(case["cpu_us_per_intent"]),
                _tenths(case["main_thread_us_per_intent"]),
            )
            for case in result["cases"]
        ],
    )
    stages = _table(
        ("log", "rules", *(f"{stage}" for stage in _STAGES)),
        [
            (case["log"], case["rules"], *(_tenths(case["stages_us"].get(stage, 0.0)) for stage in _STAGES))
            for case in result["cases"]
        ],
    )
    return (
        f"{_whole(result['intents'])} intents of {_whole(result['sessions'])} sessions on 6 partitions, which are on"
        f" the log before the gate starts. Medians of {result['rounds']} runs in turns.\n\n"
        f"{rates}\n{_to_permit_all(result)}"
        "CPU us for each intent by stage, in the gate's own thread, in a second run with timed ports (the measurement"
        f" costs about 10 us for each intent, most of which is subtracted):\n\n{stages}"
    )


def _to_permit_all(result: Result) -> str:
    """Return a sentence about the cost of the starter packs."""
    parts = [
        f"{kind} {ratio['intents_per_s']:.2f} times the intents/s, {ratio['intents_per_cpu_s']:.2f} of a core"
        for kind, ratio in result["starter_to_permit_all"].items()
    ]
    return (
        "With the starter packs, compared with a single rule that permits everything (in short alternating turns;"
        f" the median): {'; '.join(parts)}.\n\n"
    )


def _compare(result: Result) -> str:
    rows = [
        (
            case["rules"],
            _tenths(case["earlier_us"]),
            _tenths(case["now_us"]),
            f"{case['cpu_ratio']:.3f}",
            "{:.3f} to {:.3f}".format(*case["cpu_ratio_quartiles"]),
            f"{case['rate_ratio']:.3f}",
        )
        for case in result["cases"]
    ]
    # Results of earlier versions compare the checkout, and don't say which commit that was.
    compared = (
        f"The gate of commit {result['now'][:10]} compared with that of {result['revision'][:10]}, each with its own "
        "starter packs"
        if "now" in result
        else f"The gate compared with that of commit {result['revision'][:10]}"
    )
    return (
        f"{compared}, on the {result['log']} log: "
        f"{result['turns']} turns of {_whole(result['intents_per_turn'])} intents each, one version after the other."
        " The ratios are medians of the turns' ratios.\n\n"
    ) + _table(("rules", "CPU us an intent before", "now", "ratio of CPU", "its quartiles", "ratio of intents/s"), rows)


def _faust(result: Result) -> str:
    ratios = result["ratios"]
    return (
        "Minimal work (decode an intent, read and write its session's row in RocksDB, answer with a verdict) in a"
        " Faust agent and in our engine, and the whole gate."
        f" Faust: {', '.join(result['faust'])}; at least once.\n\n"
    ) + _table(
        ("", "intents/s", "times Faust", "intents/s of one core", "times Faust", "CPU us an intent"),
        [
            (
                name,
                _whole(case["intents_per_s"]),
                _tenths(ratios[name]["intents_per_s"]),
                _whole(case["intents_per_cpu_s"]),
                _tenths(ratios[name]["intents_per_cpu_s"]),
                _tenths(case["cpu_us_per_intent"]),
            )
            for name, case in result["cases"].items()
        ],
    )


def _latency(result: Result) -> str:
    return (
        "From the append of an intent until a read_committed consumer has its verdict. One rule permits"
        f" everything; {_whole(result['sessions'])} sessions.\n\n"
    ) + _table(
        ("log", "intents/s", "commit interval ms", "p50 ms", "p99 ms", "p99.9 ms", "longest ms", "CPU us an intent"),
        [
            (
                case["log"],
                _whole(case["rate_per_s"]),
                case["commit_interval_ms"],
                _tenths(case["p50_ms"]),
                _tenths(case["p99_ms"]),
                _tenths(case["p99_9_ms"]),
                _tenths(case["max_ms"]),
                _whole(case["gate_cpu_us_per_intent"]),
            )
            for case in result["cases"]
        ],
    )


def _sessions(result: Result) -> str:
    verdict = "flat" if result["flat"] else "NOT flat"
    calls = result["calls_of_a_turn"]
    return (
        f"{_whole(result['intents'])} intents of sessions that are spread over all live ones, on Kafka, without rules."
        f" If each session makes {calls} calls before the next one does, the cost is {verdict} (at most"
        f" {result['flat_ratio_max']} times the lowest). If each makes one call, which is the hardest case, every call"
        " of a large number of sessions reads its row from disk.\n\n"
    ) + _table(
        (
            "calls of a turn",
            "live sessions",
            "CPU us an intent",
            "times the least",
            "memory MB",
            "memory bytes a session",
            "disk bytes",
        ),
        [
            (
                case["calls_of_a_turn"],
                _whole(case["sessions"]),
                _tenths(case["cpu_us_per_intent"]),
                f"{case['cpu_ratio']:.2f}",
                _whole(case["rss_mb"]),
                _whole(case["memory_bytes_per_session"]),
                _whole(case["disk_bytes_per_session"]),
            )
            for case in sorted(result["cases"], key=lambda case: -case["calls_of_a_turn"])
        ],
    )


def _disk(result: Result) -> str:
    verdict = "at most" if result["small"] else "MORE THAN"
    cases = _table(
        ("of a decided intent", "rows", "bytes in the store", "bytes in the changelog"),
        [
            (case["name"], f"{case['rows']:.2f}", _whole(case["store_bytes"]), _whole(case["changelog_bytes"]))
            for case in result["cases"]
        ],
    )
    return (
        f"What {_whole(result['intents'])} decided intents leave behind, keys included; {result['later_ms'] // 60_000}"
        f" minutes later it is {verdict} {result['small_bytes_max']} bytes each. The store is compacted and compressed;"
        f" the changelog is what compaction keeps, before a broker compresses it.\n\n{cases}\n"
        f"{_whole(result['forged'])} intents without a proof, all of one session, leave"
        f" {_whole(result['forged_bytes'])} bytes in {result['forged_rows']} row.\n"
    )


def _rebalance(result: Result) -> str:
    return (
        f"The longest wait of an intent around the event, by partition, under {result['rate_per_s']} intents/s.\n\n"
    ) + _table(
        (
            "a second gate",
            "longest wait before ms",
            *(f"partition {number} ms" for number in range(result["partitions"])),
        ),
        [
            (
                case["event"],
                _whole(case["longest_wait_before_ms"]),
                *(_whole(wait) for wait in case["pause_ms"].values()),
            )
            for case in result["cases"]
        ],
    )


def _takeover(result: Result) -> str:
    restore = result["restore"]
    met = "within" if result["within"] else "longer than"
    cases = _table(
        (
            "the second of two gates",
            "standbys",
            "session timeout s",
            "longest wait before s",
            "silence s",
            "silence of its partitions s",
            "of the others s",
            "unanswered",
            "answered twice",
        ),
        [
            (
                {"kill": "is killed", "zombie": "stands still"}[case["event"]],
                case["standbys"],
                _whole(case["session_timeout_ms"] / 1_000),
                _tenths(case["longest_wait_before_s"]),
                _tenths(case["silence_s"]),
                *(_tenths(_longest(case, moved=moved)) for moved in (True, False)),
                case["unanswered"],
                case["answered_twice"],
            )
            for case in result["cases"]
        ],
    )
    return (
        f"{_whole(result['sessions'])} live sessions, {result['rate_per_s']} intents/s. With standbys and the shortest"
        f" session timeout, the silence is {met} {_tenths(result['silence_s_max'])} s.\n\n{cases}\n"
        f"A gate restores all of it from the changelog in {_tenths(restore['duration_s'])} s:"
        f" {_whole(restore['records'])} records, {_tenths(restore['bytes'] / 1e6)} MB,"
        f" {_tenths(restore['mb_per_s'])} MB/s.\n"
    )


def _longest(case: Result, *, moved: bool) -> float:
    """The longest silence of the partitions that the event moves, or of the others."""
    waits = case["silence_by_partition_s"].items()
    longest: float = max(wait for at, wait in waits if (int(at) in case["partitions_moved"]) is moved)
    return longest


def floods_table(result: Result) -> str:
    """Return the table of the floods."""

    def row(case: Result) -> tuple[object, ...]:
        limit = f"{_whole(case['quota_bytes_per_s'])} bytes/s" if case["quota_bytes_per_s"] else "none"
        figures = ("never" if case[name] is None else _whole(case[name]) for name in ("p50_ms", "p99_ms", "max_ms"))
        tried = f"{_whole(case['rate'])}/s" if case["rate"] else "all it can"
        return (case["flood"], limit, tried, _whole(case["written_per_s"]), *figures, case["unanswered"])

    head = ("flood", "quota", "tried", "written/s", "p50 ms", "p99 ms", "longest ms", "unanswered")
    return (
        f"How long an honest session waits for a verdict while another writer floods its partition for "
        f"{result['flood_s']} s; {result['honest_per_s']} honest intents per second.\n\n"
        + _table(head, [row(case) for case in result["cases"]])
    )


def _kill(result: Result) -> str:
    quantiles = _table(
        ("refuse", "p50 ms", "p99 ms", "longest ms"),
        [
            (name, *(_tenths(result[part][figure]) for figure in ("p50_ms", "p99_ms", "max_ms")))
            for name, part in (("each executor", "each"), ("the last of them", "last"))
        ],
    )
    most = max(bucket["executors"] for bucket in result["histogram"])
    histogram = _table(
        ("below ms", "executors", ""),
        [
            (bucket["below_ms"], bucket["executors"], "#" * -(-bucket["executors"] * _BAR_CHARS // most))
            for bucket in result["histogram"]
        ],
    )
    return (
        f"From the append of a stop of everything until each of {result['executors']} executors refuses, under"
        f" {_whole(result['rate_per_s'])} intents/s, {result['stops']} times. The goal is"
        f" {_whole(result['aim_ms'])} ms. Of {_whole(result['calls'])} calls, {result['calls_begun_after']} began in an"
        f" executor after that.\n\n{quantiles}\n{histogram}"
    )


def _executor(result: Result) -> str:
    sizes = result["sizes"]
    rows = []
    for case in result["cases"]:
        skipped, own, backlog, rate = (case[part] for part in ("skipped", "own", "backlog", "rate"))
        rows += [
            (case["log"], "others' verdicts skipped a second", _whole(skipped["per_s"])),
            ("", "CPU us each", _tenths(skipped["cpu_us"])),
            ("", "skipped a second of one core", _whole(1e6 / skipped["cpu_us"])),
            ("", "own calls a second", _whole(own["per_s"])),
            ("", "CPU us each", _whole(own["cpu_us"])),
            ("", "own calls a second of one core", _whole(1e6 / own["cpu_us"])),
            ("", "backlog: own calls that ran", f"{_whole(backlog['ran'])} of {_whole(backlog['own'])}"),
            ("", "backlog: seconds", _tenths(backlog["seconds"])),
            ("", "backlog: expired, though more speed could have prevented it", backlog["expired_preventable"]),
            ("", "at a steady rate: p50 ms from append to run", _tenths(rate["p50_ms"])),
            ("", "p99 ms", _tenths(rate["p99_ms"])),
            ("", "longest ms", _tenths(rate["max_ms"])),
            *(
                ("", f"memory MB after a quarter, and at the end: {text}", _memory(part))
                for text, part in (
                    ("skipped", skipped),
                    ("own calls", own),
                    ("backlog", backlog),
                    ("steady rate", rate),
                )
            ),
        ]
    return (
        "An executor that reads the verdict topic, in a process of its own; its calls do nothing. The verdicts that it"
        " skips are allowed calls of another server. CPU is that of all threads."
        f" Skipped: {_whole(sizes['skipped'])} verdicts. Own calls: {_whole(sizes['own'])}, which are on the log"
        f" before it starts. Backlog: {_whole(sizes['backlog'])} verdicts that expire {_whole(result['life_ms'])} ms"
        f" after they were made, one in {result['own_every_in_backlog']} an own call. Steady rate:"
        f" {_whole(result['rate_per_s'])} verdicts/s, one in {result['own_every_at_rate']} an own call. How long a gate"
        " takes before that is in the table of `latency`.\n\n"
    ) + _table(("log", "", ""), rows)


def _memory(part: Result) -> str:
    return f"{_whole(part['rss_mb_at_quarter'])}, {_whole(part['rss_mb_at_end'])}"


def _executor_compare(result: Result) -> str:
    figures = {
        "skipped": ("per_s", "cpu_us"),
        "own": ("per_s", "cpu_us"),
        "rate": ("p50_ms", "p99_ms"),
    }
    texts = {
        ("skipped", "per_s"): "others' verdicts skipped a second",
        ("skipped", "cpu_us"): "CPU us each",
        ("own", "per_s"): "own calls a second",
        ("own", "cpu_us"): "CPU us each",
        ("rate", "p50_ms"): "at a steady rate of 1,000 verdicts/s, 200 of them own: p50 ms from append to run",
        ("rate", "p99_ms"): "p99 ms",
    }
    rows = []
    for case in result["cases"]:
        earlier, now = case["figures"]["earlier"], case["figures"]["now"]
        log = f"{case['log']}, {case['turns']} turns"
        for part, names in figures.items():
            for name in names:
                before, after = earlier[part][name], now[part][name]
                text = texts[part, name]
                rows.append((log, text, _tenths(before), _tenths(after), f"{after / before:.2f}"))
    first = result["cases"][0]
    return (
        f"The executor compared with that of commit {first['revision'][:10]}, in turns, one version after the other."
        " Medians of the turns.\n\n"
    ) + _table(("log", "", "before", "now", "ratio"), rows)


def cluster_table(result: Result) -> str:
    """What the faults on a cluster did, in words and a table."""
    broker = ", ".join(f"`{name}={value}`" for name, value in result["broker_settings"].items()) or "Kafka's defaults"
    gates = "".join(f", `{name}={value}`" for name, value in result["gate_settings"].items())
    findings = "".join(f"- {each['fault']}: {each['count']}\n" for each in result["findings"])
    return (
        f"Three brokers (TLS, SCRAM, access lists, replication 3; {broker}), two gates{gates},"
        f" {_whole(result['rate_per_s'])} intents/s. Of {_whole(result['intents'])} intents every one has exactly one"
        " final verdict and one audit record of it, in the order of its session"
        f"{', except:' + chr(10) * 2 + findings if findings else '.'}\n\n"
        "Seconds without a verdict while intents waited, at the longest. A partition is led by a lost broker if the"
        " broker led its intents, verdicts, audit records or changelog. The log itself: seconds without an intent that"
        " could be read.\n\n"
    ) + _table(
        (
            "fault",
            "the lost brokers were",
            "led by them s",
            "others s",
            "the log itself s",
            *(f"{number} s" for number in range(result["partitions"])),
            "verdicts",
        ),
        [
            (
                case["text"],
                ", ".join(case["roles_taken"]),
                _tenths(case["silent_s_max_led"]),
                _tenths(case["silent_s_max_others"]),
                _tenths(max(case["log_silent_s"])),
                *(f"{silent:.1f}" for silent in case["silent_s"]),
                ", ".join(f"{count} {reason}" for reason, count in case["verdicts"].items()),
            )
            for case in result["cases"]
        ],
    )


def soak_table(result: Result) -> str:
    """Return how the memory of a gate and an executor went, in words and a table."""
    names = list(result["own_mb"])
    slopes = ", ".join(f"{name} {result['slopes_mb_per_minute'][name]:.2f}" for name in names)
    columns = [result[kind][name] for kind in ("own_mb", "rss_mb") for name in names]
    return (
        f"A gate and an executor, each in a process of its own, on the {result['log']} log, for"
        f" {result['minutes']:g} minutes under {_whole(result['rate_per_s'])} intents/s:"
        f" {_whole(result['intents'])} intents in {_whole(result['sessions'])} sessions of"
        f" {result['calls_per_session']} calls, {result['sessions_live']} of them live at a time;"
        f" {_whole(result['calls'])} calls of the executor's own server."
        f" Growth over the second half (least squares), MB a minute: {slopes}. It should be at most"
        f" {result['slope_mb_per_minute_max']}, which is {'met' if result['flat'] else 'NOT met'}.\n\n"
        "Memory in MB, mean of the minute. Own memory is without pages of files, which the kernel drops and reads again"
        " as it likes.\n\n"
    ) + _table(
        ("minute", *(f"{name}, {kind}" for kind in ("own", "resident") for name in names)),
        [(minute, *(_tenths(value) for value in row)) for minute, row in enumerate(zip(*columns, strict=True), 1)],
    )


def _printed(result: Result) -> str:
    return f"```\n{result['text'].rstrip()}\n```\n"


def _identity(result: Result) -> str:
    checks = _table(
        ("proofs", "hops", "cold us", "times", "warm us", "times", "from the row us", "row not ready us", "row bytes"),
        [
            (
                case["proof"],
                case["hops"],
                _tenths(case["cold_us"]),
                _tenths(case["cold_ratio"]),
                _tenths(case["warm_us"]),
                _tenths(case["warm_ratio"]),
                _tenths(case["row_us"]),
                _tenths(case["row_not_ready_us"]),
                case["row_bytes"],
            )
            for case in result["cases"]
        ],
    )
    gate = _table(
        ("session", "CPU us an intent", "times"),
        [(case["session"], _tenths(case["cpu_us_per_intent"]), f"{case['ratio']:.2f}") for case in result["gate"]],
    )
    proofs, revoked = result["proofs"], result["revocations"]
    return (
        "A grant is verified once, when it arrives (cold: its keys are not known yet). Every call is checked against"
        f" the result.\n\n{checks}\n"
        f"A proof of possession: {proofs['hmac_us']:.1f} us under the session's key, {proofs['ed25519_us']:.1f} us"
        f" under an Ed25519 key, {proofs['ed25519_ratio']:.0f} times as much. The whole gate, without log and disk:"
        f"\n\n{gate}\n"
        f"{_whole(revoked['entries'])} revocations take {_whole(revoked['mebibytes'])} MiB"
        f" ({_whole(revoked['bytes_each'])} bytes each) and {revoked['apply_us']:.1f} us each to apply. A call of"
        " a session with three ancestors is checked against them in"
        f" {revoked['lookup_us']:.2f} us, against a thousand in"
        f" {revoked['lookup_small_us']:.2f} us, against none in {revoked['lookup_empty_us']:.2f} us.\n"
    )


_TABLES: dict[str, Callable[[Result], str]] = {
    "gate": _gate,
    "compare": _compare,
    "faust": _faust,
    "latency": _latency,
    "sessions": _sessions,
    "disk": _disk,
    "rebalance": _rebalance,
    "takeover": _takeover,
    "kill": _kill,
    "executor": _executor,
    "executor_compare": _executor_compare,
    "identity": _identity,
    "cluster": cluster_table,
    "soak": soak_table,
    "floods": floods_table,
    "codec": _printed,
    "rules": _printed,
    "budgets": _printed,
    "leases": _printed,
    "swap": _printed,
}
