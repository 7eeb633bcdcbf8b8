"""`stoplog attributes`: from a writer's key to what gates know, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.operations.attributes import entity_name, set_attributes
from streams.operations.operator import Operator
from streams.sdk.keys.key_files import load_key_file
from streams.wiring.operators import open_operator
from streams.wiring.settings_loading import load_settings
from tests.unit.cli.conftest import Stoplog

SETTINGS = """
tenant = "acme"
[attributes.writers]
crm = "{crm}"
desk = "{desk}"
[attributes.tenants]
desk = ["other"]
[attributes.kinds]
crm = ["customer"]
"""
SIGNED = ("--key", "crm.pem")


@pytest.fixture
def written(stoplog: Stoplog, home: Path) -> Stoplog:
    """A log on which two writers speak."""
    keys = {}
    for name in ("crm", "desk"):
        (made,) = stoplog("keys", "writer", "new", "--out", f"{name}.pem", "--json").records
        keys[name] = made["public_key"]
    (home / "stoplog.toml").write_text(SETTINGS.format(**keys))
    assert stoplog("topics", "apply").status == 0
    return stoplog


def test_who_replaces_what_another_one_has_set_at_the_same_time_is_told(
    written: Stoplog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert written("attributes", "set", "customer/C-1", "tier=gold", *SIGNED, "--as", "ann").status == 0
    assert written("attributes", "remove", "customer/C-1").status == 0
    assert written("attributes", "set", "customer/C-1", "tier=iron", *SIGNED, "--as", "ann").status == 0
    write, others = Operator.write, ["bob"]

    def late(own: Operator, *args: Any) -> None:
        while others:
            with open_operator(load_settings(), others.pop()) as other:
                name = entity_name("customer/C-1", "acme")
                set_attributes(other, name, {"suspended": True}, key=load_key_file(Path("crm.pem")))
        write(own, *args)

    monkeypatch.setattr(Operator, "write", late)
    done = written("attributes", "set", "customer/C-1", "limit:=500", *SIGNED, "--as", "ann")
    assert done.status == 1
    assert "the attributes are set, but bob has changed `customer/C-1` at the same time" in done.err
    (record,) = written("attributes", "show", "customer/C-1").records
    assert record["attributes"] == {"tier": "iron", "limit": 500}
    assert written("attributes", "set", "customer/C-1", "suspended:=true", *SIGNED, "--as", "ann").status == 0


def test_attributes_are_set_changed_shown_and_removed(written: Stoplog) -> None:
    result = written("attributes", "set", "customer/C-1", "tier=gold", "limit:=500", 'owners:=["ann","bo"]', *SIGNED,
                     "--as", "ann", "--why", "new contract", "--json")  # fmt: skip
    assert result.status == 0, result.err
    (record,) = written("attributes", "show", "customer/C-1", "--json").records
    assert record["attributes"] == {"tier": "gold", "limit": 500, "owners": ["ann", "bo"]}
    assert (record["known"], record["signed_by"], record["set_by"], record["reason"]) == (
        *(True, "crm", "ann", "new contract"),
    )
    assert 0 <= record["age_ms"] < 60_000

    assert written("attributes", "set", "customer/C-1", "limit:=null", "tier=007", *SIGNED).status == 0
    (record,) = written("attributes", "show", "customer/C-1", "--json").records
    assert record["attributes"] == {"tier": "007", "owners": ["ann", "bo"]}
    assert written("attributes", "set", "customer/C-1", "vip:=true", "--only", *SIGNED).status == 0
    assert written("attributes", "show", "customer/C-1").records[0]["attributes"] == {"vip": True}

    assert written("attributes", "remove", "customer/C-1").records == [
        {"tenant_uid": "acme", "kind": "customer", "id": "C-1", "removed": True}
    ]
    shown = written("attributes", "show", "customer/C-1")
    assert (shown.status, shown.records[0]["known"]) == (1, False)
    assert written("attributes", "remove", "customer/C-1").status == 1


def entries(out: str) -> list[str]:
    """Return the lines of records that `tail` has printed, without the headings of columns and days."""
    return [line for line in out.splitlines() if "C-1" in line or "A-1" in line]


def test_what_systems_have_written_can_be_followed(written: Stoplog) -> None:
    assert written("attributes", "set", "customer/C-1", "tier=gold", *SIGNED, "--as", "ann", "--why", "new").status == 0
    assert (
        written("attributes", "set", "account/A-1", "open:=true", "--tenant", "other", "--key", "desk.pem").status == 0
    )
    assert written("attributes", "remove", "customer/C-1").status == 0
    tail = ("tail", "attributes", "--no-follow")
    *set_, removal = written(*tail).records
    assert [(record["record"], record["key"]) for record in set_] == [
        ("attributes", "acme|customer/C-1"),
        ("attributes", "other|account/A-1"),
    ]
    assert set_[0]["value"]["attributes_json"] == '{"tier":"gold"}'
    assert (removal["record"], removal["key"]) == ("removal", "acme|customer/C-1")
    first, other, last = entries(written(*tail, "--no-json").out)
    assert 'customer/C-1           {"tier":"gold"} of customer/C-1, tenant acme, by ann: new' in first
    assert "REMOVED" in last
    assert "all attributes of customer/C-1, tenant acme" in last
    assert entries(written(*tail, "--no-json", "--tenant", "other").out) == [other]


def test_for_a_person_it_is_a_few_lines(written: Stoplog) -> None:
    set_ = ("attributes", "set", "customer/C-1", "tier=gold", "limit:=500", "--observed", "2026-01-31T09:00:00Z")
    text = written(*set_, *SIGNED, "--as", "ann", "--why", "asked", "--no-json").out
    assert text.splitlines()[0].startswith("customer/C-1 of tenant acme is set: recorded on the ")
    lines = written("attributes", "show", "customer/C-1", "--no-json").out.splitlines()
    assert lines[:3] == ["customer/C-1 of tenant acme", "  limit  500", "  tier   gold"]
    assert lines[3].startswith("known since 2026-01-31 09:00:00 UTC (")
    assert lines[4] == "set by ann, signed by crm, at offset 0: asked"


@pytest.mark.parametrize(
    ("args", "status", "fault"),
    [
        (
            ("customer/C-1", "tier=gold"),
            1,
            "are not signed; sign with `stoplog attributes set KIND/ID NAME=TEXT --key FILE`",
        ),
        (("customer/C-1", "tier=gold", "--key", "desk.pem"), 1, "`desk`, who may not speak for tenant `acme`"),
        (("account/A-1", "tier=gold", *SIGNED), 1, "`crm`, who may not speak about them (setting `attributes.kinds`)"),
        (("customer", "tier=gold", *SIGNED), 2, "`customer` names no entity: write KIND/ID"),
        (("Customer/1", "tier=gold", *SIGNED), 2, "kind `Customer` is not a name"),
        (("customer/C-1", "gold", *SIGNED), 2, "`gold` is not of the form `name=text` or `name:=JSON`"),
        (("customer/C-1", "limit:=1.5", *SIGNED), 2, "`limit:=1.5`: attribute `limit` must be text, a whole number"),
        (("customer/C-1", "limit:=x", *SIGNED), 2, "`limit:=x`: not JSON"),
        (("customer/C-1", f"note={'x' * 9000}", *SIGNED), 1, "at most 8192 are accepted"),
        (
            ("customer/C-1", "tier=gold", "--observed", "yesterday", *SIGNED),
            2,
            "`--observed`: `yesterday` is not",
        ),
    ],
)
def test_what_would_not_count_is_not_written(written: Stoplog, args: tuple[str, ...], status: int, fault: str) -> None:
    result = written("attributes", "set", *args)
    assert result.status == status
    assert fault in result.err
    assert written("attributes", "show", "customer/C-1").records[0]["known"] is False


def test_of_another_tenant_only_by_a_writer_who_may_speak_for_it(written: Stoplog) -> None:
    assert (
        written("attributes", "set", "account/A-1", "open:=true", "--tenant", "other", "--key", "desk.pem").status == 0
    )
    assert written("attributes", "show", "account/A-1", "--tenant", "other").records[0]["signed_by"] == "desk"
    assert written("attributes", "show", "account/A-1").records[0]["known"] is False


def lines(*values: object) -> str:
    return "".join(value if isinstance(value, str) else json.dumps(value) + "\n" for value in values)


def test_a_file_is_imported_as_a_whole(written: Stoplog, home: Path) -> None:
    made = [{"kind": "customer", "id": f"C-{n}", "attributes": {"n": n}} for n in range(1_203)]
    made[7]["observed_at"] = "2026-01-31T09:00:00Z"
    (home / "all.jsonl").write_text(lines(*made, "\n"))
    result = written("attributes", "import", "all.jsonl", *SIGNED, "--json")
    assert result.records == [{"imported": 1_203}]
    (record,) = written("attributes", "show", "customer/C-1202").records
    assert (record["attributes"], record["set_by"], record["signed_by"]) == ({"n": 1_202}, None, "crm")
    assert written("attributes", "show", "customer/C-7").records[0]["since_ms"] == 1_769_850_000_000


def test_a_file_with_a_bad_line_is_not_imported_at_all(written: Stoplog, home: Path) -> None:
    good = {"kind": "customer", "id": "C-1", "attributes": {}}
    bad = lines(
        good,
        "not json\n",
        {**good, "attributes": {"a": 1.5}},
        {**good, "attributes": [1]},
        {"kind": "customer", "attributes": {}},
        {**good, "kind": "X"},
        {**good, "color": "red"},
        {**good, "observed_at": "today"},
        '{"kind": "customer", "kind": "x", "id": "C-1", "attributes": {}}\n',
    )
    (home / "bad.jsonl").write_text(bad)
    result = written("attributes", "import", "bad.jsonl", *SIGNED)
    assert result.status == 1
    assert "nothing was written:" in result.err
    for number in range(2, 10):
        assert f"bad.jsonl:{number}: " in result.err
    assert "bad.jsonl:1: " not in result.err
    assert written("attributes", "show", "customer/C-1").records[0]["known"] is False
    assert written("attributes", "import", "missing.jsonl", *SIGNED).status == 1


def test_without_signatures_where_the_settings_need_none(stoplog: Stoplog, home: Path) -> None:
    assert stoplog("topics", "apply").status == 0
    result = stoplog("attributes", "set", "customer/C-1", "tier=gold")
    assert (result.status, "no writer is configured" in result.err) == (1, True)
    (home / "stoplog.toml").write_text("[attributes]\nallow_unsigned = true\n")
    assert stoplog("attributes", "set", "customer/C-1", "tier=gold").status == 0
    assert stoplog("attributes", "show", "customer/C-1").records[0]["signed_by"] is None


def test_a_record_that_does_not_count_is_shown_as_such_and_can_be_replaced(written: Stoplog, home: Path) -> None:
    signed_settings = (home / "stoplog.toml").read_text()
    (home / "stoplog.toml").write_text('tenant = "acme"\n[attributes]\nallow_unsigned = true\n')
    assert written("attributes", "set", "customer/C-1", "tier=gold").status == 0
    (home / "stoplog.toml").write_text(signed_settings)
    shown = written("attributes", "show", "customer/C-1", "--no-json")
    assert shown.status == 1
    assert "its newest record does not count, so rules that read it deny: the attributes of" in shown.out
    result = written("attributes", "set", "customer/C-1", "limit:=1", *SIGNED)
    assert (result.status, "state all attributes, with `--only`" in result.err) == (1, True)
    assert written("attributes", "set", "customer/C-1", "limit:=1", "--only", *SIGNED).status == 0


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ('tenants = {crm = ["acme"]}', "`tenants` names `crm`, who is not among the `writers`"),
        ('kinds = {crm = ["customer"]}', "`kinds` names `crm`, who is not among the `writers`"),
        ('writers = {crm = "x"}', "writer `crm`: `x` is not a public key"),
        ("bytes_max = 5", "greater than or equal to 1048576"),
    ],
)
def test_settings_that_are_wrong_are_named(stoplog: Stoplog, home: Path, section: str, fault: str) -> None:
    assert stoplog("topics", "apply").status == 0
    (home / "stoplog.toml").write_text(f"[attributes]\n{section}\n")
    result = stoplog("attributes", "set", "customer/C-1", "tier=gold")
    assert (result.status, fault in result.err) == (2, True), result.err
