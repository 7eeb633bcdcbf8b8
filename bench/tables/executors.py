"""What executors can do, and what they cost."""

from __future__ import annotations

from bench.tables.cells import Result, table, tenths, whole

_BAR_CHARS = 40


def kill_table(result: Result) -> str:
    """Return how soon executors refuse after a stop."""
    quantiles = table(
        ("refuse", "p50 ms", "p99 ms", "longest ms"),
        [
            (name, *(tenths(result[part][figure]) for figure in ("p50_ms", "p99_ms", "max_ms")))
            for name, part in (("each executor", "each"), ("the last of them", "last"))
        ],
    )
    most = max(bucket["executors"] for bucket in result["histogram"])
    histogram = table(
        ("below ms", "executors", ""),
        [
            (bucket["below_ms"], bucket["executors"], "#" * -(-bucket["executors"] * _BAR_CHARS // most))
            for bucket in result["histogram"]
        ],
    )
    return (
        f"From the append of a stop of everything until each of {result['executors']} executors refuses, under"
        f" {whole(result['rate_per_s'])} intents/s, {result['stops']} times. The goal is"
        f" {whole(result['aim_ms'])} ms. Of {whole(result['calls'])} calls, {result['calls_begun_after']} began in an"
        f" executor after that.\n\n{quantiles}\n{histogram}"
    )


def executor_table(result: Result) -> str:
    """Return the rates, the cost and the memory of an executor."""
    sizes = result["sizes"]
    rows = []
    for case in result["cases"]:
        skipped, own, backlog, rate, gate = (case[part] for part in ("skipped", "own", "backlog", "rate", "gate"))
        rows += [
            (case["log"], "others' verdicts skipped a second", whole(skipped["per_s"])),
            ("", "CPU us each", tenths(skipped["cpu_us"])),
            ("", "skipped a second of one core", whole(1e6 / skipped["cpu_us"])),
            ("", "own calls a second", whole(own["per_s"])),
            ("", "CPU us each", whole(own["cpu_us"])),
            ("", "own calls a second of one core", whole(1e6 / own["cpu_us"])),
            ("", "backlog: own calls that ran", f"{whole(backlog['ran'])} of {whole(backlog['own'])}"),
            ("", "backlog: seconds", tenths(backlog["seconds"])),
            ("", "backlog: expired, though more speed could have prevented it", backlog["expired_preventable"]),
            *(
                ("", f"at a steady rate, {text}: p50, p99, longest ms", _waits(part))
                for text, part in (
                    ("the gate: from an intent's append to its verdict", gate),
                    ("the executor: from a verdict's append to its call", rate),
                )
            ),
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
        " skips are allowed calls of another server. CPU is that of all threads. Verdicts come in transactions of"
        f" {result['committed']}, or in those of 25 ms at the steady rate. Each transaction ends with a seal on each"
        " partition, and the executor runs nothing before it has checked the seal."
        f" Skipped: {whole(sizes['skipped'])} verdicts. Own calls: {whole(sizes['own'])}, which are on the log"
        f" before it starts. Backlog: {whole(sizes['backlog'])} verdicts that expire {whole(result['life_ms'])} ms"
        f" after they were made, one in {result['own_every_in_backlog']} an own call. Steady rate:"
        f" {whole(result['rate_per_s'])} verdicts/s, one in {result['own_every_at_rate']} an own call.\n\n"
    ) + table(("log", "", ""), rows)


def _waits(part: Result) -> str:
    return ", ".join(tenths(part[name]) for name in ("p50_ms", "p99_ms", "max_ms"))


def _memory(part: Result) -> str:
    return f"{whole(part['rss_mb_at_quarter'])}, {whole(part['rss_mb_at_end'])}"


def executor_compare_table(result: Result) -> str:
    """Return how an executor compares with that of an earlier commit."""
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
                rows.append((log, text, tenths(before), tenths(after), f"{after / before:.2f}"))
    first = result["cases"][0]
    return (
        f"The executor compared with that of commit {first['revision'][:10]}, in turns, one version after the other."
        " Medians of the turns.\n\n"
    ) + table(("log", "", "before", "now", "ratio"), rows)
