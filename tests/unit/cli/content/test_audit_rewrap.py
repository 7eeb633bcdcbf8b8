"""`stoplog audit rewrap` over what a real gate has captured: another key opens it, and nothing else changes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer
from threading import Thread

import msgspec
import pytest
from msgspec.structs import replace

from streams.model.audit import AuditEvent
from streams.model.content import ContentKey, content_key_key
from streams.model.topics import AUDIT_REPORTED, CONTENT_KEY, Topic
from streams.model.types import Header, Record
from streams.operations.contents import erasing as erasing_module
from streams.operations.contents import rewrapping as rewrapping_module
from streams.operations.operator import Operator
from streams.operations.signing_keys import make_content_key_file
from streams.sdk.errors import PublishError
from streams.sdk.keys.key_files import load_key_file
from streams.wiring.contents import ATTEMPTS_MAX
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.content.captured_site import configure_content, erasing, reading, write
from tests.unit.cli.recorded_site import records_of

Placed = Sequence[tuple[int, bytes, Record, Header]]


@pytest.fixture
def site(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Stoplog:
    """The settings name a new key; what was captured is wrapped with the one before."""
    configure_content(monkeypatch, folder)
    (folder / "acme.pem").rename(folder / "old.pem")
    make_content_key_file(folder / "new.pem")
    shutil.copy(folder / "new.pem.pub", folder / "acme.pem.pub")
    return stoplog


def rewrapping(folder: Path, *more: str) -> tuple[str, ...]:
    key = str(folder / "old.pem")
    return ("audit", "rewrap", "--key", key, "--why", "new key of the year", "--as", "ann", "--json", *more)


def read_with(folder: Path, name: str, session: str = "s-0") -> tuple[str, ...]:
    return tuple(str(folder / name) if each.endswith("acme.pem") else each for each in reading(folder, session))


def keys() -> dict[str, ContentKey]:
    """The newest key of each session."""
    return {each.session_id: each for each in records_of(CONTENT_KEY.name) if isinstance(each, ContentKey)}


def test_the_new_key_opens_everything_and_the_old_one_nothing(site: Stoplog, folder: Path) -> None:
    before = keys()
    texts = [each["text"] for each in site(*read_with(folder, "old.pem")).records]
    assert all(texts)
    to_wrap, done = site(*rewrapping(folder)).records
    assert (to_wrap["keys"], done["keys"], done["left"]) == (2, 2, {})
    assert {each.key.kek for each in keys().values()} == {done["kek"]} != {to_wrap["kek"]}
    assert [each["text"] for each in site(*read_with(folder, "new.pem")).records] == texts
    old = site(*read_with(folder, "old.pem"))
    assert old.status == 1
    assert [each["text"] for each in old.records] == [None] * 4
    # The age of content, which its retention depends on, is as it was.
    assert {name: key.header.time for name, key in keys().items()} == {
        name: key.header.time for name, key in before.items()
    }
    left = b"".join(path.read_bytes() for path in (folder / "state").glob("log.sqlite*"))
    assert not any(key.key.wrapped[:64] in left for key in before.values())
    assert site("audit", "verify", "--json").status == 0


def test_it_is_on_the_record_with_its_reason(site: Stoplog, folder: Path) -> None:
    assert site(*rewrapping(folder)).status == 0
    (told,) = [
        each for each in records_of(AUDIT_REPORTED.name) if getattr(each, "reason", "") == "content_keys_rewrapped"
    ]
    assert isinstance(told, AuditEvent)
    assert told.act.sub == "ann"
    assert told.reason_text is not None
    assert told.reason_text.startswith("2 keys, to be wrapped with rsa:")
    assert told.reason_text.endswith(": new key of the year")
    refused = site("audit", "rewrap", "--key", str(folder / "old.pem"), "--why", " ")
    assert "a reason must not be empty" in refused.err


def test_a_tenant_without_keys_is_told_so_and_not_what_to_destroy(site: Stoplog, folder: Path) -> None:
    told = site(*rewrapping(folder, "--tenant", "nobody", "--no-json"))
    assert told.status == 0
    assert "tenant nobody has no keys on the log; name another one with --tenant" in told.out
    assert "destroy" not in told.out


def test_tenants_with_the_same_key_are_named(site: Stoplog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = next(iter(keys().values())).header.tenant_uid
    (other,) = site(*rewrapping(folder, "--tenant", "nobody", "--dry-run")).records
    assert other == {"record": "other_tenant", "tenant_uid": tenant, "keys": 2}
    shown = site(*rewrapping(folder, "--tenant", "nobody", "--dry-run", "--no-json"))
    assert f"tenant {tenant} has the same key in `content.keys`, and 2 keys to be wrapped with it" in shown.out
    public = str(folder / "acme.pem.pub")
    shutil.copy(public, folder / "other.pub")
    stated = {"nobody": public, tenant: str(folder / "other.pub")}
    monkeypatch.setenv("STOPLOG_CONTENT__KEYS", msgspec.json.encode(stated).decode())
    assert site(*rewrapping(folder, "--tenant", "nobody", "--dry-run")).records == []


def test_a_dry_run_and_a_second_run_change_nothing(site: Stoplog, folder: Path) -> None:
    before = keys()
    (planned,) = site(*rewrapping(folder, "--dry-run")).records
    assert (planned["record"], planned["keys"]) == ("to_wrap", 2)
    assert keys() == before
    assert site(*rewrapping(folder)).status == 0
    after = keys()
    (again,) = site(*rewrapping(folder)).records
    assert (again["keys"], again["left"]) == (0, {})
    assert keys() == after
    shown = site("audit", "rewrap", "--key", str(folder / "old.pem"), "--why", "x", "--dry-run", "--no-json")
    assert "2 keys of tenant default already wrapped with rsa:" in shown.out


def test_a_dry_run_needs_no_private_key(site: Stoplog, folder: Path) -> None:
    (folder / "old.pem").unlink()
    (planned,) = site("audit", "rewrap", "--why", "x", "--dry-run", "--json").records
    assert (planned["record"], planned["keys"]) == ("to_wrap", 2)
    assert site("audit", "rewrap", "--why", "x", "--json").status == 1


def test_it_goes_on_where_it_was_interrupted(site: Stoplog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_at, calls = Operator.write_at, []

    def failing(self: Operator, topic: Topic, records: Placed) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise PublishError("the brokers are away")
        write_at(self, topic, records)

    monkeypatch.setattr(rewrapping_module, "KEYS_AT_ONCE", 1)
    monkeypatch.setattr(Operator, "write_at", failing)
    assert site(*rewrapping(folder)).status == 1
    # Each session opens with one key of the two, and none with neither.
    opened = {name: bool(site(*read_with(folder, "new.pem", name)).records[0]["text"]) for name in ("s-0", "s-1")}
    assert sorted(opened.values()) == [False, True]
    for name, is_done in opened.items():
        assert site(*read_with(folder, "new.pem" if is_done else "old.pem", name)).records[0]["text"]
    assert site(*rewrapping(folder)).records[-1]["keys"] == 1
    assert all(site(*read_with(folder, "new.pem", name)).records[0]["text"] for name in opened)


def test_what_needs_another_key_is_left_and_said(site: Stoplog, folder: Path) -> None:
    make_content_key_file(folder / "wrong.pem")
    before = keys()
    result = site("audit", "rewrap", "--key", str(folder / "wrong.pem"), "--why", "x", "--json")
    assert result.status == 1
    ((fault, count),) = result.records[-1]["left"].items()
    assert (count, result.records[-1]["keys"]) == (2, 0)
    assert "it needs the key `rsa:" in fault
    assert keys() == before


def test_a_tenant_without_a_key_is_an_error(site: Stoplog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPLOG_CONTENT__KEYS", msgspec.json.encode({"globex": "x.pub"}).decode())
    result = site(*rewrapping(folder))
    assert result.status == 1
    assert "setting `content.keys` has no key of tenant `default`" in result.err


def test_a_hold_stays_and_content_under_it_is_wrapped_anew(site: Stoplog, folder: Path) -> None:
    signed = ("--key", str(folder / "ann.pem"), "--why", "lawsuit", "--as", "ann", "--json")
    assert site("audit", "hold", "set", "--session", "s-0", *signed).status == 0
    assert site(*rewrapping(folder)).records[-1]["keys"] == 2
    refused = site(*erasing(folder, "--session", "s-0"), "--yes")
    assert (refused.status, [each["record"] for each in refused.records]) == (1, ["held"])
    assert all(each["text"] for each in site(*read_with(folder, "new.pem")).records)


class Silence(TCPServer):
    """Stands where a key service is: it closes each connection without an answer, and counts them."""

    allow_reuse_address = True
    asked = 0

    def finish_request(self, request: object, client_address: object) -> None:
        self.asked += 1

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@pytest.fixture
def silence() -> Iterator[Silence]:
    with Silence(("127.0.0.1", 0), BaseRequestHandler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_key_service_that_is_away_is_given_up_for_all_keys(
    site: Stoplog, folder: Path, silence: Silence, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys()
    for number in range(4):
        for each in before.values():
            key = replace(each.key, kid=f"{each.key.kid}-{number}", kek="vault:old:v1")
            name = content_key_key(f"default|{each.session_id}".encode(), key.kid)
            write(CONTENT_KEY, name, replace(each, key=key))
    (folder / "token").write_text("s.token\n")
    (folder / "token").chmod(0o600)
    host, port = silence.server_address[:2]
    monkeypatch.setenv("STOPLOG_CONTENT__VAULT__ADDRESS", f"http://{host!s}:{port}")
    monkeypatch.setenv("STOPLOG_CONTENT__VAULT__TOKEN_FILE", str(folder / "token"))
    result = site(*rewrapping(folder))
    assert result.status == 1
    done = result.records[-1]
    ((fault, count),) = done["left"].items()
    assert fault.startswith("Vault does not answer")
    # What the service does not have is wrapped all the same.
    assert (count, done["keys"]) == (8, 2)
    assert 1 <= silence.asked <= ATTEMPTS_MAX


class TestErased:
    def test_it_is_erased_afterwards_as_before(self, site: Stoplog, folder: Path) -> None:
        assert site(*rewrapping(folder)).status == 0
        assert site(*erasing(folder, "--session", "s-0"), "--yes").records[-1]["keys"] == 1
        assert all(each["fault"] == "it was erased" for each in site(*read_with(folder, "new.pem")).records)

    def test_it_is_not_wrapped_again(self, site: Stoplog, folder: Path) -> None:
        assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
        assert site(*rewrapping(folder)).records[-1]["keys"] == 1
        assert set(keys()) == {"s-1"}

    def test_a_key_that_is_there_again_is_destroyed(self, site: Stoplog, folder: Path) -> None:
        backup = keys()["s-0"]
        assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
        write(CONTENT_KEY, content_key_key(b"default|s-0", backup.key.kid), backup)
        told = site(*rewrapping(folder)).records
        assert [each["session_id"] for each in told if each["record"] == "erased_and_there_again"] == ["s-0"]
        assert (told[-1]["keys"], told[-1]["destroyed"]) == (1, 1)
        assert set(keys()) == {"s-1"}

    def test_an_erasure_in_between_wins(self, site: Stoplog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is ordered and carried out after the plan was made, or just before the new record is written."""
        write_at = Operator.write_at

        def erased_first(self: Operator, topic: Topic, records: Placed) -> None:
            monkeypatch.setattr(Operator, "write_at", write_at)
            target = erasing_module.Target(erasing_module.ContentScope.SESSION, "default", "s-0")
            erasing_module.erase(self, erasing_module.plan_erasure(self, target), "request", officer)
            write_at(self, topic, records)

        officer = load_key_file(folder / "ann.pem")
        monkeypatch.setattr(Operator, "write_at", erased_first)
        done = site(*rewrapping(folder)).records[-1]
        assert (done["keys"], done["destroyed"]) == (1, 1)
        assert set(keys()) == {"s-1"}
        assert all(each["fault"] == "it was erased" for each in site(*read_with(folder, "new.pem")).records)
