"""Advice on what functions are called with."""

from __future__ import annotations

import pytest

from streams.policy import check_bundle
from tests.unit.policy.rulefiles import rule, source


def advice(condition: str, before: str = "") -> list[str]:
    quoted = condition.replace('"', '\\"')
    found = check_bundle(source(rule(when=f'"{quoted}"'), before=before)).findings
    return [f"{finding.location.column} {finding.code}" for finding in found]


@pytest.mark.parametrize(
    "condition",
    [
        "url(args.u) == url('example.com')",
        "url(args.u).hostWithin(['*.example.com'])",
        "url(args.u).hostWithin('https://example.com')",
        "emailAddress(args.u).domainWithin(['@example.com'])",
        "path(args.p).within('srv')",
        "path(args.p).within(['/srv', '~/x'])",
        "path(args.p).matches('[a')",
        "path('../x', '/').within('/')",
        "glob('[').matches(args.p)",
        "semver(args.v).isLessThan('2.0')",
        "semver('v1.0.0').isLessThan('2.0.0')",
        "sql(args.q, 'oracle').statements.all(s, s.kind == 'select')",
        "emailAddress('a@b@c').domain() == args.d",
    ],
)
def test_a_constant_without_a_value(condition: str) -> None:
    assert [found.split()[1] for found in advice(condition)] == ["bad_argument"]


@pytest.mark.parametrize(
    "condition",
    [
        "url(args.u).hostWithin(['example.com', '10.0.0.1'])",
        "url(args.u).path().startsWith('[')",
        "emailAddress(args.u).domainWithin('example.com')",
        "path(args.p, '/srv').within(['/srv', '/data/'])",
        "path(args.p).matches('/srv/**/*.{py,md}')",
        "path('x', '/srv').within(args.r)",
        "glob('*(').matches(args.p)",
        "args.p.matches('^a')",
        "semver(args.v).isLessThan('2.0.0')",
        "sql(args.q, 'sqlite').statements.all(s, s.kind == 'select')",
        "shell(args.c).commands.all(c, c.name in ['ls'])",
    ],
)
def test_a_constant_with_a_value(condition: str) -> None:
    assert advice(condition) == []


def test_a_named_list_and_its_place() -> None:
    before = "lists: {own: [example.com, '*.example.org']}\n"
    assert advice("url(args.u).hostWithin(lists.own)", before) == ["35 bad_argument"]
    assert advice("url(args.u).hostWithin(lists.own)", before.replace("'*.example.org'", "example.org")) == []
    (finding,) = check_bundle(source(rule(when="url(args.u).hostWithin(lists.own)"), before=before)).findings
    assert "`hostWithin` fails with this argument: list of domains contains an item that is not a domain" in str(
        finding
    )
