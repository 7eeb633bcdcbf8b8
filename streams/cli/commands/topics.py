"""`stoplog topics`: show the declared topics, compare the log with them, create and repair what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.apps import make_app
from streams.cli.main import FAILED
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output
from streams.cli.terminal.screen import FAIL, OK, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import age_text
from streams.codec.instants import instant_text
from streams.model.plurals import many
from streams.model.topics import PER_TENANT, TOPICS, Role, Topic
from streams.operations.topics.application import ADMINISTRATOR_CHECKS, carry_out, make_plan, quotas_to_set, topics_of
from streams.operations.topics.plan import AlterConfig, CreateTopic, GrantAccess, Plan, Step, replication_warning
from streams.operations.topics.times import partition_times
from streams.wiring.clock import SystemClock
from streams.wiring.logs import open_log

if TYPE_CHECKING:
    # Settings are loaded when a command is run, so that its help answers at once.
    from streams.wiring.settings import Settings

_DAY_MS = 86_400_000

TenantsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tenant",
        metavar="ID",
        help="A tenant that has a topic for outcomes, beside those of the settings. Can be repeated.",
    ),
]

app = make_app("Show, check and create the topics that stoplog needs.")


@app.command()
@takes_groups
def show(*, output: Output) -> None:
    """Show every topic as declared: its key, its partitions, its retention, its writers and readers."""
    screen = output.screen()
    for topic in (*TOPICS, *PER_TENANT):
        screen.record(
            {
                "topic": topic.shown_name,
                "key": topic.key,
                "schema": None if topic.record is None else topic.record.__name__,
                "spread": topic.spread.value,
                "writers": [role.value for role in topic.writers],
                "readers": [role.value for role in topic.readers],
                "config": topic.config(),
                "note": topic.note,
            }
        )
    screen.table(
        ("topic", "key", "partitions", "keeps", "written by", "read by"),
        [
            (
                topic.shown_name,
                topic.key,
                topic.spread.value,
                _kept(topic),
                _roles(topic.writers),
                _roles(topic.readers),
            )
            for topic in (*TOPICS, *PER_TENANT)
        ],
    )


@app.command()
@takes_groups
def check(
    *,
    connection: Connection,
    output: Output,
    tenant: TenantsOption = None,
) -> None:
    """Report how the topics on the log differ from the declaration. The exit status is 1 if they do.

    With the rights of a gate, for example, topics of other roles and access entries can't be seen. They are named, and
    not compared; only an administrator can check everything.
    """
    screen = output.screen()
    settings = connection.settings()
    tenants = (settings.tenant, *(tenant or ()))
    count = len(topics_of(settings.topics, tenants))
    with open_log(settings, create=False) as opened, closing(opened.admin()) as admin:
        plan = make_plan(settings.topics, settings.group, admin, tenants)
        for step in plan.steps:
            screen.record({"differs": str(step)})
            screen.say(f"to do: {step}", WARN)
        _tell_troubles(screen, plan)
        _tell_replication(screen, settings)
        if plan.steps:
            screen.say("run `stoplog topics apply` to do this")
        for what in plan.unseen:
            screen.record({"unseen": what})
        if plan.unseen:
            screen.say(f"not checked, as this client may not see them: {', '.join(plan.unseen)}", WARN)
            screen.say(f"  {ADMINISTRATOR_CHECKS}")
        if plan.is_clean:
            which = "what this client may see of the" if plan.unseen else "all"
            screen.say(f"{which} {count} topics of the {opened.name} {'is' if plan.unseen else 'are'} as declared", OK)
    if not plan.is_clean:
        raise typer.Exit(FAILED)


@app.command()
@takes_groups
def apply(
    *,
    connection: Connection,
    output: Output,
    tenant: TenantsOption = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show each step, also on a log that has no topic yet.")
    ] = False,
) -> None:
    """Create missing topics, correct their configurations, and add access entries. Nothing is deleted.

    On Kafka, this needs the credentials of an administrator.

    Access entries are added for the principals of the settings `topics.principals` and `topics.tenants`. On Kafka, this
    also prints commands that limit how much they may write (`topics.quotas`); an administrator must run them.
    The exit status is 1 if a difference can't be corrected. With one replica, this warns of what a lost broker would
    cost.
    """
    screen = output.screen()
    settings = connection.settings()
    tenants = (settings.tenant, *(tenant or ()))
    count = len(topics_of(settings.topics, tenants))

    with open_log(settings) as opened, closing(opened.admin()) as admin:
        plan = make_plan(settings.topics, settings.group, admin, tenants)
        # Where every topic is new, its name tells nothing.
        shows_steps = verbose or sum(isinstance(step, CreateTopic) for step in plan.steps) < count

        def tell(step: Step) -> None:
            screen.record({"done": str(step)})
            if shows_steps:
                screen.say(f"done: {step}", OK)

        carry_out(plan, admin, settings.topics.replication, tell)
        if plan.steps:
            screen.say(f"{_done_words(plan.steps)} on the {opened.name}", OK)
        _tell_troubles(screen, plan)
        _tell_replication(screen, settings)
        if settings.log == "kafka":
            _tell_quotas(screen, quotas_to_set(settings.topics, settings.bootstrap))
        if plan.is_clean:
            screen.say(
                f"nothing to do: all {count} topics of the {opened.name} are as declared",
                OK,
            )
    if plan.troubles:
        raise typer.Exit(FAILED)


@app.command()
@takes_groups
def time(
    *,
    connection: Connection,
    output: Output,
) -> None:
    """Show the stream time of each partition. The exit status is 1 if one is far ahead of this machine's clock.

    Sessions, approvals and deadlines expire in stream time. Where it is far ahead, everything counts as expired. If the
    clocks of brokers and gates are right again, `stoplog gate --reset-time` sets it back. Where no input arrives, it
    stays behind, which is harmless.
    """
    screen = output.screen()
    settings = connection.settings()
    with open_log(settings, create=False) as opened:
        times = list(partition_times(opened, SystemClock()))
    if not times:
        screen.say("no partition has had input yet", OK)
        return
    for each in times:
        screen.record({**each._asdict(), "far_ahead": each.is_far_ahead})
    screen.table(
        ("processor", "partition", "stream time (UTC)", "against this clock", ""),
        [
            (
                each.processor,
                str(each.partition),
                instant_text(each.stream_time_ms),
                _against_clock(each.ahead_ms),
                Text("far ahead", FAIL) if each.is_far_ahead else "",
            )
            for each in times
        ],
    )
    if any(each.is_far_ahead for each in times):
        screen.say("check the clocks with `stoplog doctor`, then restart all gates once with `--reset-time`", WARN)
        raise typer.Exit(FAILED)


def _done_words(steps: Sequence[Step]) -> str:
    counts = Counter(type(step) for step in steps)
    words = (
        (CreateTopic, "topic created", "topics created"),
        (AlterConfig, "configuration corrected", "configurations corrected"),
        (GrantAccess, "access entry added", "access entries added"),
    )
    return ", ".join(many(counts[kind], one, more) for kind, one, more in words if counts[kind])


def _against_clock(ahead_ms: int) -> str:
    if not ahead_ms:
        return "the same"
    return f"{age_text(abs(ahead_ms))} {'ahead' if ahead_ms > 0 else 'behind'}"


def _tell_quotas(screen: Screen, commands: tuple[str, ...]) -> None:
    if commands:
        screen.say("for an administrator to run once, so that no writer floods the others:")
    for command in commands:
        screen.record({"to_run": command})
        screen.say(f"  {command}")


def _tell_troubles(screen: Screen, plan: Plan) -> None:
    for trouble in plan.troubles:
        screen.record({"trouble": trouble.text, "advice": trouble.advice})
        screen.say(f"differs: {trouble.text}", FAIL)
        screen.say(f"  {trouble.advice}")


def _tell_replication(screen: Screen, settings: Settings) -> None:
    warning = replication_warning(settings.topics.replication) if settings.log == "kafka" else None
    if warning is not None:
        screen.record({"warning": warning.text, "advice": warning.advice})
        screen.say(f"warning: {warning.text}", WARN)
        screen.say(f"  {warning.advice}")


def _kept(topic: Topic) -> str:
    if topic.compacted:
        return "the newest record of each key"
    if topic.retention_ms is None:
        return "everything"
    return f"{topic.retention_ms // _DAY_MS} days"


def _roles(roles: tuple[Role, ...]) -> str:
    return ", ".join(role.value for role in roles)
