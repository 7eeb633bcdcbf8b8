"""Runs `stoplog incident export`, and shows the outcome."""

from __future__ import annotations

import shlex
from pathlib import Path

from streams.cli.options.shared import Connection, Output
from streams.cli.terminal.screen import FAINT, OK, WARN
from streams.model.plurals import many
from streams.operations.incident import export_incident
from streams.operations.root_key import load_gates_root_key
from streams.operations.rules.explanation import THE_LOG
from streams.operations.topics.lookup import find_session
from streams.operations.trial import DEVELOPMENT_ROOT_KEY
from streams.wiring.clock import SystemClock
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.trials import plan_trial


def run_incident(connection: Connection, output: Output, *, session: str, out: Path, root_key: Path | None) -> None:
    """Write the files of a session, and tell what to do with them; see `export`."""
    screen = output.screen()
    settings = connection.settings()
    codec, clock = build_codec(settings), SystemClock()
    gates_key = None if root_key is None else load_gates_root_key(root_key)
    plan = plan_trial(settings, THE_LOG, DEVELOPMENT_ROOT_KEY)
    with open_log(settings, create=False) as opened:
        owner = find_session(opened, codec, clock, session, settings.tenant)
        whose, officers = (owner.tenant_uid, owner.session_id), settings.content.trusted()
        found = export_incident(opened, codec, clock, plan, whose, officers=officers, folder=out, gates_key=gates_key)
    command = shlex.join(["stoplog", "try", str(found.history), "--expect", str(found.expect)])
    screen.record(
        {
            "record": "incident",
            "history": str(found.history),
            "expect": str(found.expect),
            "lines": found.lines_count,
            "intents": found.intents_count,
            "differing": [
                {"intent_id": intent_id, "recorded": recorded, "run": run}
                for intent_id, recorded, run in found.differing
            ],
            "hidden_topics": list(found.hidden),
            "lacks_key": found.lacks_key,
            "test": command,
        }
    )
    for topic in found.hidden:
        screen.say(f"records of `{topic}` are missing: this client may not read it", WARN)
    if found.lacks_key:
        screen.say(
            "rules about where values come from may decide otherwise in this history: the key with which values are "
            "compared is in no verdict that this client may read. Give the root key of the gates with `--root-key`",
            WARN,
        )
    for intent_id, recorded, run in found.differing:
        screen.say(f"intent {intent_id} was {recorded} and is {run} in the history by itself", WARN)
    if found.differing:
        screen.say("other sessions, budgets or settings of the gate had part in that", FAINT)
    screen.say(
        f"wrote {many(found.lines_count, 'record')} with {many(found.intents_count, 'intent')} to {found.history}, and "
        f"what is expected of them to {found.expect}",
        OK,
    )
    screen.say(f"run it: {command}")
