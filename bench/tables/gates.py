"""What gates can do, and what they cost."""

from __future__ import annotations

from bench.tables.cells import Result, table, tenths, whole

_STAGES = ("consume", "decode", "state", "decide", "encode", "produce", "commit", "store", "engine")


def gate_table(result: Result) -> str:
    """Return the rates of gates and their CPU time by stage."""
    rates = table(
        ("log", "rules", "intents/s", "intents/s of one core", "CPU us an intent", "of which in the gate's own thread"),
        [
            (
                case["log"],
                case["rules"],
                whole(case["intents_per_s"]),
                whole(case["intents_per_cpu_s"]),
                tenths(case["cpu_us_per_intent"]),
                tenths(case["main_thread_us_per_intent"]),
            )
            for case in result["cases"]
        ],
    )
    stages = table(
        ("log", "rules", *(f"{stage}" for stage in _STAGES)),
        [
            (case["log"], case["rules"], *(tenths(case["stages_us"].get(stage, 0.0)) for stage in _STAGES))
            for case in result["cases"]
        ],
    )
    return (
        f"{whole(result['intents'])} intents of {whole(result['sessions'])} sessions on 6 partitions, which are on"
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


def compare_table(result: Result) -> str:
    """Return how a gate compares with that of an earlier commit."""
    rows = [
        (
            case["rules"],
            tenths(case["earlier_us"]),
            tenths(case["now_us"]),
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
        f"{result['turns']} turns of {whole(result['intents_per_turn'])} intents each, one version after the other."
        " The ratios are medians of the turns' ratios.\n\n"
    ) + table(("rules", "CPU us an intent before", "now", "ratio of CPU", "its quartiles", "ratio of intents/s"), rows)


def faust_table(result: Result) -> str:
    """Return how the engine and a gate compare with Faust."""
    ratios = result["ratios"]
    return (
        "Minimal work (decode an intent, read and write its session's row in RocksDB, answer with a verdict) in a"
        " Faust agent and in our engine, and the whole gate."
        f" Faust: {', '.join(result['faust'])}; at least once.\n\n"
    ) + table(
        ("", "intents/s", "times Faust", "intents/s of one core", "times Faust", "CPU us an intent"),
        [
            (
                name,
                whole(case["intents_per_s"]),
                tenths(ratios[name]["intents_per_s"]),
                whole(case["intents_per_cpu_s"]),
                tenths(ratios[name]["intents_per_cpu_s"]),
                tenths(case["cpu_us_per_intent"]),
            )
            for name, case in result["cases"].items()
        ],
    )


def latency_table(result: Result) -> str:
    """Return how long verdicts take."""
    return (
        "From the append of an intent until a read_committed consumer has its verdict. One rule permits"
        f" everything; {whole(result['sessions'])} sessions.\n\n"
    ) + table(
        ("log", "intents/s", "commit interval ms", "p50 ms", "p99 ms", "p99.9 ms", "longest ms", "CPU us an intent"),
        [
            (
                case["log"],
                whole(case["rate_per_s"]),
                case["commit_interval_ms"],
                tenths(case["p50_ms"]),
                tenths(case["p99_ms"]),
                tenths(case["p99_9_ms"]),
                tenths(case["max_ms"]),
                whole(case["gate_cpu_us_per_intent"]),
            )
            for case in result["cases"]
        ],
    )


def sessions_table(result: Result) -> str:
    """Return what live sessions cost."""
    verdict = "flat" if result["flat"] else "NOT flat"
    calls = result["calls_of_a_turn"]
    return (
        f"{whole(result['intents'])} intents of sessions that are spread over all live ones, on Kafka, without rules."
        f" If each session makes {calls} calls before the next one does, the cost is {verdict} (at most"
        f" {result['flat_ratio_max']} times the lowest). If each makes one call, which is the hardest case, every call"
        " of a large number of sessions reads its row from disk.\n\n"
    ) + table(
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
                whole(case["sessions"]),
                tenths(case["cpu_us_per_intent"]),
                f"{case['cpu_ratio']:.2f}",
                whole(case["rss_mb"]),
                whole(case["memory_bytes_per_session"]),
                whole(case["disk_bytes_per_session"]),
            )
            for case in sorted(result["cases"], key=lambda case: -case["calls_of_a_turn"])
        ],
    )


def many_sessions_table(result: Result) -> str:
    """Return what it costs to open many sessions."""
    return (
        "Sessions that were opened one by one at a gate on the embedded log, and stay open. At each size,"
        f" {whole(result['calls'])} calls go to sessions that were not used since they were opened. Memory is that of"
        " the gate after these calls; bytes are those of a session without its calls.\n\n"
    ) + table(
        ("open sessions", "CPU us to open one", "CPU us a call", "memory MB", "bytes on the log", "bytes in the state"),
        [
            (
                whole(case["sessions"]),
                whole(case["open_us"]),
                whole(case["call_us"]),
                whole(case["rss_mb"]),
                whole(case["log_bytes"]),
                whole(case["state_bytes"]),
            )
            for case in result["cases"]
        ],
    )


def disk_table(result: Result) -> str:
    """Return what decided intents leave behind."""
    verdict = "at most" if result["small"] else "MORE THAN"
    cases = table(
        ("of a decided intent", "rows", "bytes in the store", "bytes in the changelog"),
        [
            (case["name"], f"{case['rows']:.2f}", whole(case["store_bytes"]), whole(case["changelog_bytes"]))
            for case in result["cases"]
        ],
    )
    return (
        f"What {whole(result['intents'])} decided intents leave behind, keys included; {result['later_ms'] // 60_000}"
        f" minutes later it is {verdict} {result['small_bytes_max']} bytes each. The store is compacted and compressed;"
        f" the changelog is what compaction keeps, before a broker compresses it.\n\n{cases}\n"
        f"{whole(result['forged'])} intents without a proof, all of one session, leave"
        f" {whole(result['forged_bytes'])} bytes in {result['forged_rows']} row.\n"
    )


def identity_table(result: Result) -> str:
    """Return what grants, proofs and revocations cost."""
    checks = table(
        ("proofs", "hops", "cold us", "times", "warm us", "times", "from the row us", "row not ready us", "row bytes"),
        [
            (
                case["proof"],
                case["hops"],
                tenths(case["cold_us"]),
                tenths(case["cold_ratio"]),
                tenths(case["warm_us"]),
                tenths(case["warm_ratio"]),
                tenths(case["row_us"]),
                tenths(case["row_not_ready_us"]),
                case["row_bytes"],
            )
            for case in result["cases"]
        ],
    )
    gate = table(
        ("session", "CPU us an intent", "times"),
        [(case["session"], tenths(case["cpu_us_per_intent"]), f"{case['ratio']:.2f}") for case in result["gate"]],
    )
    proofs, revoked = result["proofs"], result["revocations"]
    return (
        "A grant is verified once, when it arrives (cold: its keys are not known yet). Every call is checked against"
        f" the result.\n\n{checks}\n"
        f"A proof of possession: {proofs['hmac_us']:.1f} us under the session's key, {proofs['ed25519_us']:.1f} us"
        f" under an Ed25519 key, {proofs['ed25519_ratio']:.0f} times as much. The whole gate, without log and disk:"
        f"\n\n{gate}\n"
        f"{whole(revoked['entries'])} revocations take {whole(revoked['mebibytes'])} MiB"
        f" ({whole(revoked['bytes_each'])} bytes each) and {revoked['apply_us']:.1f} us each to apply. A call of"
        " a session with three ancestors is checked against them in"
        f" {revoked['lookup_us']:.2f} us, against a thousand in"
        f" {revoked['lookup_small_us']:.2f} us, against none in {revoked['lookup_empty_us']:.2f} us.\n"
    )
