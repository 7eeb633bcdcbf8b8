"""What comes of faults, floods and long runs."""

from __future__ import annotations

from bench.tables.cells import Result, table, tenths, whole


def rebalance_table(result: Result) -> str:
    """Return how long partitions pause when a gate comes or goes."""
    return (
        f"The longest wait of an intent around the event, by partition, under {result['rate_per_s']} intents/s.\n\n"
    ) + table(
        (
            "a second gate",
            "longest wait before ms",
            *(f"partition {number} ms" for number in range(result["partitions"])),
        ),
        [
            (
                case["event"],
                whole(case["longest_wait_before_ms"]),
                *(whole(wait) for wait in case["pause_ms"].values()),
            )
            for case in result["cases"]
        ],
    )


def takeover_table(result: Result) -> str:
    """Return how long the partitions of a gate are silent that is killed or stands still."""
    restore = result["restore"]
    met = "within" if result["within"] else "longer than"
    cases = table(
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
                whole(case["session_timeout_ms"] / 1_000),
                tenths(case["longest_wait_before_s"]),
                tenths(case["silence_s"]),
                *(tenths(_longest(case, moved=moved)) for moved in (True, False)),
                case["unanswered"],
                case["answered_twice"],
            )
            for case in result["cases"]
        ],
    )
    return (
        f"{whole(result['sessions'])} live sessions, {result['rate_per_s']} intents/s. With standbys and the shortest"
        f" session timeout, the silence is {met} {tenths(result['silence_s_max'])} s.\n\n{cases}\n"
        f"A gate restores all of it from the changelog in {tenths(restore['duration_s'])} s:"
        f" {whole(restore['records'])} records, {tenths(restore['bytes'] / 1e6)} MB,"
        f" {tenths(restore['mb_per_s'])} MB/s.\n"
    )


def _longest(case: Result, *, moved: bool) -> float:
    """Return the longest silence of the partitions that the event moves, or of the others."""
    waits = case["silence_by_partition_s"].items()
    longest: float = max(wait for at, wait in waits if (int(at) in case["partitions_moved"]) is moved)
    return longest


def floods_table(result: Result) -> str:
    """Return the table of the floods."""

    def row(case: Result) -> tuple[object, ...]:
        limit = f"{whole(case['quota_bytes_per_s'])} bytes/s" if case["quota_bytes_per_s"] else "none"
        figures = ("never" if case[name] is None else whole(case[name]) for name in ("p50_ms", "p99_ms", "max_ms"))
        tried = f"{whole(case['rate'])}/s" if case["rate"] else "all it can"
        return (case["flood"], limit, tried, whole(case["written_per_s"]), *figures, case["unanswered"])

    head = ("flood", "quota", "tried", "written/s", "p50 ms", "p99 ms", "longest ms", "unanswered")
    return (
        f"How long an honest session waits for a verdict while another writer floods its partition for "
        f"{result['flood_s']} s; {result['honest_per_s']} honest intents per second.\n\n"
        + table(head, [row(case) for case in result["cases"]])
    )


def nodes_text(brokers: int, controllers: int) -> str:
    """Return which nodes a cluster has, in words."""
    words = {3: "three", 4: "four", 5: "five"}
    text = f"{words.get(brokers, str(brokers))} brokers"
    return f"{text} and {words.get(controllers, str(controllers))} controllers" if controllers else text


def cluster_table(result: Result) -> str:
    """Return what the faults on a cluster did, in words and a table."""
    nodes = nodes_text(result.get("brokers", 3), result.get("controllers", 0))
    broker = ", ".join(f"`{name}={value}`" for name, value in result["broker_settings"].items()) or "Kafka's defaults"
    gates = "".join(f", `{name}={value}`" for name, value in result["gate_settings"].items())
    findings = "".join(f"- {each['fault']}: {each['count']}\n" for each in result["findings"])
    life = f", verdicts that live for {result['verdict_life_s']} s" if result.get("verdict_life_s") else ""
    return (
        f"{nodes.capitalize()} (TLS, SCRAM, access lists, replication 3; {broker}), two gates{gates},"
        f" {whole(result['executors'])} executors, {whole(result['rate_per_s'])} intents/s{life}."
        f" Of {whole(result['intents'])} intents every one has exactly one final verdict and one audit record of it, in"
        f" the order of its session{', except:' + chr(10) * 2 + findings if findings else '.'}\n\n"
        f"{_calls_text(result)}"
        "Seconds without a verdict while intents waited, at the longest. A partition is led by a lost broker if the"
        " broker led its intents, verdicts, audit records or changelog. The log itself: seconds without an intent that"
        " could be read. The machine stood still: the longest time by which a process that slept for 1 ms went on late;"
        " in such a time nothing here went on. Processors used: by everything on the machine, on average."
        " Expired unread: allowed calls whose verdicts had less than 1 s left once they could be read, because the log"
        " or the gates stood still for too long; hardly any executor could have run them. Expired in time: those that a"
        " faster one could have.\n\n"
    ) + table(
        (
            "fault",
            "the lost brokers were",
            "led by them s",
            "others s",
            "the log itself s",
            "the machine stood still s",
            "processors used %",
            *(f"{number} s" for number in range(result["partitions"])),
            "verdicts",
            "expired unread",
            "expired in time",
        ),
        [
            (
                case["text"],
                ", ".join(case["roles_taken"]),
                tenths(case["silent_s_max_led"]),
                tenths(case["silent_s_max_others"]),
                tenths(max(case["log_silent_s"])),
                _hundredths(case.get("machine_stood_still_s")),
                _percent(case.get("machine_busy")),
                *(f"{silent:.1f}" for silent in case["silent_s"]),
                ", ".join(f"{count} {reason}" for reason, count in case["verdicts"].items()),
                *(case.get("expired", {}).get(name, "") for name in ("unread", "in_time")),
            )
            for case in result["cases"]
        ],
    )


def _hundredths(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _percent(share: float | None) -> str:
    return "" if share is None else whole(share * 100)


def _calls_text(result: Result) -> str:
    """Return what came of the allowed calls. That one ran twice, or not as it was judged, would be a finding."""
    calls = result["calls"]
    not_run = ", ".join(f"{whole(count)} `{reason}`" for reason, count in calls["not_run"].items())
    return (
        f"Of {whole(calls['allowed'])} allowed calls {whole(calls['ran'])} ran, each once and as it was judged; of"
        f" these, {whole(calls['cut_off'])} were cut off by a kill and reported as unknown. The others did not run,"
        f" and were reported: {not_run or 'none'}.\n\n"
    )


def soak_table(result: Result) -> str:
    """Return how the memory of a gate and an executor went, in words and a table."""
    names = list(result["own_mb"])
    slopes = ", ".join(f"{name} {result['slopes_mb_per_minute'][name]:.2f}" for name in names)
    columns = [result[kind][name] for kind in ("own_mb", "rss_mb") for name in names]
    return (
        f"A gate and an executor, each in a process of its own, on the {result['log']} log, for"
        f" {result['minutes']:g} minutes under {whole(result['rate_per_s'])} intents/s:"
        f" {whole(result['intents'])} intents in {whole(result['sessions'])} sessions of"
        f" {result['calls_per_session']} calls, {result['sessions_live']} of them live at a time;"
        f" {whole(result['calls'])} calls of the executor's own server."
        f" Growth over the second half (least squares), MB a minute: {slopes}. It should be at most"
        f" {result['slope_mb_per_minute_max']}, which is {'met' if result['flat'] else 'NOT met'}.\n\n"
        "Memory in MB, mean of the minute. Own memory is without pages of files, which the kernel drops and reads again"
        " as it likes.\n\n"
    ) + table(
        ("minute", *(f"{name}, {kind}" for kind in ("own", "resident") for name in names)),
        [(minute, *(tenths(value) for value in row)) for minute, row in enumerate(zip(*columns, strict=True), 1)],
    )
