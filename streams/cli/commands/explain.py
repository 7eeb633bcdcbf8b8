"""`stoplog explain`: the story of one intent, as a person would tell it."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Annotated, Any

import typer

from streams.cli.apps import make_app
from streams.cli.options.groups import takes_groups
from streams.cli.options.shared import Connection, Output
from streams.cli.terminal.screen import FAIL, FAINT, OK, STRONG, WARN, Screen
from streams.cli.terminal.styled import Text
from streams.cli.terminal.text import printable, short
from streams.cli.views.next_steps import tell_steps
from streams.cli.views.session import actor_fields
from streams.codec.instants import instant_text
from streams.model.topics import VERDICT
from streams.model.verdict import Outcome, ValueOrigin
from streams.operations.contents.erased import erasure_text
from streams.operations.sessions.story import Story, Value, read_story, sentence, told_origin
from streams.operations.topics.lookup import IdError, find_intent
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log

app = make_app()

_VALUES_SHOWN_MAX = 12
_RULES_SHOWN_MAX = 6
_CHARS_MAX = 200
_STYLES = {Outcome.ALLOW: OK, Outcome.REQUIRE_APPROVAL: WARN, Outcome.DEFER: WARN}
_ORIGINS = {ValueOrigin.USER: OK, ValueOrigin.TRUSTED: OK, ValueOrigin.FIELD: WARN}


@app.command()
@takes_groups
def explain(
    *,
    intent: Annotated[
        str,
        typer.Argument(metavar="INTENT", help="An intent, or its verdict, alert or question; the beginning is enough."),
    ],
    connection: Connection,
    output: Output,
) -> None:
    """Tell why a call was allowed or not: where its values come from, and which rules decided.

    The story is that of the recorded decision. Arguments are shown where this client may read verdicts, unless they
    were erased. `stoplog rules explain --intent ID` shows the conditions of the rules, part by part.
    """
    screen, settings = output.screen(), connection.settings()
    codec, clock = build_codec(settings), SystemClock()
    with open_log(settings, create=False) as opened:
        owner = find_intent(opened, codec, clock, intent, settings.tenant)
        story = read_story(opened, codec, clock, owner, settings.release.trusted(), settings.content.trusted())
    if story is None:
        raise IdError(f"no gate has judged intent `{owner.intent_id}` yet")
    screen.record(_fields(story))
    if not screen.as_json:
        _show(screen, story)
        screen.say()
        tell_steps(screen, connection, _next_steps(story))


def _show(screen: Screen, story: Story) -> None:
    view = story.shown.view
    screen.prose(sentence(story), _STYLES.get(story.outcome, FAIL))
    screen.say()
    asked = f"{story.tool} for {view.sub or 'an unknown user'}, by agent {view.act.sub or 'unknown'}"
    ran = f", {story.ran}" if story.ran else ""
    screen.say(f"{asked}, {instant_text(story.judged_ms)}{ran}", FAINT)
    if VERDICT.name in story.shown.hidden:
        screen.say(f"arguments and origins can't be shown: this client may not read `{VERDICT.name}`", WARN)
    if story.erasure is not None:
        screen.say(f"the arguments can't be shown: {erasure_text(story.erasure)}", WARN)
    if story.reached:
        screen.prose(f"the session was reached by what others wrote through {', '.join(story.reached)}", WARN)
    if story.first is not None:
        answered = f"; then {', '.join(story.answers)}" if story.answers else ""
        screen.prose(f"first it was held ({story.first.outcome.value}): {story.first.reason_text}{answered}", FAINT)
    rows = _value_rows(story.values[:_VALUES_SHOWN_MAX])
    screen.say()
    if rows:
        screen.table(("argument", "value", "role", "where it comes from"), rows)
    elif story.verdict is not None:
        if story.erasure is None:
            screen.say(short(f"arguments: {story.verdict.args_json or 'not kept'}", _CHARS_MAX))
        screen.say("the verdict does not say where they come from", FAINT)
    if len(story.values) > _VALUES_SHOWN_MAX:
        screen.say(f"and {len(story.values) - _VALUES_SHOWN_MAX} more", FAINT)
    screen.say()
    for hit in story.rules[:_RULES_SHOWN_MAX]:
        rule = f"  {hit.effect.value.lower().replace('_', ' ')}: {hit.reason}"
        screen.prose(Text.assemble(("rule ", FAINT), (printable(hit.rule_id), STRONG), printable(rule)))
    if not story.rules:
        screen.say(f"no rule decided: {story.reason}: {story.reason_text}", FAINT)


def _value_rows(values: Sequence[Value]) -> list[tuple[str | Text, ...]]:
    """Return the rows of arguments. The parts of one can come from several places: then each has a row below it."""
    by_argument: dict[tuple[str, str], list[Value]] = {}
    for value in values:
        by_argument.setdefault((value.name, value.text), []).append(value)
    rows: list[tuple[str | Text, ...]] = []
    for (name, text), parts in by_argument.items():
        share = "in part: " if len(parts) > 1 else ""
        for number, part in enumerate(parts):
            where = Text(f"{share}{_origin(part)}", style=_style(part))
            shown = ("", "") if number else (name, text)
            rows.append((*shown, part.role.value.lower(), where))
    return rows


def _origin(value: Value) -> str:
    told = told_origin(value)
    where = ", ".join(path for path in value.paths if path)
    return f"{told}, at {where}" if where else told


def _style(value: Value) -> str:
    return FAIL if value.instructed or value.decoded else _ORIGINS.get(value.origin, FAIL)


def _next_steps(story: Story) -> list[tuple[str, str]]:
    view = story.shown.view
    named = quote(f"{view.tenant_uid}|{view.session_id}")
    return [
        ("the conditions of the rules", f"rules explain --intent {story.intent_id}"),
        ("what the session read and did", f"session show {named}"),
        ("what it did since it read untrusted data", f"contain {named}"),
    ]


def _fields(story: Story) -> dict[str, Any]:
    view = story.shown.view
    return {
        "intent_id": story.intent_id,
        "tenant_uid": view.tenant_uid,
        "session_id": view.session_id,
        "act": actor_fields(view.act),
        "sub": view.sub,
        "tool": story.tool,
        "evaluated_ms": story.judged_ms,
        "outcome": story.outcome.value,
        "held": None if story.first is None else story.first.outcome.value,
        "reason": story.reason,
        "reason_text": story.reason_text,
        "story": sentence(story),
        "reached": list(story.reached),
        "values": [value._asdict() | {"told": told_origin(value)} for value in story.values],
        "rules": [{"rule_id": hit.rule_id, "effect": hit.effect.value, "reason": hit.reason} for hit in story.rules],
        "answers": list(story.answers),
        "ran": story.ran or None,
        "hidden_topics": sorted(story.shown.hidden),
        "erased": None if story.erasure is None else erasure_text(story.erasure),
    }
