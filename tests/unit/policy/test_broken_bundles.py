"""Every way to break a bundle that we could think of: each is refused, with its place and a stable code."""

import pytest

from streams.policy import BundleError, ToolTypes, bundle_from_files, compile_bundle
from streams.policy.language.schema import NOT_SUPPLIED
from tests.unit.policy.rulefiles import HEAD, PACK, PERMIT, files, rule

TOOLS = {
    "pay/refund": ToolTypes.from_json_schema(
        {
            "type": "object",
            "required": ["amount"],
            "properties": {"amount": {"type": "integer"}, "memo": {"type": "string"}},
        }
    )
}
REFUND = "{tools: [pay.refund]}"

# Each: what is broken, its files, the code, the line (0: any) of `p/p.rules.yaml` unless a path is given.
Case = tuple[str, dict[str, str], str, str]


def pack(text: str) -> dict[str, str]:
    return {"bundle.yaml": HEAD, "p/p.rules.yaml": text}


def conditions() -> list[Case]:
    """Conditions that are no conditions; all stand in line 7 of the file."""
    broken = {
        "session.tanted": "unknown_field",
        "sesion.tainted": "unknown_name",
        "tainted": "unknown_name",
        "session.tainted == 1": "wrong_type",
        'session.tainted == "yes"': "wrong_type",
        "session.risk > 1.5": "wrong_type",
        "session.risk": "not_a_condition",
        "agent.id": "not_a_condition",
        "args.force": "not_a_condition",
        "[session.tainted]": "not_a_condition",
        "null": "wrong_kind",
        "user.scopes": "not_a_condition",
        "session": "not_a_condition",
        "now.ms + 1": "not_a_condition",
        "agent.id in user": "wrong_type",
        "1 in user.scopes": "wrong_type",
        "user.scopes[true]  == '1'": "wrong_type",
        "user.scopes.foo": "wrong_type",
        "user.scopes.contains('a')": "wrong_type",
        "agent.id.startWith('a')": "unknown_name",
        "agent.id.startsWith(1)": "wrong_type",
        "agent.id.startsWith()": "wrong_type",
        "size(1) == 1": "wrong_type",
        "provenance.trust == 'trusted'": "wrong_type",
        "provenance.exists(p, p.trst == 'trusted')": "unknown_field",
        "provenance.exists(p, q.trust == 'trusted')": "unknown_name",
        "provenance.exists(p)": "unknown_name",
        "provenance.exists(user, user.trust == 'trusted')": "hides_fact",
        "provenance.all(lists, true)": "hides_fact",
        "cel.bind(session, true, session)": "hides_fact",
        "session.tainted &&": "syntax",
        "session.tainted = true": "syntax",
        "session.tainted and true": "syntax",
        "(session.tainted": "syntax",
        "session.tainted)": "syntax",
        "if session.tainted then true": "syntax",
        "session..tainted": "syntax",
        "agent.id == 'a": "syntax",
        "!session.risk": "wrong_type",
        "-session.tainted": "wrong_type",
        "session.tainted ? 1 : 'a'": "wrong_type",
        "session.risk ? true : false": "wrong_type",
        "macros.nothing": "unknown_macro",
        "agent.id in lists.nothing": "unknown_list",
        "stoplog.rules.Agent{id: 'a'} == agent": "unsupported",
        "google.protobuf.BoolValue{value: true} == true": "unsupported",
        "has(agent)": "expression",
        "has(session.nothing)": "unknown_field",
        "getenv('HOME') == ''": "unknown_name",
        "timestamp(now.ms).getHour() == 1": "unknown_name",
        "ip(agent.id).isPrivate()": "unknown_name",
        "cidr('10.0.0.0/8').containsIP(1)": "wrong_type",
        "session.calls[1] == 1": "wrong_type",
        "session.calls.a == 'a'": "wrong_type",
        "{1: 2}[1] == 'a'": "wrong_type",
        "9223372036854775808 > 1": "expression",
        "session.model == null && 1": "wrong_type",
    }
    return [(f"condition `{text}`", files(rule(when=quoted(text))), code, ":7:") for text, code in broken.items()]


def quoted(text: str) -> str:
    return text if text == "null" else "'" + text.replace("'", "''") + "'"


def rules() -> list[Case]:
    """Rules whose form is wrong; the rule begins in line 4."""
    broken: list[tuple[str, str, str, int]] = [
        ("no id", rule(id=None), "missing_key", 4),
        ("no effect", rule(effect=None), "missing_key", 4),
        ("no match", rule(match=None), "missing_key", 4),
        ("no when", rule(when=None), "missing_key", 4),
        ("no reason", rule(reason=None), "missing_key", 4),
        ("unknown key", rule(whne="true"), "unknown_key", 9),
        ("id with a space", rule(id="R 1"), "wrong_value", 4),
        ("id a number", rule(id="7"), "wrong_kind", 4),
        ("id empty", rule(id='""'), "wrong_length", 4),
        ("id too long", rule(id="R" * 65), "wrong_value", 4),
        ("id twice", rule() + rule(effect="permit"), "duplicate_rule", 9),
        ("effect unknown", rule(effect="alow"), "wrong_value", 5),
        ("effect a list", rule(effect="[deny]"), "wrong_kind", 5),
        ("mode unknown", rule(mode="shaddow"), "wrong_value", 9),
        ("match a text", rule(match="pay.refund"), "wrong_kind", 6),
        ("match without tools", rule(match="{servers: [pay]}"), "missing_key", 6),
        ("match unknown key", rule(match='{tools: ["*"], tool: x}'), "unknown_key", 6),
        ("tools empty", rule(match="{tools: []}"), "wrong_length", 6),
        ("tools a text", rule(match="{tools: pay.refund}"), "wrong_kind", 6),
        ("tool without a server", rule(match="{tools: [refund]}"), "wrong_value", 6),
        ("tool with a space", rule(match='{tools: ["pay. refund"]}'), "wrong_value", 6),
        ("tool with a class", rule(match='{tools: ["pay.[ab]"]}'), "wrong_value", 6),
        ("tool with a slash", rule(match="{tools: [pay/refund]}"), "wrong_value", 6),
        ("server with a slash", rule(match="{tools: [pay/re.fund]}"), "wrong_value", 6),
        ("servers with a slash", rule(match='{tools: ["*"], servers: [pay/refund]}'), "wrong_value", 6),
        ("tool a number", rule(match="{tools: [1]}"), "wrong_kind", 6),
        ("tool a mapping", rule(match="{tools: [{a: b}]}"), "wrong_kind", 6),
        ("version a number", rule(match='{tools: ["*"], tool_version: 1.0}'), "wrong_kind", 6),
        *(
            (f"version {text}", rule(match=f'{{tools: ["*"], tool_version: "{text}"}}'), "wrong_value", 6)
            for text in (">=1", "<2", "=1", "^1.2", "~1.2", ">= 1, < 2", "1,2", "!1")
        ),
        ("agents a mapping", rule(match='{tools: ["*"], agents: {a: b}}'), "wrong_kind", 6),
        ("when a list", rule(when="[true]"), "wrong_kind", 7),
        ("when a number", rule(when="1"), "not_a_condition", 7),
        ("when empty", rule(when='""'), "syntax", 7),
        ("reason a number", rule(reason="1"), "wrong_kind", 8),
        ("reason too long", rule(reason="x" * 501), "wrong_length", 8),
        ("reason with a bell", rule(reason='"a\\ab"'), "control_character", 8),
        ("reason with a turn", rule(reason='"a\\u202eb"'), "control_character", 8),
        ("tags a text", rule(tags="ASI01"), "wrong_kind", 9),
        ("tag with a space", rule(tags="[A B]"), "wrong_value", 9),
        ("tag twice", rule(tags="[A, A]"), "duplicate_item", 9),
        ("too many tags", rule(tags=str([f"t{n}" for n in range(21)])), "wrong_length", 9),
        ("explain a list", rule(explain="[agent.id]"), "wrong_kind", 9),
        ("explain unknown field", rule(explain="{a: agent.idd}"), "unknown_field", 9),
        ("explain no name", rule(explain="{'a b': agent.id}"), "wrong_value", 9),
        ("explain a list value", rule(explain="{a: [1]}"), "wrong_kind", 9),
        ("approval missing", rule(effect="require_approval"), "missing_key", 4),
        ("approval of a deny", rule(approval="{group: g}"), "wrong_effect", 9),
        ("approval without group", rule(effect="require_approval", approval="{quorum: 1}"), "missing_key", 9),
        ("approval quorum 0", rule(effect="require_approval", approval="{group: g, quorum: 0}"), "wrong_value", 9),
        ("approval quorum text", rule(effect="require_approval", approval="{group: g, quorum: two}"), "wrong_value", 9),
        ("approval quorum true", rule(effect="require_approval", approval="{group: g, quorum: no}"), "wrong_value", 9),
        ("approval ttl", rule(effect="require_approval", approval="{group: g, ttl: 15}"), "wrong_value", 9),
        ("approval ttl unit", rule(effect="require_approval", approval="{group: g, ttl: 15w}"), "wrong_value", 9),
        ("approval ttl long", rule(effect="require_approval", approval="{group: g, ttl: 8d}"), "wrong_value", 9),
        ("approval bind", rule(effect="require_approval", approval="{group: g, bind: [tol]}"), "wrong_value", 9),
        ("approval bind less", rule(effect="require_approval", approval="{group: g, bind: [tool]}"), "wrong_value", 9),
        ("defer missing", rule(effect="defer"), "missing_key", 4),
        ("defer of a deny", rule(defer="5s"), "wrong_effect", 9),
        ("defer zero", rule(effect="defer", defer="0s"), "wrong_value", 9),
        ("defer negative", rule(effect="defer", defer="-5s"), "wrong_value", 9),
        ("defer list", rule(effect="defer", defer="[5s]"), "wrong_value", 9),
        ("obligation of a deny", rule(obligations="[{id: o, type: t}]"), "wrong_effect", 9),
        ("obligation without type", rule(effect="permit", obligations="[{id: o}]"), "missing_key", 9),
        ("obligation twice", rule(effect="permit", obligations="[{id: o, type: t}, {id: o, type: u}]"),
         "duplicate_obligation", 9),
        ("obligation properties", rule(effect="permit", obligations="[{id: o, type: t, properties: [1]}]"),
         "wrong_kind", 9),
        ("obligation too large",
         rule(effect="permit", obligations=f"[{{id: o, type: t, properties: {{a: {'x' * 2001}}}}}]"),
         "wrong_length", 9),
        ("rule a text", "  - deny everything\n", "wrong_kind", 4),
        ("rule a list", "  - [deny]\n", "wrong_kind", 4),
        ("typed argument unknown", rule(match=REFUND, when="args.amont > 1"), "unknown_field", 7),
        ("typed argument text", rule(match=REFUND, when="args.amount > 'a'"), "wrong_type", 7),
        ("typed argument has", rule(match=REFUND, when="has(args.nothing)"), "unknown_field", 7),
    ]  # fmt: skip
    return [(name, files(text), code, f":{line}:") for name, text, code, line in broken]


def packs() -> list[Case]:
    """Rule files that are wrong as a whole."""
    other = PACK.replace("pack: p", "pack: q")
    lists = other.replace("rules:", "lists: {theirs: [a]}\nrules:") + PERMIT
    macros = other.replace("rules:", "macros: {theirs: 'true'}\nrules:") + PERMIT
    again = files(PERMIT.replace("P-1", "P-2"), before="lists: {a: [y]}\n")["p/p.rules.yaml"]
    shared_list, shared_macro = HEAD + "lists: {a: [x]}\n", HEAD + "macros: {a: 'true'}\n"
    chain = ", ".join(f"m{n}: macros.m{n + 1}" for n in range(10))
    tree = ", ".join(f"m{n}: {' && '.join([f'macros.m{n + 1}'] * 30)}" for n in range(6))
    mine = rule(when="agent.id in lists.theirs")
    in_full = rule(when="agent.id in lists.q.theirs")
    return [
        ("no rules key", pack("apiVersion: rules/v1\npack: p\n"), "missing_key", ":1:"),
        ("rules empty", pack(PACK.replace("rules:", "rules: []")), "wrong_length", ":3:"),
        ("rules a mapping", pack(PACK.replace("rules:", "rules: {a: b}")), "wrong_kind", ":3:"),
        ("another version", pack(PACK.replace("rules/v1", "rules/v2") + PERMIT), "wrong_value", ":1:"),
        ("another pack", pack(PACK.replace("pack: p", "pack: q") + PERMIT), "wrong_value", ":2:"),
        ("unknown key", files(before="rule: []\n"), "unknown_key", ":3:"),
        (
            "list twice",
            files(before="lists: {a: [x]}\n") | {"p/q.rules.yaml": again},
            "duplicate_name",
            "p/q.rules.yaml:3:",
        ),
        ("list shadows", files(head=shared_list, before="lists: {a: [y]}\n"), "duplicate_name", ":3:"),
        ("macro shadows", files(head=shared_macro, before="macros: {a: 'true'}\n"), "duplicate_name", ":3:"),
        ("list mixed", files(before="lists: {a: [x, 1]}\n"), "mixed_list", ":3:"),
        ("list nested", files(before="lists: {a: [[x]]}\n"), "wrong_kind", ":3:"),
        ("list of nothing", files(before="lists: {a: [~]}\n"), "wrong_kind", ":3:"),
        ("list a text", files(before="lists: {a: x}\n"), "wrong_kind", ":3:"),
        ("list name", files(before="lists: {a-b: [x]}\n"), "wrong_value", ":3:"),
        ("list reserved", files(before="lists: {in: [x]}\n"), "wrong_value", ":3:"),
        ("lists a list", files(before="lists: [a]\n"), "wrong_kind", ":3:"),
        ("macro a list", files(before="macros: {a: [x]}\n"), "wrong_kind", ":3:"),
        ("macro unknown field", files(before="macros: {a: session.foo}\n"), "unknown_field", ":3:"),
        ("macro unbalanced", files(before="macros: {a: 'true) || (false'}\n"), "syntax", ":3:"),
        ("macro of itself", files(before="macros: {a: macros.a}\n"), "macro_cycle", ":3:"),
        ("macros in a ring", files(before="macros: {a: macros.b, b: macros.a}\n"), "macro_cycle", ":3:"),
        ("macros too deep", files(before=f"macros: {{{chain}, m10: 'true'}}\n"), "too_deep", ":3:"),
        ("macros too large", files(before=f"macros: {{{tree}, m6: session.tainted}}\n"), "too_long", ":3:"),
        (
            "macro of another pack",
            files(rule(when="macros.theirs")) | {"q/q.rules.yaml": macros},
            "unknown_macro",
            ":7:",
        ),
        ("list of another pack", files(mine) | {"q/q.rules.yaml": lists}, "unknown_list", ":7:"),
        ("list of another pack in full", files(in_full) | {"q/q.rules.yaml": lists}, "unknown_list", ":7:"),
        ("same id in two packs", files() | {"q/q.rules.yaml": other + PERMIT}, "duplicate_rule", "q/q.rules.yaml:4:"),
    ]


def texts() -> list[Case]:
    """Files that are not the YAML we read."""
    deep = "[" * 40 + "]" * 40
    return [
        ("empty", pack(""), "empty_file", ":1:1:"),
        ("only a comment", pack("# nothing\n"), "empty_file", ":1:1:"),
        ("a text", pack("hello"), "wrong_kind", ":1:1:"),
        ("a list", pack("- a\n"), "wrong_kind", ":1:1:"),
        ("broken", pack("a: [1, 2\nb: 3\n"), "yaml_syntax", ":2:"),
        ("tab", pack("a:\n\t- b\n"), "yaml_syntax", ":2:"),
        ("unclosed quote", pack("a: 'b\n"), "yaml_syntax", ":"),
        ("control character", pack("a: b\x01\n"), "yaml_syntax", ":"),
        ("lone surrogate", pack("a: \ud800\n"), "not_unicode", ":1:1:"),
        ("two documents", pack("a: b\n---\nc: d\n"), "many_documents", ":2:"),
        ("anchor", pack("a: &x b\n"), "anchor", ":1:"),
        ("alias", pack("a: *x\n"), "alias", ":1:"),
        ("billion laughs", pack("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n"), "anchor", ":1:"),
        ("merge key", pack("a: {b: c}\n<<: {d: e}\n"), "key_not_text", ":2:"),
        ("python tag", pack("a: !!python/object/apply:os.system [id]\n"), "tag", ":1:"),
        ("local tag", pack("a: !x b\n"), "tag", ":1:"),
        ("standard tag", pack("a: !!str b\n"), "tag", ":1:"),
        ("duplicate key", pack("a: b\na: c\n"), "duplicate_key", ":2:"),
        ("duplicate deep key", pack(PACK + "  - {id: A, id: B}\n"), "duplicate_key", ":4:"),
        ("number as key", pack("1: a\n"), "key_not_text", ":1:"),
        ("list as key", pack("[a, b]: c\n"), "key_not_text", ":1:"),
        ("mapping as key", pack("{a: b}: c\n"), "key_not_text", ":1:"),
        ("true as key", pack("true: c\n"), "key_not_text", ":1:"),
        ("too deep", pack(f"a: {deep}\n"), "too_deep", ":1:"),
        ("too long a text", pack(f"a: {'x' * 20_001}\n"), "too_long", ":1:"),
        ("too large", pack("#" + "x" * 4_000_001), "too_large", ":1:1:"),
        ("directive", pack("%YAML 9.9\n---\na: b\n"), "yaml_syntax", ":1:"),
    ]


def bundles() -> list[Case]:
    """Bundles that are wrong as a whole."""
    good = files()["p/p.rules.yaml"]

    def head(text: str) -> dict[str, str]:
        return {"bundle.yaml": text, "p/p.rules.yaml": good}

    at = "bundle.yaml:"
    return [
        ("no files", {}, "missing_file", at),
        ("no bundle.yaml", {"p/p.rules.yaml": good}, "missing_file", at),
        ("empty", head(""), "empty_file", at),
        ("no name", head('apiVersion: rules/v1\nversion: "1"\n'), "missing_key", at),
        ("no version", head("apiVersion: rules/v1\nbundle: b\n"), "missing_key", at),
        ("version a number", head(HEAD.replace('"1"', "1.0")), "wrong_kind", at + "3:"),
        ("name with a dash", head(HEAD.replace("bundle: b", "bundle: a/b")), "wrong_value", at + "2:"),
        ("mode off", head(HEAD + "mode: off\n"), "wrong_value", at + "4:"),
        ("mode yes", head(HEAD + "mode: yes\n"), "wrong_value", at + "4:"),
        ("unknown key", head(HEAD + "owner: me\n"), "unknown_key", at + "4:"),
        ("pack listed and missing", head(HEAD + "packs: [p, q]\n"), "missing_pack", at + "4:"),
        ("pack not listed", head(HEAD + "packs: [q]\n"), "unlisted_pack", at + "4:"),
        ("another schema", head(HEAD + f"schema_digest: {'a' * 64}\n"), "schema_digest", at + "4:"),
        ("schema digest short", head(HEAD + "schema_digest: abc\n"), "wrong_value", at + "4:"),
        ("shared macro wrong", head(HEAD + "macros: {a: session.foo}\n"), "unknown_field", at + "4:"),
        ("path climbs", head(HEAD) | {"../p/x.rules.yaml": good}, "unexpected_file", "../p/x.rules.yaml:"),
        ("path absolute", head(HEAD) | {"/p/x.rules.yaml": good}, "unexpected_file", "/p/x.rules.yaml:"),
        ("path deep", head(HEAD) | {"p/q/x.rules.yaml": good}, "unexpected_file", "p/q/x.rules.yaml:"),
        ("path flat", head(HEAD) | {"x.rules.yaml": good}, "unexpected_file", "x.rules.yaml:"),
        ("path other", head(HEAD) | {"p/x.py": "import os"}, "unexpected_file", "p/x.py:"),
        ("pack in capitals", head(HEAD) | {"P/x.rules.yaml": good}, "unexpected_file", "P/x.rules.yaml:"),
        ("too many files", head(HEAD) | {f"p/{n}.rules.yaml": "" for n in range(500)}, "too_large", at),
    ]


CASES = [*conditions(), *rules(), *packs(), *texts(), *bundles()]


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 150
    assert len({name for name, *_ in CASES}) >= 150


@pytest.mark.parametrize("case", CASES, ids=[name for name, *_ in CASES])
def test_broken_bundle_is_refused_with_its_place(case: Case) -> None:
    _, broken, code, place = case
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files(broken), TOOLS)
    findings = caught.value.findings
    path = place if not place.startswith(":") else f"p/p.rules.yaml{place}"
    assert any(f.code == code and f"{f.location}:".startswith(path) for f in findings), caught.value
    assert str(findings[0]) in str(caught.value)


def test_all_errors_come_at_once() -> None:
    broken = rule(id="R-1", when="session.foo", reason=None) + rule(id="R-2", effect="alow", when="agnt.id == 'a'")
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files(files(broken + rule(id="R-3", when="session.bar"))))
    found = [(finding.rule_id, finding.code) for finding in caught.value.findings]
    assert found == [
        ("R-1", "missing_key"),
        ("R-1", "unknown_field"),
        ("R-2", "wrong_value"),
        ("R-2", "unknown_name"),
        ("R-3", "unknown_field"),
    ]


@pytest.mark.parametrize(
    ("condition", "fact", "column"),
    [
        ("signals.exists(s, s.score > 0.9)", "signals", 12),
        ("has(session.purpose) && !session.purpose.in_scope", "session.purpose", 15),
        ("tenant == '' || agent.version == '1'", "agent.version", 33),
    ],
)
def test_a_fact_that_no_gate_supplies_is_an_error(condition: str, fact: str, column: int) -> None:
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files(files(rule(when=f'"{condition}"'))))
    found = caught.value.findings[0]
    assert (found.code, found.message) == ("not_supplied", f"no gate supplies the fact `{fact}`")
    assert found.hint == NOT_SUPPLIED[fact]
    assert str(found.location).endswith(f":7:{column}")


@pytest.mark.parametrize("text", ["", "a: [", "a: !x b", "a: b\na: c", f"a: {'x' * 20_001}"])
def test_a_pack_whose_file_is_refused_is_not_missing(text: str) -> None:
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files({"bundle.yaml": HEAD + "packs: [p, q]\n", "p/p.rules.yaml": text}))
    found = [finding for finding in caught.value.findings if finding.code == "missing_pack"]
    assert [finding.message for finding in found] == ["pack `q` has no files"]
    assert len(caught.value.findings) == 2


@pytest.mark.parametrize(
    ("written", "line", "column"),
    [
        ("session.foo", 7, 18),
        ('"session.foo"', 7, 19),
        ("'session.foo'", 7, 19),
        ('"\\u0073ession.foo"', 7, 24),
        ("|\n      session.tainted\n      && session.foo", 9, 17),
        ("|\n        session.tainted\n          && session.foo", 9, 21),
        (">-\n      session.tainted\n      && session.foo", 9, 17),
        ("session.tainted\n      && session.foo", 8, 17),
        ('"session.tainted\n      && session.foo"', 8, 17),
        ("'\"ä🙂\" == agent.id && session.foo'", 7, 39),
    ],
)
def test_an_error_stands_where_it_was_written(written: str, line: int, column: int) -> None:
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files(files(rule(when=written))))
    at = caught.value.findings[0].location
    assert (at.line, at.column) == (line, column)


def test_an_error_in_a_macro_stands_in_the_macro() -> None:
    macro = "macros:\n  m: session.risk > 1 && session.foo\n"
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files(files(rule(when="session.tainted && macros.m"), before=macro)))
    assert [str(finding.location) for finding in caught.value.findings] == ["p/p.rules.yaml:4:33"]


def test_what_a_bundle_says_can_be_shown_safely() -> None:
    hostile = "\\e[2J\\u202e" + "x" * 900
    broken = files(f'  - {{"{hostile}": 1, id: "{hostile}", effect: "{hostile}"}}\n')
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files(broken | {"p/\x1b[2J.py": ""}))
    assert len(caught.value.findings) >= 4
    for finding in caught.value.findings:
        assert str(finding).isprintable()
        assert len(str(finding)) < 2_000
