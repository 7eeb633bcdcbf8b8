"""Properties of bundles that hold for any order, any facts and any text."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.policy import BundleError, bundle_from_files, check_bundle, compile_bundle
from streams.policy.errors import Findings
from streams.policy.language.located_yaml import MappingNode, Scalar, read_yaml
from tests.starter import starter_fixtures, starter_source

STARTER = compile_bundle(starter_source())
FIXTURES = starter_fixtures()
HEAD = 'apiVersion: rules/v1\nbundle: b\nversion: "1"\n'
PARTS = (
    '  - {id: P, effect: permit, match: {tools: ["*"]}, when: "true", reason: p}\n',
    '  - {id: D, effect: deny, match: {tools: ["*"]}, when: session.tainted, reason: d}\n',
    '  - {id: Q, effect: quarantine, match: {tools: ["*"]}, when: session.risk > 3, reason: q}\n',
    '  - {id: A, effect: require_approval, approval: {group: g}, match: {tools: ["*"]}, when: session.risk > 2, '
    "reason: a}\n",
    '  - {id: W, effect: defer, match: {tools: ["*"]}, when: session.risk > 1, reason: w, defer: 5s}\n',
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def _ruleset(order: tuple[str, ...]) -> Any:
    text = "apiVersion: rules/v1\npack: p\nrules:\n" + "".join(order)
    return compile_bundle(bundle_from_files({"bundle.yaml": HEAD, "p/p.rules.yaml": text}))


def test_the_order_of_rules_never_matters() -> None:
    rulesets = [_ruleset(order) for order in itertools.islice(itertools.permutations(PARTS), 0, 120, 7)]
    for tainted, risk in itertools.product((True, False, None), (0, 2, 3, 4, None)):
        session = {"tainted": tainted, "risk": risk}
        session = {name: value for name, value in session.items() if value is not None}
        facts = {"tool": {"server_id": "s", "name": "t", "version": "1"}, "session": session}
        assert len({ruleset.evaluate(facts) for ruleset in rulesets}) == 1


@settings(max_examples=150, deadline=None)
@given(base=st.sampled_from(FIXTURES), name=st.sampled_from(sorted(FIXTURES[0])), value=json_values)
def test_odd_facts_never_raise(base: dict[str, Any], name: str, value: Any) -> None:
    result = STARTER.evaluate({**base, name: value})
    assert result.reason_text


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=300))
def test_any_text_is_a_bundle_or_refused_with_places(text: str) -> None:
    with pytest.raises(BundleError) as caught:
        compile_bundle(bundle_from_files({"bundle.yaml": text}))
    assert all(finding.location.line >= 1 and finding.location.column >= 1 for finding in caught.value.findings)


@settings(max_examples=150, deadline=None)
@given(when=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=60))
def test_any_condition_compiles_or_is_refused_at_its_line(when: str) -> None:
    rule = f'  - {{id: R, effect: permit, match: {{tools: ["*"]}}, reason: r, when: {json.dumps(when)}}}\n'
    files = {"bundle.yaml": HEAD, "p/p.rules.yaml": "apiVersion: rules/v1\npack: p\nrules:\n" + rule}
    errors = [finding for finding in check_bundle(bundle_from_files(files)).findings if finding.severity == "error"]
    assert {finding.location.path for finding in errors} <= {"p/p.rules.yaml"}
    assert all(finding.location.line >= 4 for finding in errors)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30),
    style=st.sampled_from(["plain", "single", "double", "literal"]),
    data=st.data(),
)
def test_a_character_is_found_where_it_stands(text: str, style: str, data: st.DataObject) -> None:
    written = {
        "plain": f"x{text.translate({ord(c): 'y' for c in '#:,[]{}&*!|>%@`'})}",
        "single": "'" + text.replace("'", "''") + "'",
        "double": json.dumps(text),
        "literal": f"|\n    z{text}",
    }[style]
    source = f"key:   {written}\n"
    findings = Findings()
    root = read_yaml("f", source, findings)
    assert isinstance(root, MappingNode), list(findings)
    scalar = root.get("key")
    assert isinstance(scalar, Scalar)
    offset = data.draw(st.integers(0, len(scalar.text.rstrip("\n")) - 1))
    at = scalar.at(offset)
    found = source.splitlines()[at.line - 1][at.column - 1]
    assert found == scalar.text[offset] or found in "\\'"


@given(files=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4))
def test_the_digest_names_the_files(files: dict[str, str]) -> None:
    digest = bundle_from_files(files).digest
    assert digest == bundle_from_files(dict(reversed(files.items()))).digest
    assert digest != bundle_from_files({**files, "extra": ""} if "extra" not in files else {}).digest
