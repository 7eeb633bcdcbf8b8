"""Runs the desk for `stoplog desk`, and shows what waits."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import typer

from streams.cli.main import FAILED
from streams.cli.options.shared import Connection, Output
from streams.cli.signals import stopped_by_signals
from streams.cli.terminal.log_output import configure_logging
from streams.cli.terminal.screen import FAIL, OK, WARN, Screen
from streams.cli.views.next_steps import tell_steps
from streams.codec.instants import format_instant
from streams.desk.messages import Kind, Message
from streams.desk.rows import State
from streams.http.monitor import LOOPBACK
from streams.model.plurals import many
from streams.model.proof import derived_uuid
from streams.services.desk.building import build_sinks
from streams.services.desk.errors import DeskError
from streams.services.desk.service import SHOWN_MAX, RunningDesk, shown
from streams.services.desk.store import DeskStore
from streams.services.metrics import MetricsSection, serving_metrics
from streams.wiring.clock import SystemClock
from streams.wiring.logs import open_log
from streams.wiring.settings import Settings
from streams.wiring.transports import build_transport

_ID_CHARS = 13


def run_desk(settings: Settings, output: Output) -> None:
    """Run the desk until SIGINT or SIGTERM. Blocking.

    Args:
        settings: the settings.
        output: the screen.

    Raises:
        StoplogError: the settings, secrets or files can't be used; says what to do.
        LogError: the log can't be used.
    """
    screen = output.screen()
    configure_logging(output.as_json)
    stopping, handlers = threading.Event(), settings.alerts.trusted()
    listen = MetricsSection(listen=settings.metrics.listen or settings.desk.listen)
    with open_log(settings, create=False) as opened:
        transport = build_transport(settings, opened)
        with transport, RunningDesk(settings.desk, transport, handlers, folder=_folder(settings)) as running:
            named = "metrics.listen" if settings.metrics.listen else "desk.listen"
            views = {"/deliveries": running.view}
            with (
                serving_metrics(
                    listen, metrics=running.metrics, probe=running.health, views=views, setting=named
                ) as port,
                stopped_by_signals(stopping.set),
            ):
                host = (listen.listen or "").rpartition(":")[0] or LOOPBACK
                _tell(screen, settings, running, opened.name, (host, port))
                stopping.wait()
    screen.record({"event": "stopped"})
    screen.say("the desk has stopped cleanly", OK)


def show_desk(connection: Connection, settings: Settings, output: Output) -> None:
    """Show what waits for each sink.

    Raises:
        DeskError: there is no desk in the state folder, or its file can't be read.
    """
    screen = output.screen()
    with closing(DeskStore(_folder(settings), is_guest=True)) as store:
        loads, states = store.outbox.loads(settings.desk.sink_names), store.states()
        waiting = store.outbox.open_deliveries(SHOWN_MAX)
    rows = []
    for name, open_count, aside, oldest_ms, owed_count in loads:
        oldest = "" if oldest_ms is None else format_instant(oldest_ms)
        note = "" if name in settings.desk.sink_names else "not in the settings any more"
        screen.record(
            {
                "sink": name,
                "waiting": open_count,
                "set_aside": aside,
                "oldest_ms": oldest_ms,
                "owed": owed_count,
                "note": note,
            }
        )
        if owed_count:
            owed = f"{many(owed_count, 'more incident')} once it takes messages"
            note = f"{note}; {owed}" if note else owed
        rows.append([name, str(open_count), str(aside), oldest, note])
    screen.table(["sink", "waiting", "set aside", "the oldest since", ""], rows)
    for each in waiting:
        screen.record(shown(each))
    if waiting:
        screen.say()
        told = [
            [
                each.uid[:_ID_CHARS],
                each.sink,
                each.kind,
                str(each.attempts),
                each.fault + (" (set aside)" if each.is_set_aside else ""),
            ]
            for each in waiting
        ]
        screen.table(["message", "sink", "kind", "attempts", "last answer"], told)
    screen.record({"incidents": {state.value: states[state] for state in State}})
    screen.say()
    counts = ", ".join(f"{states[state]} {state.value}" for state in State)
    screen.say(f"incidents of the last 30 days: {counts}", WARN if states[State.OPEN] else OK)
    if any(load.set_aside_count for load in loads):
        tell_steps(screen, connection, (("send again what was set aside", "desk retry"),))


def test_sinks(settings: Settings, names: Sequence[str], output: Output) -> None:
    """Send a test message to sinks; PagerDuty gets its end, too, so that no incident stays open there.

    Raises:
        DeskError: there is no such sink, or none at all, or a secret can't be read.
        Exit: a sink has not accepted the message.
    """
    screen, clock = output.screen(), SystemClock()
    _check_known(names, settings.desk.sink_names)
    if not settings.desk.sink_names:
        raise DeskError("the settings have no sinks: add one, such as `[desk.slack.NAME]`")
    failed = False
    for name, sink in build_sinks(settings.desk, clock.now_ms, names or None).items():
        message = _test_message(clock.now_ms())
        with closing(sink):
            fault = sink.send(message)
            if fault is None and name in settings.desk.pagerduty:
                fault = sink.send(msgspec.structs.replace(message, kind=Kind.RESOLVED))
        failed = failed or fault is not None
        screen.record({"sink": name, "accepted": fault is None, "fault": "" if fault is None else fault.text})
        screen.say(f"{name}: {'accepted' if fault is None else fault.text}", OK if fault is None else FAIL)
    if failed:
        raise typer.Exit(FAILED)


def retry_messages(settings: Settings, names: Sequence[str], output: Output) -> None:
    """Send messages again that were set aside. A running desk begins within a second.

    Raises:
        DeskError: there is no such sink, no desk in the state folder, or its file can't be written.
    """
    screen = output.screen()
    with closing(DeskStore(_folder(settings), is_guest=True)) as store:
        # A message may also wait for a sink that the settings do not name for now.
        _check_known(names, [load.sink for load in store.outbox.loads(settings.desk.sink_names)])
        counts = {name: store.outbox.retry(name) for name in dict.fromkeys(names) or (None,)}
    for name, count in counts.items():
        screen.record({"sink": name, "retried": count})
    screen.say(f"{many(sum(counts.values()), 'message')} will be sent again", OK)


def _check_known(names: Sequence[str], known: Sequence[str]) -> None:
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        there = ", ".join(f"`{name}`" for name in known) or "none"
        raise DeskError(f"the settings have no sink `{unknown}`; they have {there}")


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "desk"


def _tell(screen: Screen, settings: Settings, running: RunningDesk, log: str, listens: tuple[str, int | None]) -> None:
    names, (host, port) = settings.desk.sink_names, listens
    screen.record({"event": "serving", "log": log, "sinks": list(names), "port": port})
    routes = many(len(settings.desk.routes), "route")
    screen.say(f"the desk reads alerts of the {log}: {routes}, {many(len(names), 'sink')} ({', '.join(names)})", OK)
    screen.say(f"what waits: http://{host}:{port}/deliveries, or `stoplog desk show`")
    for name in running.left_behind(settings.desk):
        screen.say(f"messages wait for sink `{name}`, which the settings do not name any more", WARN)


def _test_message(now_ms: int) -> Message:
    uid = derived_uuid("desk test", str(now_ms))
    return Message(
        uid=uid,
        kind=Kind.TEST,
        incident=uid,
        route="test",
        severity_id=1,
        title="a message of `stoplog desk test`",
        desc="If you can read this, alerts reach this place.",
        analytic="test",
        first_ms=now_ms,
        last_ms=now_ms,
        made_ms=now_ms,
    )
