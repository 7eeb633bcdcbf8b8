"""`stoplog audit prove` and `check-receipt` over what a real gate has decided, and the verifier that is one file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.audit import receipt_check
from streams.audit.receipt_check import RECORD_SCHEMAS, VERDICT_SCHEMAS, ReceiptError, check
from streams.audit.receipts import Receipt
from streams.audit.seal_keys import SealKeys
from streams.audit.signatures import SigningKey
from streams.codec.schemas import CommittedSchemas
from streams.model.topics import AUDIT, VERDICT
from tests.unit.cli.conftest import Result, Stoplog

Change = Callable[[dict[str, Any]], object]


def intent_of(site: Stoplog, outcome: str) -> str:
    """An intent of session `s-0` that was decided so."""
    told = site("audit", "session", "s-0", "--json").records
    return next(str(each["intent_id"]) for each in told if each["who"] == "gate" and each["what"].startswith(outcome))


def proven(site: Stoplog, outcome: str = "denied") -> dict[str, Any]:
    return site("audit", "prove", intent_of(site, outcome), "--out", "receipt.json", "--json").records[0]


@pytest.mark.parametrize("outcome", ["denied", "allowed"])
def test_a_receipt_holds_and_says_what_was_decided(site: Stoplog, outcome: str) -> None:
    made = proven(site, outcome)
    result = site("audit", "check-receipt", "receipt.json", "--key", made["key"], "--no-json")
    assert result.status == 0, result.out + result.err
    assert f"intent     {made['intent_id']}, session s-0" in result.out
    assert "the gate decided " + {"denied": "DENY", "allowed": "ALLOW"}[outcome] in result.out
    (record,) = site("audit", "check-receipt", "receipt.json", "--key", made["key"], "--json").records
    assert record["holds"] is True
    assert record["record"] == "receipt"
    assert record["verdict"]["intent_id"] == record["audit_event"]["intent_id"] == made["intent_id"]


def test_the_key_must_be_trusted(site: Stoplog) -> None:
    proven(site)
    stranger = str(SigningKey.made().public)
    result = site("audit", "check-receipt", "receipt.json", "--key", stranger, "--no-json")
    assert result.status == 1
    assert "not one that you trust" in result.out
    without = site("audit", "check-receipt", "receipt.json")
    assert without.status == 2
    assert "`--key KEY`" in without.err
    assert "`--keys FILE`" in without.err


def test_a_list_of_keys_is_trusted_but_for_revoked_ones(site: Stoplog) -> None:
    made = proven(site)
    assert site("keys", "seal", "list", "keys.json", "--add", f"gates={made['key']}", "--add", spare()).status == 0
    assert site("audit", "check-receipt", "receipt.json", "--keys", "keys.json").status == 0
    for command in (("audit", "check-receipt", "receipt.json"), ("audit", "verify")):
        wrong = site(*command, "--keys", "receipt.json")
        assert (wrong.status, wrong.err.partition(": the list")[0]) == (1, "error: `receipt.json` can't be used")
    assert site("keys", "seal", "list", "keys.json", "--revoke", "gates").status == 0
    assert site("audit", "check-receipt", "receipt.json", "--keys", "keys.json").status == 1


def test_the_keys_of_another_deployment_do_not_do(site: Stoplog) -> None:
    made = proven(site)
    listed = ("keys", "seal", "list", "other.json", "--add", f"gates={made['key']}", "--deployment", "test")
    assert site(*listed).status == 0
    result = site("audit", "check-receipt", "receipt.json", "--keys", "other.json", "--no-json")
    assert result.status == 1
    assert "of another deployment" in result.out


def test_a_list_counts_only_if_a_holder_has_signed_it_where_one_is_named(site: Stoplog) -> None:
    """Whoever may write the file of the list could otherwise add the key that has signed a forged receipt."""
    made = proven(site)
    holder = site("keys", "publisher", "new", "--out", "holder.key", "--json").records[0]["public_key"]
    assert site("keys", "seal", "list", "signed.json", "--add", f"gates={made['key']}").status == 0
    check_by_holder = ("audit", "check-receipt", "receipt.json", "--keys", "signed.json", "--holder", f"ann={holder}")
    unsigned = site(*check_by_holder)
    assert unsigned.status == 1
    assert "not signed by any of its holders" in unsigned.err
    assert site("keys", "seal", "list", "signed.json", "--key", "holder.key").status == 0
    assert site(*check_by_holder).status == 0
    assert site("audit", "check-receipt", "receipt.json", "--key", made["key"], "--holder", f"ann={holder}").status == 2


def spare() -> str:
    return f"spare={SigningKey.made().public}"


def run_alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of the verifier in an empty folder, where Python finds no other part of the package."""
    folder.mkdir(exist_ok=True)
    shutil.copy(receipt_check.__file__, folder / "receipt_check.py")
    blocked = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('streams', 'msgspec', 'typer'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "sys.argv = sys.argv[1:]\n"
        "exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'), {'__name__': '__main__'})\n"
    )
    command = [sys.executable, "-I", "-c", blocked, "receipt_check.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_one_file_checks_it_alone(site: Stoplog, home: Path, tmp_path: Path) -> None:
    made = proven(site)
    receipt = str(home / "receipt.json")
    alone = run_alone(tmp_path / "alone", receipt, "--key", made["key"])
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "the receipt holds" in alone.stdout
    assert "tainted mail to the outside" in alone.stdout
    assert run_alone(tmp_path / "alone", receipt, "--key", str(SigningKey.made().public)).returncode == 1
    assert run_alone(tmp_path / "alone", "receipt_check.py", "--key", made["key"]).returncode == 2


def test_its_verdict_has_the_form_that_executors_take(site: Stoplog, home: Path) -> None:
    made = proven(site, "allowed")
    receipt = json.loads((home / "receipt.json").read_text())["verdict"]["receipt"]
    msgspec.convert(receipt, Receipt).check(SealKeys.of({"k": made["key"]}))


@pytest.mark.parametrize("context", [["x"], "x", 7, True])
def test_a_context_of_another_form_proves_nothing_and_breaks_nothing(
    site: Stoplog, home: Path, tmp_path: Path, context: object
) -> None:
    made = proven(site)
    receipt = {**json.loads((home / "receipt.json").read_text()), "context": context}
    (home / "odd.json").write_text(json.dumps(receipt))
    alone = run_alone(tmp_path / "alone", str(home / "odd.json"), "--key", made["key"])
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "not proven, but on the log beside it" not in alone.stdout


def altered(receipt: dict[str, Any], at: tuple[str, ...], change: Callable[[Any], object]) -> bytes:
    copied: Any = json.loads(json.dumps(receipt))
    inner = copied
    for name in at[:-1]:
        inner = inner[name]
    inner[at[-1]] = change(inner[at[-1]])
    return json.dumps(copied).encode()


def other_text(text: str) -> str:
    """Another text of the same length, in the middle."""
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


@pytest.mark.parametrize(
    ("at", "change"),
    [
        *[((name, "receipt", "value"), other_text) for name in ("verdict", "record")],
        *[((name, "receipt", "signed_head"), other_text) for name in ("verdict", "record")],
        *[((name, "receipt", "index"), lambda index: index + 1) for name in ("verdict", "record")],
        *[((name, "receipt", "path"), lambda path: path[1:] or ["A" * 43 + "="]) for name in ("verdict", "record")],
        *[((name, "schema"), lambda text: text.replace('"outcome"', '"tuocome"')) for name in ("verdict", "record")],
        *[((name, "schema"), lambda _: "[" * 100_000) for name in ("verdict", "record")],
        (("origin",), lambda origin: f"{origin}1"),
        (("key",), lambda _: str(SigningKey.made().public)),
        (("format",), lambda _: "receipt"),
    ],
)
def test_whatever_is_changed_it_does_not_hold(
    site: Stoplog, home: Path, at: tuple[str, ...], change: Callable[[Any], object]
) -> None:
    proven(site)
    receipt = json.loads((home / "receipt.json").read_text())
    check(json.dumps(receipt).encode(), None)
    with pytest.raises(ReceiptError):
        check(altered(receipt, at, change), None)


def test_the_record_of_another_verdict_does_not_do(site: Stoplog, home: Path) -> None:
    proven(site)
    denied = json.loads((home / "receipt.json").read_text())
    proven(site, "allowed")
    allowed = json.loads((home / "receipt.json").read_text())
    with pytest.raises(ReceiptError, match="of another verdict"):
        check(json.dumps({**denied, "record": allowed["record"]}).encode(), None)


def test_knows_every_published_schema() -> None:
    locked = json.loads(Path("schemas/ids.lock.json").read_text())["subjects"]
    for topic, known in ((VERDICT, VERDICT_SCHEMAS), (AUDIT, RECORD_SCHEMAS)):
        versions = locked[f"{topic.name}-value"]["versions"]
        assert known == {each["sha256"]: each["id"] for each in versions}, "add the new version to receipt_check.py"
        assert CommittedSchemas.load().current(topic.name).id in known.values()


class TestWithinTheRequest:
    def judged(self, *origins: tuple[str, bool], **record: object) -> bool | None:
        return self.judgement(*origins, **record)[0]

    def judgement(self, *origins: tuple[str, bool], **record: object) -> tuple[bool | None, list[str]]:
        stated = [{"pointer": "/to", "origin": origin, "instructed": is_told} for origin, is_told in origins]
        verdict = {"outcome": "ALLOW", "reason": "permitted", "reason_text": "fine", "rules": [], "origins": stated}
        stated_record = {"user_request_commit": b"c" * 32, "approvals": [], **record}
        return receipt_check._judged(verdict, stated_record)

    def test_it_is_if_every_value_is_the_users_or_the_operators(self) -> None:
        assert self.judged(("USER", False), ("TRUSTED", False)) is True

    @pytest.mark.parametrize("origin", ["FIELD", "TEXT", "NOWHERE", "SOMETHING_NEW"])
    def test_it_is_not_shown_if_others_have_named_a_value(self, origin: str) -> None:
        assert self.judged(("USER", False), (origin, False)) is False

    def test_it_is_not_shown_if_a_text_has_asked_for_it(self) -> None:
        assert self.judged(("USER", True)) is False

    def test_a_fact_is_told_once(self) -> None:
        """A value can have several parts that come from the same kind of text."""
        _, facts = self.judgement(("TEXT", True), ("TEXT", True), ("USER", False))
        assert len(facts) == len(set(facts)) == 3

    def test_values_of_several_sources_are_told_as_parts(self) -> None:
        """Two statements about "the value" would contradict each other."""
        _, (_, *parts) = self.judgement(("NOWHERE", False), ("TEXT", True))
        assert [each.partition(" comes ")[0] for each in parts] == ["a part of the value at /to"] * 2
        _, (_, whole) = self.judgement(("USER", False))
        assert whole.startswith("the value at /to comes from the user's own words")

    def test_it_is_not_known_without_a_request_or_origins(self) -> None:
        assert self.judged(("USER", False), user_request_commit=None) is None
        assert self.judged() is None


def test_an_unknown_intent_is_an_error(site: Stoplog) -> None:
    result: Result = site("audit", "prove", "nothing-like-it", "--out", "r.json")
    assert result.status == 1
    assert "has no intent" in result.err
