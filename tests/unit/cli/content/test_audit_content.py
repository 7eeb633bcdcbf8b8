"""`stoplog audit read`, `audit erase` and `audit hold` over what a real gate has captured on the embedded log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.codec.instants import format_instant
from streams.model.audit import AuditEvent
from streams.model.content import (
    CONTENT_READ,
    KEYS_REWRAPPED,
    USES_OF_CONTENT,
    ContentKey,
    ContentOrder,
    ContentScope,
    OrderKind,
    content_key_key,
    key_name,
    order_key,
)
from streams.model.proof import derived_uuid
from streams.model.topics import AUDIT, AUDIT_REPORTED, CONTENT_KEY, CONTENT_ORDER
from streams.model.types import Header
from streams.operations.contents import erasing as erasing_module
from streams.operations.contents import orders as orders_module
from streams.operations.operator import Operator
from streams.operations.timeline import entries
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.content.captured_site import erasing, reading, write
from tests.unit.cli.recorded_site import records_of


class TestRead:
    def test_opens_the_arguments_of_calls(self, site: Stoplog, folder: Path) -> None:
        result = site(*reading(folder))
        assert result.status == 0, result.err
        assert [(each["field"], each["tool"], each["text"]) for each in result.records] == [
            ("arguments", "files/read", '{"path":"a.txt"}'),
            ("arguments", "web/fetch", '{"url":"u"}'),
            ("arguments", "mail/send", '{"to":"x@outside.example"}'),
            ("arguments", "mail/send", '{"to":"a@example.com"}'),
        ]

    def test_opens_one_call(self, site: Stoplog, folder: Path) -> None:
        first = site(*reading(folder)).records[0]
        (only,) = site(*reading(folder, first["intent_id"])).records
        assert only == first

    def test_is_on_the_record_before_anything_is_read(self, site: Stoplog, folder: Path) -> None:
        other = folder / "other.pem"
        assert site("keys", "content", "new", "--out", str(other)).status == 0
        refused = site("audit", "read", "s-0", "--key", str(other), "--why", "curiosity", "--as", "eve", "--json")
        assert refused.status == 1
        assert [each["text"] for each in refused.records] == [None] * 4
        assert all("needs the key `rsa:" in each["fault"] for each in refused.records)
        reported = [each for each in records_of(AUDIT_REPORTED.name) if isinstance(each, AuditEvent)]
        assert [(each.act.sub, each.reason, each.reason_text) for each in reported if each.event_type == "CONTENT"] == [
            ("eve", "content_read", "curiosity")
        ]

    def test_needs_a_reason(self, site: Stoplog, folder: Path) -> None:
        result = site("audit", "read", "s-0", "--key", str(folder / "acme.pem"), "--why", " ")
        assert result.status == 2
        assert "a reason must not be empty" in result.err

    def test_nothing_is_on_the_log_in_clear_but_calls(self, site: Stoplog) -> None:
        held = [each for each in records_of(AUDIT.name) if isinstance(each, AuditEvent) and each.sensitive is not None]
        assert len(held) == 8
        assert not any(b"outside.example" in each.sensitive.ciphertext for each in held)
        keys = [each for each in records_of(CONTENT_KEY.name) if isinstance(each, ContentKey)]
        assert sorted(each.session_id for each in keys) == ["s-0", "s-1"], "one key of a session, written once"
        assert {each.key.alg for each in keys} == {"RSA-OAEP-256"}


def test_every_use_of_content_has_words_in_the_story() -> None:
    assert set(entries._USES_OF_CONTENT) == USES_OF_CONTENT
    assert {CONTENT_READ, KEYS_REWRAPPED, *orders_module._REASONS.values()} == USES_OF_CONTENT


class TestErase:
    def test_a_dry_run_shows_what_would_go(self, site: Stoplog, folder: Path) -> None:
        result = site(*erasing(folder, "--session", "s-0"), "--dry-run")
        assert result.status == 0, result.err
        assert [(each["record"], each["session_id"]) for each in result.records] == [("would_erase", "s-0")]
        assert all(each["text"] for each in site(*reading(folder)).records)

    def test_the_wrong_tenant_is_not_taken_for_done(self, site: Stoplog, folder: Path) -> None:
        (found,) = site(*erasing(folder, "--session", "s-0"), "--dry-run").records
        for whose in (("--session", found["session_id"]), ("--user", found["sub"])):
            result = site(*erasing(folder, *whose, "--tenant", "other"), "--yes")
            assert (result.status, result.err) == (1, "")
            assert result.records == [{"record": "namesake", "tenant_uid": "default", "id": whose[1]}]
        assert site(*erasing(folder, "--session", "s-0"), "--dry-run").records == [found]

    def test_what_nobody_has_is_nothing_to_erase(self, site: Stoplog, folder: Path) -> None:
        (found,) = site(*erasing(folder, "--session", "s-0"), "--dry-run").records
        user = found["sub"]
        typed = {"record": "unknown", "tenant_uid": "default", "id": f"{user}e", "near": [f"default|{user}"]}
        result = site(*erasing(folder, "--user", typed["id"]), "--yes")
        assert (result.status, result.records) == (0, [typed])
        shown = site(*erasing(folder, "--user", typed["id"]), "--yes", "--no-json").out
        assert f"the log knows no subject default|{user}e; the nearest: default|{user}" in " ".join(shown.split())
        assert "the log knows no session default|s-7" in site(*erasing(folder, "--session", "s-7"), "--no-json").out

    def test_a_user_of_whom_nothing_was_captured_is_known(
        self, site: Stoplog, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert site(*erasing(folder, "--tenant", "default"), "--yes").status == 0
        again = site(*erasing(folder, "--session", "s-0"), "--yes")
        assert (again.status, again.records) == (0, [])

    def test_what_was_erased_says_by_whom_and_the_rest_stays(self, site: Stoplog, folder: Path) -> None:
        result = site(*erasing(folder, "--session", "s-0"), "--yes")
        assert result.status == 0, result.err
        assert result.records[-1]["keys"] == 1
        gone = site(*reading(folder))
        assert gone.status == 1
        assert [each["text"] for each in gone.records] == [None] * 4
        assert all(" by ann: request of the user" in each["erased"] for each in gone.records)
        assert all(each["text"] for each in site(*reading(folder, "s-1")).records)

    def test_says_until_when_calls_are_in_plain_text(
        self, site: Stoplog, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("streams.wiring.clock.SystemClock.now_ms", lambda _self: 1_772_611_200_000)
        done = site(*erasing(folder, "--session", "s-0"), "--yes").records[-1]
        # 2026-03-04, the retention of seven days, a segment of a day, and the minutes that brokers take.
        assert format_instant(done["complete_ms"]) == "2026-03-12T08:10:00.000Z"

    def test_nothing_of_the_key_is_left_in_the_file(self, site: Stoplog, folder: Path) -> None:
        wrapped = {
            key.session_id: key.key.wrapped for key in records_of(CONTENT_KEY.name) if isinstance(key, ContentKey)
        }
        assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
        left = b"".join(path.read_bytes() for path in (folder / "state").glob("log.sqlite*"))
        # A record lies in pages of 4 KiB or more, so the first bytes of a key are in one piece.
        assert wrapped["s-1"][:64] in left
        assert wrapped["s-0"][:64] not in left

    def test_the_log_verifies_and_replays_after_it(self, site: Stoplog, folder: Path) -> None:
        assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
        verified = site("audit", "verify", "--json")
        assert verified.status == 0, verified.out + verified.err
        replayed = site("replay", "--json")
        assert replayed.status == 0, replayed.out + replayed.err

    def test_the_story_says_where_content_was(self, site: Stoplog, folder: Path) -> None:
        before = site("audit", "session", "s-0", "--no-json").out
        assert "captured: encrypted; `stoplog audit read` opens it" in before
        assert site(*reading(folder)).status == 0
        assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
        after = site("audit", "session", "s-0", "--no-json").out
        assert "captured: erased on " in after
        assert " by ann: request of the user" in after
        assert "operator ben read captured content: ticket 7" in after
        assert "captured: encrypted" not in after

    def test_by_subject_and_tenant(self, site: Stoplog, folder: Path) -> None:
        subject = site(*erasing(folder, "--tenant", "default"), "--dry-run").records[0]["sub"]
        other = site(*erasing(folder, "--subject", "nobody"), "--yes")
        assert other.status == 0
        assert [(each["record"], each["id"]) for each in other.records] == [("unknown", "nobody")]
        assert site(*erasing(folder, "--subject", subject), "--yes").records[-1]["keys"] == 2
        assert site(*erasing(folder, "--tenant", "default"), "--yes").records == []

    def test_a_hold_keeps_content_until_it_is_lifted(self, site: Stoplog, folder: Path) -> None:
        key = ("--key", str(folder / "ann.pem"), "--why", "lawsuit", "--as", "ann", "--json")
        assert site("audit", "hold", "set", "--session", "s-0", *key).status == 0
        (hold,) = site("audit", "hold", "list", "--json").records
        assert (hold["scope"], hold["id"], hold["signed_by"], hold["reason"]) == ("SESSION", "s-0", "ann", "lawsuit")
        refused = site(*erasing(folder, "--session", "s-0"), "--yes")
        assert refused.status == 1
        assert [each["record"] for each in refused.records] == ["held"]
        assert all(each["text"] for each in site(*reading(folder)).records)
        # The rest of the tenant goes.
        assert site(*erasing(folder, "--tenant", "default"), "--yes").records[-1]["keys"] == 1
        (lift,) = site("audit", "hold", "lift", "--session", "s-0", *key).records
        assert (lift["record"], lift["scope"], lift["id"]) == ("lift", "SESSION", "s-0")
        assert lift["order"] == orders()[-1].header.id
        assert site("audit", "hold", "list", "--json").records == []
        assert site(*erasing(folder, "--session", "s-0"), "--yes").records[-1]["keys"] == 1

    @pytest.mark.parametrize("when", ["asked", "ordered"])
    def test_a_hold_that_comes_meanwhile_keeps_content(
        self, site: Stoplog, folder: Path, monkeypatch: pytest.MonkeyPatch, when: str
    ) -> None:
        """While the person is asked, or when the order is on the log but no key is destroyed."""
        hold, write_order = order(OrderKind.HOLD), erasing_module.write_order

        def held(*_args: object, **_kwargs: object) -> bool:
            """Write the hold, and answer yes."""
            write(CONTENT_ORDER, order_key(hold), hold)
            return True

        def ordered(operator: Operator, given: ContentOrder) -> None:
            write_order(operator, given)
            held()

        if when == "asked":
            monkeypatch.setattr("typer.confirm", held)
        else:
            monkeypatch.setattr(erasing_module, "write_order", ordered)
        key = ("--key", str(folder / "ann.pem"), "--why", "x", "--as", "ann")
        refused = site("audit", "erase", "--session", "s-0", *key, "--no-json" if when == "asked" else "--yes")
        assert refused.status == 1
        assert "session default|s-0 was put under legal hold meanwhile (forged)" in refused.err
        assert len([each for each in records_of(CONTENT_KEY.name) if getattr(each, "session_id", "") == "s-0"]) == 1
        assert len(orders()) == (1 if when == "asked" else 2)

    def test_what_was_destroyed_before_a_hold_came_is_gone(
        self, site: Stoplog, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wrapped = {
            key.session_id: key.key.wrapped for key in records_of(CONTENT_KEY.name) if isinstance(key, ContentKey)
        }
        write_order, given = erasing_module.write_order, list[str]()
        order_of_hold = order(OrderKind.HOLD)

        def held(operator: Operator, made: ContentOrder) -> None:
            write_order(operator, made)
            given.extend(name.rpartition("/")[0].removeprefix("default|") for name in made.kids)
            if len(given) == 2:
                hold = msgspec.structs.replace(order_of_hold, id=given[1])
                write(CONTENT_ORDER, order_key(hold), hold)

        monkeypatch.setattr(erasing_module, "KIDS_PER_ORDER_MAX", 1)
        monkeypatch.setattr(erasing_module, "write_order", held)
        assert site(*erasing(folder, "--tenant", "default"), "--yes").status == 1
        first, second = given
        left = b"".join(path.read_bytes() for path in (folder / "state").glob("log.sqlite*"))
        assert wrapped[second][:64] in left
        assert wrapped[first][:64] not in left

    def test_an_order_needs_an_officers_signature(self, site: Stoplog, folder: Path) -> None:
        bare = site("audit", "erase", "--session", "s-0", "--why", "x", "--yes", "--json")
        assert bare.status == 1
        assert "it is not signed" in bare.err
        assert site("keys", "officer", "new", "--out", str(folder / "eve.pem")).status == 0
        foreign = site("audit", "erase", "--session", "s-0", "--why", "x", "--yes", "--key", str(folder / "eve.pem"))
        assert "not among those of the setting `content.officers`" in foreign.err
        assert all(each["text"] for each in site(*reading(folder)).records)

    def test_expired_content_goes_by_its_class(
        self, site: Stoplog, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert site(*erasing(folder, "--expired"), "--yes").records == [], "nothing is 180 days old"
        monkeypatch.setattr("streams.wiring.clock.SystemClock.now_ms", lambda _self: 4_000_000_000_000)
        assert site(*erasing(folder, "--expired"), "--yes").records[-1]["keys"] == 2


class TestAttacks:
    """What somebody tries who may write the topics, but has no officer's key."""

    def test_a_key_that_comes_back_opens_nothing(self, site: Stoplog, folder: Path) -> None:
        (backup,) = [each for each in records_of(CONTENT_KEY.name) if getattr(each, "session_id", "") == "s-0"]
        assert isinstance(backup, ContentKey)
        assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
        write(CONTENT_KEY, content_key_key(b"default|s-0", backup.key.kid), backup)
        gone = site(*reading(folder))
        assert [each["text"] for each in gone.records] == [None] * 4
        assert all(each["fault"] == "it was erased" for each in gone.records)
        assert "nothing was opened; that ben asked for it is on the record" in site(*reading(folder), "--no-json").out
        # The next erasure finds it.
        assert site(*erasing(folder, "--session", "s-0"), "--yes").records[-1]["keys"] == 1

    def test_a_key_that_is_destroyed_without_an_order_is_noticed(self, site: Stoplog, folder: Path) -> None:
        (key,) = [each for each in records_of(CONTENT_KEY.name) if getattr(each, "session_id", "") == "s-0"]
        assert isinstance(key, ContentKey)
        write(CONTENT_KEY, content_key_key(b"default|s-0", key.key.kid), None)
        faults = {each["fault"] for each in site(*reading(folder)).records}
        assert faults == {"its key is gone, and no order of an officer says why"}
        forged = order(OrderKind.ERASURE, kids=(key_name("default", "s-0", key.key.kid),))
        write(CONTENT_ORDER, order_key(forged), forged)
        told = site(*reading(folder)).records
        assert {each["fault"] for each in told} == {"its key is gone, and no order of an officer says why"}
        assert all("(the order does not count: it is not signed" in each["erased"] for each in told)

    def test_an_order_that_does_not_count_hides_no_arguments(self, site: Stoplog) -> None:
        (key,) = [each for each in records_of(CONTENT_KEY.name) if getattr(each, "session_id", "") == "s-0"]
        assert isinstance(key, ContentKey)
        forged = order(OrderKind.ERASURE, kids=(key_name("default", "s-0", key.key.kid),))
        write(CONTENT_ORDER, order_key(forged), forged)
        told = site("audit", "session", "s-0", "--no-json").out
        assert "(the order does not count: it is not signed" in told
        assert "x@outside.example" in told

    def test_an_erasure_reaches_no_other_session_with_a_key_of_that_id(self, site: Stoplog, folder: Path) -> None:
        """Whoever writes a report chooses the id of its key."""
        (key,) = [each for each in records_of(CONTENT_KEY.name) if getattr(each, "session_id", "") == "s-0"]
        assert isinstance(key, ContentKey)
        write(CONTENT_KEY, content_key_key(b"default|s-1", key.key.kid), msgspec.structs.replace(key, session_id="s-1"))
        assert site(*erasing(folder, "--session", "s-1"), "--yes").records[-1]["keys"] == 2
        assert all(each["text"] for each in site(*reading(folder)).records)
        assert "x@outside.example" in site("audit", "session", "s-0", "--no-json").out

    def test_an_order_without_a_signature_erases_nothing_and_ends_no_hold(self, site: Stoplog, folder: Path) -> None:
        (key,) = [each for each in records_of(CONTENT_KEY.name) if getattr(each, "session_id", "") == "s-0"]
        assert isinstance(key, ContentKey)
        for forged in (
            order(OrderKind.HOLD),
            order(OrderKind.LIFT),
            order(OrderKind.ERASURE, kids=(key_name("default", "s-0", key.key.kid),)),
        ):
            write(CONTENT_ORDER, order_key(forged), forged)
        assert all(each["text"] for each in site(*reading(folder)).records)
        # A hold keeps content whoever has ordered it.
        assert [each["record"] for each in site(*erasing(folder, "--session", "s-0"), "--yes").records] == ["held"]

    def test_an_order_that_can_not_be_read_could_be_a_hold(self, site: Stoplog, folder: Path) -> None:
        write(CONTENT_ORDER, b"hold|default|SESSION|s-0", b"\x00of another version")
        refused = site(*erasing(folder, "--session", "s-0"), "--yes")
        assert refused.status == 1
        assert "could be legal holds" in refused.err
        assert all(each["text"] for each in site(*reading(folder)).records)

    @pytest.mark.parametrize("forged", [OrderKind.LIFT, OrderKind.HOLD, None], ids=str)
    def test_nothing_takes_the_place_of_a_hold(self, site: Stoplog, folder: Path, forged: OrderKind | None) -> None:
        key = ("--key", str(folder / "ann.pem"), "--why", "lawsuit", "--as", "ann", "--json")
        assert site("audit", "hold", "set", "--session", "s-0", *key).status == 0
        write(CONTENT_ORDER, b"hold|default|SESSION|s-0", None if forged is None else order(forged))
        # An erasure drops at once what later records have replaced.
        assert site(*erasing(folder, "--session", "s-1"), "--yes").status == 0
        (hold,) = site("audit", "hold", "list", "--json").records
        assert (hold["signed_by"], hold["reason"]) == ("ann", "lawsuit")
        assert [each["record"] for each in site(*erasing(folder, "--session", "s-0"), "--yes").records] == ["held"]

    def test_the_end_of_a_hold_can_not_be_used_again(self, site: Stoplog, folder: Path) -> None:
        key = ("--key", str(folder / "ann.pem"), "--why", "lawsuit", "--as", "ann", "--json")
        for kind in ("set", "lift", "set"):
            assert site("audit", "hold", kind, "--session", "s-0", *key).status == 0
        (lift,) = [each for each in orders() if each.kind is OrderKind.LIFT]
        write(CONTENT_ORDER, order_key(lift), lift)
        assert len(site("audit", "hold", "list", "--json").records) == 1

    def test_a_forged_erasure_takes_no_others_place(self, site: Stoplog, folder: Path) -> None:
        assert site(*erasing(folder, "--session", "s-0"), "--yes").status == 0
        (erasure,) = orders()
        forged = order(OrderKind.ERASURE, kids=erasure.kids)
        write(CONTENT_ORDER, order_key(forged), forged)
        told = site(*reading(folder)).records
        assert {each["fault"] for each in told} == {"it was erased"}
        assert all(each["erased"].endswith(" by ann: request of the user") for each in told)

    def test_an_officer_replaces_an_order_that_can_not_be_read(self, site: Stoplog, folder: Path) -> None:
        write(CONTENT_ORDER, b"hold|default|SESSION|s-0", b"\x00of another version")
        forged = order(OrderKind.HOLD)
        write(CONTENT_ORDER, order_key(forged), forged)
        write(CONTENT_ORDER, order_key(forged), None)
        assert "could be legal holds" in site(*erasing(folder, "--session", "s-1"), "--yes").err
        key = ("--key", str(folder / "ann.pem"), "--why", "replace", "--as", "ann", "--json")
        assert site("audit", "hold", "set", "--session", "s-1", *key).status == 0
        assert "could be legal holds" in site(*erasing(folder, "--session", "s-0"), "--yes").err, "another record key"
        for kind in ("set", "lift"):
            assert site("audit", "hold", kind, "--session", "s-0", *key).status == 0
        assert site(*erasing(folder, "--session", "s-0"), "--yes").records[-1]["keys"] == 1

    def test_swapped_content_does_not_open(self, site: Stoplog, folder: Path) -> None:
        """The content of one call stands in the record of another, under the same key."""
        audits = [each for each in records_of(AUDIT.name) if isinstance(each, AuditEvent) and each.session_id == "s-0"]
        first, second = [each for each in audits if each.sensitive is not None][:2]
        write(AUDIT, b"default|s-0", msgspec.structs.replace(first, sensitive=second.sensitive))
        *before, swapped = site(*reading(folder)).records
        assert all(each["text"] for each in before)
        assert swapped["fault"] == "it was changed, or it belongs to another session, event or field"
        assert site("audit", "verify", "--json").status == 1, "no gate has sealed that record"


def orders() -> list[ContentOrder]:
    return [each for each in records_of(CONTENT_ORDER.name) if isinstance(each, ContentOrder)]


def order(kind: OrderKind, **fields: Any) -> ContentOrder:
    header = Header(id=derived_uuid("forged", kind.value), source="eve", time=1, tenant_uid="default")
    return ContentOrder(
        header=header, kind=kind, scope=ContentScope.SESSION, id="s-0", reason="forged", ordered_by="ann", **fields
    )


@pytest.mark.parametrize(
    ("officers", "allow_unsigned", "status", "text"),
    [
        ("{}", "false", "warn", "none is named here: with these settings, captured content can't be erased"),
        ("{}", "true", "warn", "anybody who may write the topic can end legal holds"),
        (None, "false", "ok", "ann"),
    ],
)
def test_the_doctor_says_who_may_have_content_erased(
    site: Stoplog, monkeypatch: pytest.MonkeyPatch, officers: str | None, allow_unsigned: str, status: str, text: str
) -> None:
    if officers is not None:
        monkeypatch.setenv("STOPLOG_CONTENT__OFFICERS", officers)
    monkeypatch.setenv("STOPLOG_CONTENT__ALLOW_UNSIGNED", allow_unsigned)
    (found,) = [each for each in site("doctor", "--json").records if each.get("check") == "officers"]
    assert found["status"] == status
    assert text in found["text"]
    monkeypatch.setenv("STOPLOG_CONTENT__OFFICERS", "{}")
    monkeypatch.setenv("STOPLOG_CONTENT__CAPTURE", "[]")
    assert all(each.get("check") != "officers" for each in site("doctor", "--json").records)
