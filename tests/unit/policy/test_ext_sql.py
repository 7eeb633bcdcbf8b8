"""`sql()`: what statements there are, and what they touch."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.unit.policy.conditions import error, value


def statement(text: str, dialect: str = "postgres") -> dict[str, Any]:
    (only,) = value("sql(args.q, args.d).statements", q=text, d=dialect)
    return dict(only)


@pytest.mark.parametrize(
    ("text", "kinds", "tables", "writes"),
    [
        ("select 1", "select", "", ""),
        ("select * from a", "select", "a", ""),
        ("SELECT * FROM Public.A x JOIN b ON x.i = b.i, c", "select", "b c public.a", ""),
        ("select * from a where i in (select i from b) order by (select 1 from c)", "select", "a b c", ""),
        ("select 1 from a union select 2 from b except select 3 from c", "select", "a b c", ""),
        ("select * from a, lateral (select * from b) x", "select", "a b", ""),
        ("table a", "select", "a", ""),
        ("(select * from a)", "select", "a", ""),
        ("with x as (select * from a) select * from x", "select", "a", ""),
        ("with x as (select 1), y as (select * from x) select * from y, b", "select", "b", ""),
        ("with a as (select * from a) select * from a", "select", "a", ""),
        ("with recursive x as (select 1 from a union select 1 from x) select * from x", "select", "a", ""),
        ("select * from (with a as (select 1) select * from a) x join a on true", "select", "a", ""),
        ("with a as (select 1) select * from s.a", "select", "s.a", ""),
        ("with a as (select 1) delete from a where i = 1", "delete", "a", "a"),
        ('with "A" as (select 1) select * from a', "select", "a", ""),
        ("with x as (delete from a where i = 1 returning *) select * from x", "select delete", "a", "a"),
        ("select * into b from a", "select create", "a b", "b"),
        ("insert into a (i) select i from b", "insert", "a b", "a"),
        ("insert into a values (1) on conflict (i) do update set i = (select 1 from b)", "insert update", "a b", "a"),
        ("update a set i = 1 from b where a.i = b.i", "update", "a b", "a"),
        ("delete from a using b where a.i = b.i", "delete", "a b", "a"),
        ("merge into a using b on a.i = b.i when matched then delete", "merge", "a b", "a"),
        ("create table a as select * from b", "create", "a b", "a"),
        ("drop table a, b", "drop", "a b", "a b"),
        ("alter table a add column i int", "alter", "a", "a"),
        ("truncate a, b", "truncate", "a b", "a b"),
        ("begin", "begin", "", ""),
        ('select * from "Users"', "select", "Users", ""),
        ("select * from a -- a comment\n where i = 1 /* another */", "select", "a", ""),
    ],
)
def test_statements(text: str, kinds: str, tables: str, writes: str) -> None:
    found = statement(text)
    assert found["kind"] == kinds.partition(" ")[0]
    assert set(found["kinds"]) == set(kinds.split())
    assert sorted(found["tables"]) == tables.split()
    assert sorted(found["writes"]) == writes.split()


def test_several_statements() -> None:
    found = value("sql(args.q, 'postgres').statements.map(s, s.kind)", q="select 1; drop table a; -- x\n")
    assert list(found) == ["select", "drop"]
    assert value("sql(args.q, 'postgres').statements.all(s, s.kind == 'select')", q="select 1; drop table a") is False


def test_functions() -> None:
    found = statement("select count(*), pg_sleep(5), s.f(1), x::int from g(2) as t where a and b")
    assert set(found["functions"]) == {"count", "pg_sleep", "f", "g"}
    assert statement("select load_extension('x')", "sqlite")["functions"] == ("load_extension",)


def test_changes_without_a_condition() -> None:
    assert statement("delete from a")["unfiltered"] is True
    assert statement("update a set i = 1")["unfiltered"] is True
    assert statement("delete from a where i = 1")["unfiltered"] is False
    assert statement("with x as (delete from a returning *) select * from x")["unfiltered"] is True
    assert statement("select * from a")["unfiltered"] is False


def test_dialects() -> None:
    assert statement("select `a`.`b` from `X`.`Y`", "mysql")["tables"] == ("x.y",)
    assert statement("select * from [A b]", "sqlite")["tables"] == ("a b",)
    assert set(statement("update a join b on a.i = b.i set b.i = 1", "mysql")["writes"]) == {"a", "b"}
    assert error("sql('select 1', args.d).statements.all(s, true)", d="oracle").startswith("dialect must be one of")


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("postgres", ""),
        ("postgres", ";"),
        ("postgres", "-- nothing"),
        ("postgres", "selec 1"),
        ("postgres", "select ("),
        ("postgres", "select 'a"),
        ("postgres", "call f()"),
        ("postgres", "do $$ begin end $$"),
        ("postgres", "copy a to program 'rm x'"),
        ("postgres", "set role admin"),
        ("postgres", "grant all on a to b"),
        ("postgres", "explain analyze delete from a"),
        ("postgres", "vacuum"),
        ("postgres", "notify x"),
        ("postgres", "create function f() returns int language sql as 'delete from a'"),
        ("postgres", "select 'a\\'; drop table b; -- '"),
        ("postgres", "select E'\\x41'"),
        ("postgres", "select $x$; drop table b; $x$"),
        ("postgres", "select 1 /* /* */ ; drop table b; -- */"),
        ("mysql", "select 1 /*! ; drop table b */"),
        ("mysql", "select 1 /*+ x */"),
        ("mysql", "select 1 /*M! ; drop table b */"),
        ("mysql", "select 1 --1"),
        ("mysql", "select * from a into outfile '/tmp/x'"),
        ("mysql", "load data infile 'x' into table a"),
        ("sqlite", "pragma writable_schema = 1"),
        ("sqlite", "attach database 'x' as y"),
        ("sqlite", "create trigger t after insert on a begin delete from b; end"),
        ("postgres", "select 1\x00"),
        ("postgres", "select\u00a01"),
        ("postgres", "select '\ud800'"),
        ("postgres", 'select * from "a.b"'),
    ],
)
def test_what_is_not_certain_is_an_error(dialect: str, text: str) -> None:
    problem = error("sql(args.q, args.d).statements.all(s, true)", q=text, d=dialect)
    assert len(text) < 12 or text not in problem


def test_bounds() -> None:
    everything = "sql(args.q, 'postgres').statements.all(s, true)"
    many = " or ".join(f"i = {n}" for n in range(300))
    assert value(everything, q=f"select * from a where {many}") is True  # noqa: S608 - it is only read
    assert value("size(sql(args.q, 'postgres').statements)", q="select 1;" * 50) == 50
    for hostile in ("select 1;" * 51, "select " + "(" * 40, "select " + "a," * 4_000, "select " + "f(" * 31 + ")" * 31,
                    "select " + "1," * 1_600 + "1", "select join ? " + "join ? " * 700, "select " + "not " * 1_400,
                    "select " + "- " * 1_400, "select " + "case when " * 700, "with a as (" * 25):  # fmt: skip
        error(everything, q=hostile)
    for odd in (1, None, ["select 1"]):
        assert error(everything, q=odd).startswith("no such overload")


def test_nothing_of_a_statement_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        error("sql(args.q, 'postgres').statements.all(s, true)", q="lock table secret_name_1")
        error("sql(args.q, 'postgres').statements.all(s, true)", q="selec secret_name_2")
    assert "secret_name" not in caplog.text


@pytest.mark.parametrize(
    "condition",
    ["true", "1", "1 = 1", "not false", "'a' = 'a'", "id = id", "t.id = t.id", "id >= id", "id is not null",
     "not (id is null)", "id > 0", "0 < id", "id >= -1", "id > ''", "not (id <= 0)", "id = 5 or true",
     "id = 5 or id != 5",
     "not (id = 5 and false)", "name like '%'", "name like name", "id != 0", "id not in (0)", "not id = 0", "(true)",
     "exists (select 1)", "exists (select 1 from t)", "id in (select id from t)",
     "id in (select id from s.t where true)",
     "coalesce(id, 1) = coalesce(id, 1)", "(id = id) = true", "current_date > '2000-01-01'", "id not between 1 and 2"],
)  # fmt: skip
def test_a_condition_that_restricts_nothing_is_none(condition: str) -> None:
    for text in (f"delete from t where {condition}", f"update s.t set a = 1 where {condition}"):  # noqa: S608 - only read
        assert value("sql(args.t, 'postgres').statements[0].unfiltered", t=text) is True, text


@pytest.mark.parametrize(
    "condition",
    ["id = 5", "t.id = 5", "5 = id", "id in (1, 2)", "id between 1 and 2", "id is null", "not (id is not null)",
     "id > 5",
     "created < '2020-01-01'", "name like 'a%'", "id = 5 and true", "id = 5 or id = 6", "not (id != 5)", "active",
     "id in (select user_id from banned)", "id in (select id from t where name = 'x')", "lower(name) = 'x'",
     "exists (select 1 from o where o.id = t.id)", "not (id != 5 or true and id != 6)", "not active", "t.id = o.id"],
)  # fmt: skip
def test_a_condition_that_restricts_rows_is_one(condition: str) -> None:
    for text in (f"delete from t where {condition}", f"update s.t set a = 1 where {condition}"):  # noqa: S608 - only read
        assert value("sql(args.t, 'postgres').statements[0].unfiltered", t=text) is False, text


@pytest.mark.parametrize(
    ("text", "unfiltered", "kinds"),
    [
        ("merge into t using s on true when matched then delete", True, ("merge",)),
        ("merge into t using s on t.id = s.id when matched then update set a = 1", False, ("merge", "update")),
        ("insert into t values (1) on conflict (id) do update set a = 1", False, ("insert", "update")),
        ("insert into t select * from t on conflict (id) do update set a = 1", True, ("insert", "update")),
        (
            "insert into t select * from t where id = 5 on conflict (id) do update set a = 1",
            False,
            ("insert", "update"),
        ),
        ("insert into t values (1) on conflict do nothing", False, ("insert",)),
        ("insert into t select * from t", False, ("insert",)),
    ],
)
def test_statements_that_change_rows_on_a_condition(text: str, unfiltered: bool, kinds: tuple[str, ...]) -> None:
    (statement,) = value("sql(args.t, 'postgres').statements", t=text)
    assert (statement["unfiltered"], statement["kinds"]) == (unfiltered, kinds)


def test_names_with_invisible_characters_are_an_error() -> None:
    for character in "\u200b\u00ad\u202e\u2060\ufeff":
        error("sql(args.t, 'postgres').statements.all(s, true)", t=f"select 1 from us{character}ers")  # noqa: S608 - only read


@pytest.mark.parametrize(
    "condition",
    [
        "id = id + 0",
        "id = (id)",
        "id in (id, 5)",
        "id = any(select id from t)",
        "id in (select b.id from t b where b.id = t.id)",
        "exists (select 1 from t b where b.id = t.id and b.name = t.name)",
        "case when id = 5 then true else true end",
        "case when id = 5 then 1 else 1 end = 1",
        "name like '%' || '%'",
        "name like '%' escape '!'",
        "name ~ '.*'",
        "name ~ 'x|^'",
        "name similar to '%'",
        "regexp_like(name, '.*')",
        "id < 5 or id >= 5",
        "id <= 5 or a = 7 or 5 < id",
        "a is true or a is false",
        "id - id = 0",
        "id * 0 = 0",
        "id % 1 = 0",
        "nullif(id, id) is null",
        "(id = 5) in (true, false)",
        "(id = 5) >= false",
        "name > ' '",
    ],
)
def test_conditions_of_further_forms_that_restrict_nothing(condition: str) -> None:
    text = "delete from t where " + condition  # noqa: S608 - it is only read
    assert statement(text)["unfiltered"] is True


@pytest.mark.parametrize(
    "condition",
    [
        "(id = 5) = true",
        "id % 2 = 0",
        "id < 5 or id > 10",
        "id > 10 or id < -10",
        "a is true or a is null",
        "name ~ '^a'",
        "name ~ 'a|b'",
        "name like $1",
        "name like b.pattern",
        "id = any(select id from b)",
        "id = any(array[1, 2])",
        "exists (select 1 from b where b.id = t.id)",
        "id in (select b.id from t b where b.id = t.id and b.a = 5)",
        "coalesce(a, b) = 5",
        "now() between a and b",
        "a = b",
    ],
)
def test_conditions_of_further_forms_that_restrict_rows(condition: str) -> None:
    text = "delete from t where " + condition  # noqa: S608 - it is only read
    assert statement(text)["unfiltered"] is False


def test_a_table_that_is_merged_with_itself_is_not_restricted_by_its_key() -> None:
    text = "merge into t using {} s on t.id = s.id when matched then delete"
    assert statement(text.format("t"))["unfiltered"] is True
    assert statement(text.format("b"))["unfiltered"] is False


def test_tables_and_settings_that_are_read_in_other_ways() -> None:
    assert statement("select * from a where i in b", "sqlite")["tables"] == ("b", "a")
    assert statement("select 1 in main.B", "sqlite")["tables"] == ("main.b",)
    assert statement("select 1 in (b)", "sqlite")["tables"] == ()
    assert statement("select @@GLOBAL.datadir, @@version", "mysql")["functions"] == ("@@version", "@@datadir")
