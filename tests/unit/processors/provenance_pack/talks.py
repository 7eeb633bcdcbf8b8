"""Talks in which the pack `provenance` decides: what the user says, what letters say, and a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streams.model.catalog import ToolCatalogEntry
from streams.model.session import ScopeSource, TaskScope
from streams.model.verdict import Verdict
from tests.starter import starter_source
from tests.unit.processors.provenance_pack.tools import ENTRIES, LETTER
from tests.unit.processors.talk import Talk


def letter(talk: Talk, text: str) -> None:
    talk.read(LETTER, {"id": "m-7001"}, {"id": "m-7001", "from": "carl@other.example", "text": text})


def purpose(talk: Talk, **scope: Any) -> None:
    talk.purpose(scope_source=ScopeSource.ISSUER, task_scopes=(TaskScope(**scope),))


Scenario = Callable[[Talk], Verdict]


def after_a_letter(said: str, text: str, entry: ToolCatalogEntry, args: Mapping[str, Any]) -> Scenario:
    """A call after the user has said something, and a letter with a text has been read."""

    def judged(talk: Talk) -> Verdict:
        talk.say(said)
        letter(talk, text)
        return talk.judge(entry, args)

    return judged


def talk(*more: ToolCatalogEntry, **fields: Any) -> Talk:
    scopes = tuple(f"{server}:{right}" for server in ("box", "book", "desk", "files") for right in ("read", "write"))
    return Talk(starter_source().files, (*ENTRIES, *more), scopes=scopes, **fields)


PERMITTED = """
apiVersion: rules/v1
pack: testing
rules:
  - {id: TEST-001, effect: permit, match: {tools: ["*"]}, when: "true", reason: no other pack is to decide here}
"""


def permitted_talk(*more: ToolCatalogEntry, **fields: Any) -> Talk:
    """A talk in which every call is permitted, so that only what denies it or asks about it decides.

    The packs that come with the product permit no act that reaches outside: without this, it is always denied.
    """
    scopes = tuple(f"{server}:{right}" for server in ("box", "book", "desk", "files") for right in ("read", "write"))
    files = dict(starter_source().files)
    files["bundle.yaml"] = files["bundle.yaml"].replace("provenance, secrets", "provenance, testing, secrets")
    files["testing/testing.rules.yaml"] = PERMITTED
    return Talk(files, (*ENTRIES, *more), scopes=scopes, **fields)


def rules_fired(verdict: Verdict) -> set[str]:
    """Return the ids of the pack's rules that have fired."""
    return {hit.rule_id for hit in verdict.rules if hit.rule_id.startswith("PROV")}
