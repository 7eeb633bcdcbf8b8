"""The exact evaluator where the official suite says nothing, or where it matters for safety."""

from typing import Any

import pytest

from streams.policy.cel.checked_expression import (
    CheckedExpressionError,
    _any_pair,
    _pair,
    read_checked_expression,
)
from streams.policy.cel.exact import STEPS_MAX, UnsupportedExpressionError, compile_exact
from streams.policy.cel.tree import Call, Const, Expr, Ident, MakeStruct, StaticType, free_names, walk
from streams.policy.cel.values import INT_MAX, INT_MIN, CelMap, Duration, Timestamp, UInt, map_has
from streams.policy.errors import EvaluationError
from streams.policy.language.check import checker_for
from streams.policy.language.tool_types import UNTYPED

FAIL = object()


def value(text: str, **facts: Any) -> Any:
    tree = checker_for(UNTYPED.args, {}).check(text).tree
    try:
        return compile_exact(tree)(facts)
    except EvaluationError:
        return FAIL


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("args.missing == 1 || true", True),
        ("true || args.missing == 1", True),
        ("args.missing == 1 && false", False),
        ("false && args.missing == 1", False),
        ("args.missing == 1 || false", FAIL),
        ("args.missing == 1 && true", FAIL),
        ("args.missing == 1 || args.also == 1", FAIL),
        ("(args.missing == 1 ? true : false) || true", True),
        ("true ? true : args.missing == 1", True),
        ("!(args.missing == 1)", FAIL),
        ("[1, 2].exists(x, args.missing == 1 || x == 2)", True),
        ("[1, 2].exists(x, 1 / (x - 1) == 1)", True),
        ("[1, 2].exists(x, 1 / (x - 1) == 7)", FAIL),
        ("[1, 2].all(x, 1 / (x - 1) == 7)", False),
        ("[1, 2].all(x, 1 / (x - 1) == 1)", FAIL),
        ("[1, 2].exists_one(x, 1 / (x - 1) == 1)", FAIL),
        ("[1, 2].map(x, 1 / (x - 1)) == []", FAIL),
        ("[].all(x, args.missing == 1)", True),
        ("args.missing.all(x, true)", FAIL),
        ("cel.bind(x, args.missing == 1, true)", True),
        ("cel.bind(x, args.missing == 1, x || true)", True),
        ("[1].exists(x, true) && (cel.bind(b, true, b) || false)", True),
        ("args.s && true", FAIL),
        ("args.s || true", True),
        ("false && args.s", False),
        ("args.s ? true : false", FAIL),
    ],
)
def test_errors_are_absorbed_where_another_operand_decides(text: str, wanted: Any) -> None:
    assert value(text, args={"s": "text"}) is wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"{INT_MAX} + 0 == {INT_MAX}", True),
        (f"{INT_MAX} + 1 > 0", FAIL),
        (f"-({INT_MIN}) > 0", FAIL),
        (f"{INT_MIN} % -1 == 0", FAIL),
        ("7 / -2 == -3 && -7 % 3 == -1", True),
        ("1u - 2u == 0u", FAIL),
        ("0.0 / 0.0 == 0.0 / 0.0", False),
        ("1.0 / 0.0 > 1e308", True),
        ("dyn(1) == 1u && dyn(1u) == 1.0 && dyn(1) == 1.0", True),
        ("dyn(1) == dyn(true) || dyn(1) == dyn('1')", False),
        ("[1, 'a'] == [1.0, 'a']", True),
        ("dyn({1: 2}) == {1u: 2.0}", True),
        ("dyn({true: 1}) == {1: 1}", False),
        ("dyn(true) in {1: 1}", False),
        ("dyn(1.5) in {1: 1}", False),
        ("dyn([1]) in {1: 1}", False),
        ("{1: 'a', 1u: 'b'}[1] == 'a'", FAIL),
        ("size({'a': 1, 'b': 2}) == 2", True),
        ("'é'.size() == 1 && size(b'é') == 2", True),
        ("'abc' < 'abd' && 'Z' < 'a'", True),
        ("b'a' < b'b'", True),
        ("false < true", True),
        ("[1, 2][2] == 1", FAIL),
        ("[1, 2][-1] == 2", FAIL),
        ("dyn([1, 2])[1.0] == 2", True),
        ("int('9223372036854775808') == 0", FAIL),
        ("int(' 1') == 1", FAIL),
        ("int('1_0') == 10", FAIL),
        ("int('٣') == 3", FAIL),
        ("double('1_0') == 10.0", FAIL),
        ("double('0x10') == 16.0", FAIL),
        ("uint('-1') == 1u", FAIL),
        ("string(1.0) == '1'", True),
        ("string(1e100) == '1e+100'", True),
        ("bool('yes')", FAIL),
        ("duration('1h30m') == duration('90m') && duration('-1.5s') < duration('0')", True),
        ("duration('1') == duration('1s')", FAIL),
        ("duration('1h x') == duration('1h')", FAIL),
        ("timestamp('2024-02-30T00:00:00Z') == timestamp(0)", FAIL),
        ("timestamp('2024-01-01') == timestamp(0)", FAIL),
        ("timestamp('2024-01-01T00:00:00+01:00') == timestamp('2023-12-31T23:00:00Z')", True),
        ("timestamp('1970-01-01T00:00:00.5Z') - timestamp(0) == duration('500ms')", True),
        ("timestamp(0).getHours('Nowhere/Else') == 0", FAIL),
        ("timestamp(0).getHours('../../etc/passwd') == 0", FAIL),
        ("timestamp(0).getHours('+25:00') == 0", FAIL),
        ("timestamp(0).getHours('+02:30') == 2", True),
        # The example of the reference page, in winter and in summer.
        ("timestamp(1764061200000 / 1000).getHours('Europe/Berlin') == 10", True),
        ("timestamp(1751360400000 / 1000).getHours('Europe/Berlin') == 11", True),
        ("'a,b,c'.split(',', 2) == ['a', 'b,c'] && 'abc'.split('') == ['a', 'b', 'c']", True),
        ("'abc'.split('', 2) == ['a', 'bc'] && ['a', 'b'].join('-') == 'a-b'", True),
        ("dyn([1]).join() == '1'", FAIL),
        ("'%d'.format(['a']) == 'a'", FAIL),
        ("'%s'.format([]) == ''", FAIL),
        ("'%'.format([]) == '%'", FAIL),
        ("'%.101f'.format([1.0]) == ''", FAIL),
        ("'%s %x'.format([[1, 'a', null], 255]) == '[1, a, null] ff'", True),
        ("'x'.matches('(')", FAIL),
        ("'aaaa'.matches('^(a+)+$')", True),
        ("'Ab'.lowerAscii() == 'ab'", True),
        ("isIP('1.2.3.4') && !isIP('01.2.3.4') && !isIP('1.2.3')", True),
        ("ip('::1').isLoopback() && ip('::1').family() == 6", True),
        ("cidr('10.0.0.0/33').prefixLength() == 33", FAIL),
        ("cidr('10.0.0.0/08').prefixLength() == 8", FAIL),
        ("isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0')", True),
        ("ip('::ffff:10.0.0.1').family() == 4", FAIL),
        ("cidr('10.0.0.0/8').containsIP('::ffff:a00:1')", True),
        ("ip('224.0.0.5').isGlobalUnicast()", False),
        ("type(1) == int && type(1u) != int && type(type(1)) == type", True),
        ("type(null) == null_type", True),
        ("type(ip('1.1.1.1')) == net.IP && string(cidr('1.1.1.0/24')) == '1.1.1.0/24'", True),
    ],
)
def test_values(text: str, wanted: Any) -> None:
    assert value(text) is wanted


def test_missing_variables_are_errors() -> None:
    assert value("session.tainted") is FAIL
    assert value("session.tainted || true") is True
    assert value("session.tainted", session={}) is FAIL
    assert value("session.tainted", session=[1]) is FAIL
    assert value("has(session.model)", session="model") is FAIL


@pytest.mark.parametrize("odd", [object(), {1, 2}, 1j, lambda: 1, Ellipsis])
def test_values_from_elsewhere_are_errors(odd: object) -> None:
    for text in (
        "args.x > 1",
        "args.x + args.x == 2",
        "string(args.x) == 'a'",
        "args.x.all(y, true)",
        "type(args.x) == int",
    ):
        assert value(text, args={"x": odd}) is FAIL


def test_folds_have_a_bound() -> None:
    size = int(STEPS_MAX**0.5) + 1
    numbers = list(range(size))
    assert value("args.l.all(a, args.l.all(b, a + b >= 0))", args={"l": numbers[: size // 2]}) is True
    assert value("args.l.all(a, args.l.all(b, a + b >= 0))", args={"l": numbers}) is FAIL


def test_results_have_a_bound() -> None:
    text = "x" * 600_000
    assert value("size(args.t + args.t) > 0", args={"t": text}) is FAIL
    assert value("size(args.t.replace('x', 'yy')) > 0", args={"t": text}) is FAIL
    assert value("size([args.t, args.t].join()) > 0", args={"t": text}) is FAIL
    assert value("size('%s%s'.format([args.t, args.t])) > 0", args={"t": text}) is FAIL
    many = {"t": text, "l": list(range(3_000))}
    assert value("size(args.l.map(x, args.t).join()) > 0", args=many) is FAIL
    assert value("size('%s'.format([args.l.map(x, args.t)])) > 0", args=many) is FAIL
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert value("args.t == args.u", args={"t": deep, "u": [deep]}) is FAIL


def test_lone_surrogates_do_no_harm() -> None:
    for text in ("args.t.matches('a')", "bytes(args.t) == b''", "'%x'.format([args.t]) == ''"):
        assert value(text, args={"t": "\ud800"}) is FAIL
    assert value("size(args.t) == 1 && args.t != 'a'", args={"t": "\ud800"}) is True


def test_a_variable_of_a_fold_hides_and_a_dot_uncovers() -> None:
    tree = checker_for(UNTYPED.args, {}).check("['x'].all(t, .tenant == 'acme' && t == 'x')").tree
    assert compile_exact(tree)({"tenant": "acme"}) is True


def test_constants_come_before_facts() -> None:
    boolean = StaticType("bool")
    tree = Ident(boolean, 0, "lists.a")
    assert compile_exact(tree, {"lists.a": True})({"lists.a": False}) is True


def test_records_cannot_be_made() -> None:
    with pytest.raises(UnsupportedExpressionError):
        compile_exact(MakeStruct(StaticType("struct:X"), 0, "X"))


def test_unknown_functions_and_wrong_counts_are_errors() -> None:
    for tree in (
        Call(StaticType("bool"), 0, "nothing", False, (), ()),
        Call(StaticType("bool"), 0, "_==_", False, (Const(StaticType("int"), 0, 1),), ()),
    ):
        with pytest.raises(EvaluationError):
            compile_exact(tree)({})


def test_maps_tell_keys_apart_as_cel_does() -> None:
    table = CelMap([(1, "int"), (True, "bool"), ("1", "text")])
    assert (table[1], table[1.0], table[UInt(1)], table[True], table["1"]) == ("int", "int", "int", "bool", "text")
    assert not map_has(table, 1.5)
    assert list(table) == [1, True, "1"]
    for wrong in (1.5, None, [1], b"x"):
        with pytest.raises(EvaluationError):
            CelMap([(wrong, 1)])


def test_times_are_values() -> None:
    assert Timestamp(1) == Timestamp(1) != Duration(1)
    assert value("timestamp(now.ms / 1000).getDayOfWeek() == 2", now={"ms": 1_764_061_200_000}) is True


def test_free_names_stop_at_folds() -> None:
    tree = checker_for(UNTYPED.args, {}).check("provenance.exists(p, p.trust in user.scopes)").tree
    assert set(free_names(tree)) == {"provenance", "user"}
    assert all(isinstance(node, Expr) for node in walk(tree))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"\xff" * 20, b"\x22\x02\x10", b"\x22\x05\x10\x01", b"\x22\x04\x1a\x00\x10\x01", b"\x22\x02\x7a\x00",
     b"\x23\x00", b"\x21\x00", b"\x22\x06\x3a\x04\x0a\x02\x0a"],
)  # fmt: skip
def test_garbage_from_the_checker_is_refused(data: bytes) -> None:
    with pytest.raises((CheckedExpressionError, EvaluationError)):
        compile_exact(read_checked_expression(data))({})


@pytest.mark.parametrize("key", [0, 1, 127, 128, 300, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize(
    "value",
    [
        *(b"\x10\x00", b"\x10\x7f", b"\x10\xac\x02", b"\x12\x00", b"\x12\x03abc", b""),
        *(b"\x12\x80\x01" + bytes(128), b"\x10\x01\x10\x02", b"\x12\x01a\x12\x01b"),
    ],
)
def test_the_quick_way_to_read_an_entry_finds_what_the_general_way_finds(key: int, value: bytes) -> None:
    number, varint = key, bytearray()
    while number > 127:
        varint.append(number & 127 | 128)
        number >>= 7
    data = memoryview(b"\x08" + bytes([*varint, number]) + value)
    assert _pair(data) == _any_pair(data)


@pytest.mark.parametrize(
    "text",
    [
        "session.calls[args.s] == 1",
        "args.l[args.n] == 1",
        "args.s.matches(args.s)",
        "args.s.charAt(args.n) == ''",
        "args.s.substring(args.n) == ''",
        "args.s.format([1]) == ''",
        "{args.s: 1, args.s: 2} == {}",
        "timestamp(args.s) == timestamp(0)",
        "int(args.s) == 1",
        "ip(args.s).family() == 4",
    ],
)
def test_errors_do_not_tell_what_arguments_hold(text: str) -> None:
    tree = checker_for(UNTYPED.args, {}).check(text).tree
    facts = {"args": {"s": "secret%(", "n": 73_313, "l": []}, "session": {"calls": {}}}
    with pytest.raises(EvaluationError) as caught:
        compile_exact(tree)(facts)
    assert "secret" not in str(caught.value)
    assert "73313" not in str(caught.value)
