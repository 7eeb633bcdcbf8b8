"""Located, strict YAML."""

import pytest

from streams.policy.errors import Findings, Location
from streams.policy.language.located_yaml import (
    NODES_MAX,
    MappingNode,
    Node,
    Scalar,
    SequenceNode,
    node_kind,
    read_yaml,
    to_python,
)


def read(text: str) -> tuple[Node | None, list[str]]:
    findings = Findings()
    return read_yaml("f.yaml", text, findings), [finding.code for finding in findings]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("false", False), ("null", None), ("~", None), ("", None), ("1", 1), ("-7", -7), ("+7", 7),
        ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"),
        ("True", "True"), ("0x10", "0x10"), ("0o7", "0o7"), ("012", "012"), ("1_000", "1_000"), ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"), (".inf", ".inf"), ("'1'", "1"), ('"true"', "true"), ("9" * 20, "9" * 20),
        ("|\n  a\n  b\n", "a\nb\n"), (">-\n  a\n  b\n", "a b"),
    ],
)  # fmt: skip
def test_plain_text_means_what_yaml_1_2_says(written: str, value: object) -> None:
    root, codes = read(f"k: {written}")
    assert codes == []
    assert isinstance(root, MappingNode)
    node = root.get("k")
    assert isinstance(node, Scalar)
    assert node.value == value
    assert type(node.value) is type(value)


def test_nodes_know_their_place() -> None:
    root, _ = read("a:\n  - b\n  - {c: d}\n")
    assert isinstance(root, MappingNode)
    inner = root.get("a")
    assert isinstance(inner, SequenceNode)
    assert [item.location for item in inner.items] == [Location("f.yaml", 2, 5), Location("f.yaml", 3, 5)]
    assert to_python(root) == {"a": ["b", {"c": "d"}]}
    assert root.get("z") is None
    assert str(inner.location) == "f.yaml:2:3"


def test_kinds_have_names() -> None:
    root, _ = read("{a: x, b: 1, c: true, d: ~, e: [], f: {}}")
    assert isinstance(root, MappingNode)
    assert [node_kind(node) for _, node in root] == [
        "text",
        "a number",
        "a boolean",
        "nothing",
        "a list",
        "a mapping",
    ]


def test_too_many_values_are_refused() -> None:
    root, codes = read("- " + "[" + "1," * (NODES_MAX + 1) + "]")
    assert root is None
    assert codes == ["too_many_nodes"]


def test_findings_are_bounded_and_in_order() -> None:
    findings = Findings()
    for line in range(2_000, 0, -1):
        findings.error("x", Location("f", line, 1), f"m{line}")
    assert len(findings.errors()) == 1_000
    assert [finding.location.line for finding in findings.sorted()][:2] == [1_001, 1_002]
