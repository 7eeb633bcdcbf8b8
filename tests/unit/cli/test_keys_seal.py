"""`stoplog keys seal`: keys of gates, and the list of those whose seals count."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from streams.audit.seal_key_list import SealKeyList
from streams.audit.seal_keys import KeyState, derived_seal_key
from streams.cli.main import run
from streams.operations.signing_keys import load_key_file
from streams.sdk import SealKeyFile
from tests.unit.cli.conftest import Stoplog


def made(stoplog: Stoplog, *arguments: str) -> dict[str, object]:
    result = stoplog("keys", *arguments, "--json")
    assert result.status == 0, result.err
    (line,) = result.out.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_a_list_grows_and_keys_of_it_are_retired_and_revoked(stoplog: Stoplog) -> None:
    keys = [str(made(stoplog, "seal", "new", "--out", f"{name}.key")["public_key"]) for name in "ab"]
    holder = str(made(stoplog, "publisher", "new", "--out", "holder.key")["public_key"])
    assert made(stoplog, "seal", "list", "list.json", "--add", f"a={keys[0]}")["serial"] == 1
    assert made(stoplog, "seal", "list", "list.json", "--add", f"b={keys[1]}", "--deployment", "prod")["serial"] == 2
    changed = made(stoplog, "seal", "list", "list.json", "--retire", "a", "--revoke", "b", "--key", "holder.key")
    assert changed["serial"] == 3
    listed = SealKeyFile(Path("list.json"), holders={"ann": holder})()
    assert listed.deployment == "prod"
    assert {key.name: key.state for key in listed.keys.values()} == {"a": KeyState.RETIRED, "b": KeyState.REVOKED}
    # To look changes nothing, and a change drops the signature.
    assert made(stoplog, "seal", "list", "list.json") == changed
    key = str(made(stoplog, "seal", "new", "--out", "c.key")["public_key"])
    assert made(stoplog, "seal", "list", "list.json", "--add", f"c={key}")["signed_by"] == []
    assert SealKeyList.parse(Path("list.json").read_bytes()).serial == 4


def test_to_retire_a_key_lets_no_seal_count_again(stoplog: Stoplog) -> None:
    keys = [str(made(stoplog, "seal", "new", "--out", f"{name}.key")["public_key"]) for name in "ab"]
    added = [part for name, key in zip("ab", keys, strict=True) for part in ("--add", f"{name}={key}")]
    made(stoplog, "seal", "list", "list.json", *added)
    retired = made(stoplog, "seal", "list", "list.json", "--retire", "a", "--revoke", "b")
    listed = SealKeyList.parse(Path("list.json").read_bytes())
    refused = stoplog("keys", "seal", "list", "list.json", "--retire", "b")
    assert refused.status != 0
    assert "key `b` is revoked" in refused.err
    # What was sealed in the meantime with a key that was retired earlier does not count either.
    assert made(stoplog, "seal", "list", "list.json", "--retire", "a") == retired
    assert SealKeyList.parse(Path("list.json").read_bytes()) == listed
    assert {key.name: key.state for key in listed.keys} == {"a": KeyState.RETIRED, "b": KeyState.REVOKED}


def test_two_that_change_the_list_at_once_lose_no_change(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [str(made(stoplog, "seal", "new", "--out", f"{name}.key")["public_key"]) for name in "ab"]
    made(stoplog, "seal", "list", "list.json", "--add", f"a={keys[0]}")
    parse, other = (
        SealKeyList.parse,
        threading.Thread(target=run, args=(["keys", "seal", "list", "list.json", "--revoke", "a"],)),
    )

    def parse_beside_another(data: bytes) -> SealKeyList:
        if other.ident is None:
            other.start()
            other.join(timeout=1)  # for as long as it is not alone, which it is only without the lock
        return parse(data)

    monkeypatch.setattr(SealKeyList, "parse", parse_beside_another)
    made(stoplog, "seal", "list", "list.json", "--add", f"b={keys[1]}")
    other.join()
    listed = parse(Path("list.json").read_bytes())
    assert {key.name: key.state for key in listed.keys} == {"a": KeyState.REVOKED, "b": KeyState.ACTIVE}


def test_a_name_with_a_line_end_writes_no_line_of_its_own(stoplog: Stoplog) -> None:
    key = str(made(stoplog, "seal", "new", "--out", "a.key")["public_key"])
    name = f"a\n    active   gate  {key}"
    Path("list.json").write_text(json.dumps({"deployment": "", "serial": 1, "keys": [{"name": name, "key": key}]}))
    shown = stoplog("keys", "seal", "list", "list.json", "--no-json")
    assert shown.status == 0, shown.err
    assert [line.split()[0] for line in shown.out.splitlines()] == ["list", "active"]
    assert "\\x0a" in shown.out


def test_a_list_stays_readable_for_those_who_could_read_it(stoplog: Stoplog) -> None:
    keys = [str(made(stoplog, "seal", "new", "--out", f"{name}.key")["public_key"]) for name in "ab"]
    made(stoplog, "seal", "list", "list.json", "--add", f"a={keys[0]}")
    Path("list.json").chmod(0o644)
    before = os.umask(0o077)
    try:
        made(stoplog, "seal", "list", "list.json", "--add", f"b={keys[1]}", "--revoke", "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("list.json").stat().st_mode) == 0o644


def test_the_passphrase_of_the_holder_s_key_is_asked_for(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("word").write_text("correct horse\n")
    arguments = ("publisher", "new", "--out", "holder.key", "--passphrase-file", "word")
    holder = str(made(stoplog, *arguments)["public_key"])
    key = str(made(stoplog, "seal", "new", "--out", "a.key")["public_key"])
    # In place of a terminal, on which a person types it.
    monkeypatch.setattr("getpass.getpass", lambda *_prompt, **_stream: "correct horse")
    signed = stoplog("keys", "seal", "list", "list.json", "--add", f"a={key}", "--key", "holder.key", "--json")
    assert signed.status == 0, signed.err
    assert SealKeyFile(Path("list.json"), holders={"ann": holder})().keys


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--add", "nothing"], "write NAME=KEY, such as"),
        (["--add", "a=ed25519:x"], "is not a public key"),
        (["--retire", "a"], "the list has no key `a`"),
        ([], "`list.json` is not there, and lists no key yet; name the first one with `--add NAME=KEY`"),
    ],
)
def test_a_list_is_not_written_with_a_mistake(stoplog: Stoplog, arguments: list[str], why: str) -> None:
    result = stoplog("keys", "seal", "list", "list.json", *arguments)
    assert result.status != 0
    assert why in " ".join(result.err.split())
    assert not Path("list.json").exists()


def test_a_list_that_nobody_can_read_is_an_error(stoplog: Stoplog) -> None:
    Path("keys.json").write_bytes(b'{"keys": [{"name": "\xff"}]}')
    result = stoplog("keys", "seal", "list", "keys.json")
    assert result.status == 1
    assert "malformed" in result.err


def test_the_key_that_signs_is_shown(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
    made(stoplog, "new")
    derived = derived_seal_key(Path(".stoplog/root.key").read_bytes()).public
    assert made(stoplog, "seal", "show") == {"public_key": str(derived), "kid": derived.kid, "derived": True}
    own = str(made(stoplog, "seal", "new", "--out", "own.key")["public_key"])
    monkeypatch.setenv("STOPLOG_SEAL__KEY_FILE", "own.key")
    assert made(stoplog, "seal", "show")["public_key"] == own
    monkeypatch.delenv("STOPLOG_SEAL__KEY_FILE")
    monkeypatch.setenv("STOPLOG_SEAL__KEY_VARIABLE", "THE_KEY")
    monkeypatch.setenv("THE_KEY", Path("own.key").read_text())
    assert made(stoplog, "seal", "show")["public_key"] == own
    monkeypatch.setenv("THE_KEY", "nothing")
    assert "variable `THE_KEY` can't be used" in stoplog("keys", "seal", "show").err
    monkeypatch.setenv("STOPLOG_SEAL__KEY_FILE", "own.key")
    assert "name several keys" in stoplog("keys", "seal", "show").err
    assert load_key_file(Path("own.key")).public.kid


def test_the_keys_of_a_list_stand_below_each_other(stoplog: Stoplog) -> None:
    keys = [str(made(stoplog, "seal", "new", "--out", f"{name}.key")["public_key"]) for name in "ab"]
    made(stoplog, "seal", "list", "list.json", "--add", f"autumn={keys[0]}")
    made(stoplog, "seal", "list", "list.json", "--add", f"a={keys[1]}")
    lines = stoplog("keys", "seal", "list", "list.json", "--no-json").out.splitlines()[1:]
    assert len({line.index("ed25519:") for line in lines}) == 1
