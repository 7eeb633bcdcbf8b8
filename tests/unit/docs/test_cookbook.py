"""The cookbook: every recipe is accepted as it stands, and does what its heading says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema_rs
import pytest

from streams.policy import Effect, bundle_from_files, check_bundle, compile_bundle
from streams.policy.authoring.file_schema import file_schema
from streams.policy.authoring.quiet_facts import with_quiet_facts
from streams.policy.errors import Findings
from streams.policy.language.located_yaml import read_yaml, to_python
from streams.policy.language.paths import with_changes
from tests.unit.docs.pages import Block, blocks

FIXTURES = Path(__file__).parents[3] / "rules" / "fixtures"
HEAD = 'apiVersion: rules/v1\nbundle: b\nversion: "1"\n'
PERMIT = '  - {id: ALL-1, effect: permit, match: {tools: ["*"]}, when: "true", reason: for this test}\n'
RECIPES: dict[str, Block] = {block.heading.partition(".")[0]: block for block in blocks("how-to/rule-cookbook.md")}

DENY, QUARANTINE, APPROVAL, DEFER = Effect.DENY, Effect.QUARANTINE, Effect.REQUIRE_APPROVAL, Effect.DEFER


class Recipe(NamedTuple):
    """A fixture with changes, what the recipe then gives, changes that make it fire, and those that don't."""

    fixture: str
    effect: Effect
    fires: list[dict[str, Any]]
    silent: list[dict[str, Any]]
    missing: str


OFFICE = {"now.weekday": 2, "now.hour": 9, "tool.id": "deploy.start", "tool.server_id": "deploy", "tool.name": "start",
          "tool.read_only": False}  # fmt: skip
DEPLOY = {"tool.id": "deploy.start", "tool.server_id": "deploy", "tool.name": "start"}
HELD: dict[str, Any] = {"tool.irreversible": True, "act.kind": "pay", "read.untrusted": True}
OWN: dict[str, Any] = {"several": True, "subject": True, "other": False, "age_ms": 1}
WRITE = {"tool.id": "filesystem.write_file", "tool.name": "write_file"}

CHECKS: dict[str, Recipe] = {
    "2": Recipe("refund", APPROVAL, [{"args.amount": 50001}, {"args.currency": "USD"}], [{"args.amount": 50000}],
                "args.amount"),
    "3": Recipe("refund", APPROVAL, [{"args.amount": 500001}], [{"args.amount": 500000}], "args.amount"),
    "4": Recipe("refund", APPROVAL, [{"history": {"refunds_to_account": 2}}], [{"history": {"refunds_to_account": 1}}],
                "history.refunds_to_account"),
    "5": Recipe("refund", DENY, [{"args.amount": 0}, {"args.amount": -5}], [{"args.amount": 1}], "args.amount"),
    "6": Recipe("mail", DENY, [{"args.to": ["a@b.c"] * 6}], [{"args.to": "a@b.c, d@e.f"}], "args.to"),
    "7": Recipe("mail", DENY,
                [{"session.tainted": True, "args.to": "eve@other.example"},
                 {"session.tainted": True, "args.to": "bob@example.com, eve@example.com.other.example"}],
                [{"session.tainted": True, "args.to": ["Bob <bob@mail.example.com>"]},
                 {"args.to": "eve@other.example"}],
                "session.tainted|args.to=eve@other.example"),
    "8": Recipe("fetch", DENY, [{"args.url": "https://other.example/"}, {"args.url": "http://docs.python.org/"},
                                {"args.url": "https://docs.python.org.other.example/"}],
                [{"args.url": "https://docs.python.org/3/"}], "args.url"),
    "9": Recipe("fetch", DENY, [{"args.url": f"http://{host}/"} for host in
                                ("127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "db.internal")],
                [{"args.url": "https://example.org/"}, {"args.url": "http://wiki.corp.example/"}], "args.url"),
    "10": Recipe("file", DENY, [{"args.path": "/etc/passwd"}, {"args.path": "../x"}, {"args.path": "/workspace2/a"}],
                 [{"args.path": "a/../b"}], "args.path"),
    "11": Recipe("file", DENY, [{"args.path": path} for path in
                                (".env", "a/.netrc", "/workspace/.ssh/config", "k.PEM")],
                 [{"args.path": "environment.md"}], "args.path"),
    "12": Recipe("command", APPROVAL, [{"args.command": text} for text in
                                       ("make", "ls; rm x", "echo $(rm x)", "echo a > b", "./ls")],
                 [{"args.command": "ls | grep a 2> /dev/null"}], "args.command"),
    "13": Recipe("command", DENY, [{"args.command": "sudo ls"}, {"args.command": "curl x | sh"}],
                 [{"args.command": "ls | head"}, {"args.command": "python3 x.py"}], "args.command"),
    "14": Recipe("query", DENY, [{"args.sql": text} for text in
                                 ("delete from orders", "select 1; select 2", "select * from users",
                                  "select pg_read_file('x')",
                                  "with x as (delete from orders returning *) select * from x")],
                 [{"args.sql": "select id from orders o join products p on p.i = o.i"}], "args.sql"),
    "15": Recipe("mail", DENY, [{"session.confidentiality": "private"}], [{}], "session.confidentiality"),
    "16": Recipe("mail", DENY, [{"args.body": "AKIAABCDEFGHIJKLMNOP"},
                                {"args.extra": [{"a": "-----BEGIN PRIVATE KEY-----"}]}],
                 [{}], "tool.external|args.body=AKIAABCDEFGHIJKLMNOP"),
    "17": Recipe("lookup", APPROVAL, [OFFICE | {"now.weekday": 6}, OFFICE | {"now.hour": 6}, OFFICE | {"now.hour": 17}],
                 [OFFICE, OFFICE | {"now.hour": 16}, OFFICE | {"now.hour": 7, "now.weekday": 5}],
                 "now.hour|tool.id=deploy.start|tool.server_id=deploy|tool.name=start|tool.read_only=0"),
    "18": Recipe("mail", DEFER, [{"session.attended": False}], [{}], "session.attended"),
    "19": Recipe("mail", DENY, [{}, {"model": {}}], [{"model.name": "small-2"}], "tool.read_only"),
    "20": Recipe("mail", QUARANTINE, [{"session.fingerprint_changed": True, "session.changed": ["model"]}], [{}],
                 "session.fingerprint_changed"),
    "21": Recipe("lookup", DENY, [DEPLOY | {"history": {"tested": False}}], [DEPLOY | {"history": {"tested": True}}],
                 "history.tested|tool.id=deploy.start|tool.server_id=deploy|tool.name=start"),
    "22": Recipe("file", DENY, [WRITE | {"history": {"fresh": False}}], [WRITE | {"history": {"fresh": True}}],
                 "history.fresh|tool.id=filesystem.write_file|tool.name=write_file"),
    "23": Recipe("refund", DENY, [{"history": {"just_looked_up": False}, "args.order": "o-1"}],
                 [{"history": {"just_looked_up": True}, "args.order": "o-1"}],
                 "history.just_looked_up|args.order=o-1"),
    "24": Recipe("refund", DENY, [{"args.amount": 0, "args.currency": "USD"}, {"args.currency": "EUR"},
                                  {"args.currency": "USD"}, {"args.currency": "USD", "args.customer": 1.5}],
                 [{"args.currency": "USD", "args.customer": "c-1"}], "args.amount|args.currency=USD"),
    "25": Recipe("refund", DENY, [{"entities.customer.blocked": True}, {"args.amount": 10**9}],
                 [{}, {"args.amount": 10**6}], "entities.customer.refund_limit"),
    "26": Recipe("refund", APPROVAL, [{"history": {"refusals_of_agent": 10}}], [{"history": {"refusals_of_agent": 9}}],
                 "history.refusals_of_agent"),
    "27": Recipe("refund", DEFER, [HELD, HELD | {"act.kind": "delete"}],
                 [HELD | {"act.kind": "change"}, HELD | {"read.untrusted": False}, HELD | {"tool.irreversible": False},
                  HELD | {"deferral.waited_ms": 600_000}],
                 "read.untrusted|tool.irreversible=1|act.kind=pay"),
    "28": Recipe("refund", DENY, [{"owner": {**OWN, "subject": False}}, {"owner": {**OWN, "age_ms": 86_400_001}},
                                  {"owner": {"several": True, "subject": True, "other": False}}],
                 [{"owner": OWN}], "owner"),
    "29": Recipe("mail", QUARANTINE, [{"act.drift": 3}], [{"act.drift": 2}], "act.drift"),
}  # fmt: skip


def compiled(number: str, *, alone: bool = False) -> Any:
    text = f"apiVersion: rules/v1\npack: p\n{RECIPES[number].text}" + ("" if alone else PERMIT)
    source = bundle_from_files({"bundle.yaml": HEAD, "p/p.rules.yaml": text})
    assert [str(finding) for finding in check_bundle(source).findings if finding.code != "constant"] == []
    return compile_bundle(source)


def facts(fixture: str, changes: dict[str, Any], unset: tuple[str, ...] = ()) -> dict[str, Any]:
    history = {"refunds_to_account": 0, "tested": False, "fresh": False, "just_looked_up": False}
    history["refusals_of_agent"] = 0
    base = json.loads((FIXTURES / f"{fixture}.json").read_text()) | {"history": history}
    base["args"]["account"] = "a-1"
    base["entities"] = {"customer": {"known": True, "age_ms": 1, "blocked": False, "refund_limit": 10**6}}
    return with_changes(with_quiet_facts(base), changes, unset)


def test_they_are_numbered_and_all_are_checked() -> None:
    assert list(RECIPES) == [str(number) for number in range(1, len(RECIPES) + 1)]
    assert set(CHECKS) | {"1"} == set(RECIPES)


@pytest.mark.parametrize("number", RECIPES)
def test_a_recipe_is_a_rule_file_that_is_accepted(number: str) -> None:
    assert compiled(number).rules
    node = read_yaml("p.rules.yaml", f"apiVersion: rules/v1\npack: p\n{RECIPES[number].text}", Findings())
    assert node is not None
    document: Any = to_python(node)
    assert [error.message for error in jsonschema_rs.validator_for(file_schema()).iter_errors(document)] == []
    assert all(rule["tags"] for rule in document["rules"])


@pytest.mark.parametrize("number", CHECKS)
def test_a_recipe_does_what_its_heading_says(number: str) -> None:
    recipe, ruleset = CHECKS[number], compiled(number)
    for changes in recipe.fires:
        assert ruleset.judge(facts(recipe.fixture, changes)).effect is recipe.effect, changes
    for changes in recipe.silent:
        assert ruleset.judge(facts(recipe.fixture, changes)).effect is Effect.ALLOW, changes
    field, *settings = recipe.missing.split("|")
    pairs = [setting.partition("=")[::2] for setting in settings]
    preset = {name: text == "1" if text in ("0", "1") else text for name, text in pairs}
    judged = ruleset.judge(facts(recipe.fixture, preset, (field,)))
    assert (judged.effect, len(judged.errors)) == (DENY, 1), field


def test_who_may_use_a_tool() -> None:
    ruleset = compiled("1", alone=True)
    assert ruleset.judge(facts("refund", {})).effect is Effect.ALLOW
    for changes in ({"agent.id": "other"}, {"user.scopes": []}, {"tenant": "other"}):
        assert ruleset.judge(facts("refund", changes)).effect is DENY
    assert ruleset.judge(facts("refund", {}, ("agent.id",))).effect is DENY
    assert ruleset.judge(facts("mail", {})).effect is DENY


def test_budgets_are_what_they_say() -> None:
    (total,) = (budget for pack in compiled("5").bundle.packs for budget in pack.budgets)
    assert (total.per, total.limit, total.window_ms) == ("user", 200_000, 86_400_000)
    (recipients,) = (budget for pack in compiled("6").bundle.packs for budget in pack.budgets)
    assert (recipients.per, recipients.measure, recipients.limit) == ("session", "distinct", 20)
    (customers,) = (budget for pack in compiled("24").bundle.packs for budget in pack.budgets)
    assert (customers.per, customers.limit, customers.window_ms) == ("tenant", 10_000, 86_400_000)
    plan = compiled("24").plan(facts("refund", {})["tool"])
    keys = [plan.charges(facts("refund", {"args.customer": name}))[0].key for name in ("C-1", "c-1", "c-2")]
    assert (keys[0] == keys[1], keys[0] == keys[2]) == (True, False)
