"""History files as people write them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.audit.report_keys import ReportKey
from streams.codec.avro import Codec
from streams.codec.history import (
    KINDS,
    LINE_BYTES_MAX,
    HistoryError,
    HistoryLine,
    format_line,
    iter_history,
    parse_line,
)
from streams.codec.schemas import CommittedSchemas
from streams.model.attributes import EntityAttributes
from streams.model.catalog import ToolCatalogEntry
from streams.model.catalog_signature import entry_key
from streams.model.definition import definition_digests
from streams.model.ids import approval_task_id, verdict_id_of
from streams.model.intent import Intent
from streams.model.proof import (
    is_proven_event,
    proof_message,
    session_report,
    session_secret,
    session_writer_key,
    verify_hmac,
)
from streams.model.session import SessionEvent
from streams.model.verdict import Outcome
from tests.records import DIGEST, HEADER, INTENT, UUID

ROOT_KEY = b"r" * 32
TIME_MS = 1_764_061_200_000
INTENT_LINE = {
    "record": "intent",
    "key": "acme|s-1",
    "time_ms": TIME_MS,
    "value": {
        "intent_id": "pay-bob",
        "sub": "user:alice",
        "act": {"iss": "https://id.example", "sub": "billing", "sub_profile": "AI_AGENT"},
        "tool": {"server_id": "mail", "name": "send"},
        "args": {"to": "a@example.com", "n": 1.0},
    },
}


KEYED_BY_THEMSELVES = {
    "revocation": (
        b"AGENT:acme|x",
        {"kind": "AGENT", "id": "acme|x", "effective_at": 0, "reason": "r", "initiating_entity": "soc"},
    ),
    "checkpoint": (
        b"3",
        {"partition": 3, "tree_size": 1, "root": "00" * 32, "first_audit_offset": 0, "signed_head": ""},
    ),
    "ruleset": (
        b"main@1.75d54b5165bb0dd7",
        {"name": "main", "version": "1", "serial": 1, "digest": "00" * 32, "files": [], "published_by": "x"},
    ),
    "baseline": (b"|a/e", {"agent": "a", "epoch": "e", "version": 1, "intents_count": 0, "state": "AAEC"}),
    "alert": (
        b"k",
        {
            "finding_uid": "f",
            "title": "t",
            "desc": "d",
            "analytic_uid": "a",
            "analytic_version": "1",
            "first_seen_time": 0,
            "last_seen_time": 0,
            "dedup_key": "k",
        },
    ),
}


def parse(line: object, line_no: int = 1, root_key: bytes | None = ROOT_KEY) -> HistoryLine:
    return parse_line(json.dumps(line), line_no, "h.jsonl", root_key)


def with_value(changes: dict[str, object], *without: str, line: dict = INTENT_LINE) -> dict:
    value = {name: item for name, item in line["value"].items() if name not in without}
    return line | {"value": value | changes}


def problem(line: object) -> str:
    with pytest.raises(HistoryError) as raised:
        parse_line(line if isinstance(line, str) else json.dumps(line), 12, "h.jsonl")
    assert str(raised.value).startswith("h.jsonl:12: ")
    return raised.value.text


class TestIntents:
    def test_what_is_left_out_is_filled_in(self) -> None:
        line = parse(INTENT_LINE)
        assert line[:4] == ("intent", "agent.intent.v1", b"acme|s-1", TIME_MS)
        intent = line.record
        assert isinstance(intent, Intent)
        header = intent.header
        assert (header.source, header.tenant_uid, header.time) == ("history", "acme", TIME_MS)
        assert (intent.session_id, intent.tool_call_id) == ("s-1", "pay-bob")
        assert intent.args_json == '{"n":1,"to":"a@example.com"}'
        assert intent.args_digest == hashlib.sha256(intent.args_json.encode()).digest()
        secret = session_secret(ROOT_KEY, "acme", "s-1")
        assert intent.proof is not None
        assert verify_hmac(secret, proof_message(intent), intent.proof.value)
        codec = Codec(CommittedSchemas.load())
        assert codec.decode(line.topic, codec.encode(line.topic, intent)) == intent

    def test_always_the_same_for_the_same_line(self) -> None:
        assert parse(INTENT_LINE) == parse(INTENT_LINE)
        first, second = parse(INTENT_LINE, 1).record, parse(INTENT_LINE, 2).record
        assert isinstance(first, Intent)
        assert isinstance(second, Intent)
        assert first.header.id != second.header.id
        assert first.intent_id == second.intent_id

    def test_an_intent_without_a_name_is_its_lines_own(self) -> None:
        unnamed = with_value({}, "intent_id")
        first, second = parse(unnamed, 1).record, parse(unnamed, 2).record
        assert isinstance(first, Intent)
        assert isinstance(second, Intent)
        assert first.intent_id != second.intent_id

    def test_what_is_given_stays(self) -> None:
        given = with_value(
            {
                "header": {"id": UUID, "source": "me", "time": "2025-11-25T09:00:01Z", "tenant_uid": "other"},
                "session_id": "s-2",
                "args_digest": DIGEST.hex(),
                "proof": None,
            }
        )
        intent = parse(given).record
        assert isinstance(intent, Intent)
        assert (intent.header.id, intent.header.time, intent.header.tenant_uid) == (UUID, TIME_MS + 1000, "other")
        assert (intent.session_id, intent.args_digest, intent.proof) == ("s-2", DIGEST, None)

    def test_without_a_root_key_there_is_no_proof(self) -> None:
        intent = parse(INTENT_LINE, root_key=None).record
        assert isinstance(intent, Intent)
        assert intent.proof is None

    def test_arguments_that_the_gate_will_refuse(self) -> None:
        text = '{"n": NaN}'
        intent = parse(with_value({"args_json": text}, "args")).record
        assert isinstance(intent, Intent)
        assert (intent.args_json, intent.args_digest) == (text, hashlib.sha256(text.encode()).digest())

    def test_a_key_may_follow_from_the_record(self) -> None:
        keyless = with_value({"header": {"tenant_uid": "acme"}, "session_id": "s-9"})
        del keyless["key"]
        assert parse(keyless).key == b"acme|s-9"


class TestOtherRecords:
    def test_content_in_plain_text(self) -> None:
        event = parse(
            {
                "record": "session_event",
                "key": "acme|s-1",
                "time_ms": TIME_MS,
                "value": {"type": "USER_MESSAGE", "content": "Pay Bob, über 10 €"},
            },
            line_no=4,
        ).record
        assert isinstance(event, SessionEvent)
        assert event.content is None
        assert event.content_digest == hashlib.sha256("Pay Bob, über 10 €".encode()).digest()
        assert (event.session_id, event.sequence) == ("s-1", 4)

    def test_what_a_session_may_do_is_said_by_its_token_service_unless_the_line_says_otherwise(self) -> None:
        line = INTENT_LINE | {"record": "session_event", "value": {"type": "PURPOSE_SET", "purpose": "pay"}}
        proofs: list[bool] = []
        for given, root_key in (
            ({}, ROOT_KEY),
            ({"proof": None}, ROOT_KEY),
            ({}, None),
        ):
            event = parse(with_value(given, line=line), root_key=root_key).record
            assert isinstance(event, SessionEvent)
            assert event.proof is None or is_proven_event(session_writer_key(ROOT_KEY), event)
            proofs.append(event.proof is not None)
        assert proofs == [True, False, False]

    @pytest.mark.parametrize("kind", ["session_event", "report"])
    def test_what_happened_in_a_session_is_reported_by_its_agent_or_server(self, kind: str) -> None:
        line = INTENT_LINE | {"record": kind, "value": {"type": "RETRIEVAL"}}
        event = parse(line, root_key=ROOT_KEY).record
        assert isinstance(event, SessionEvent)
        assert event == session_report(session_secret(ROOT_KEY, "acme", "s-1"), event, "")
        intent_id = "01899c9e-0000-7000-8000-000000000001"
        result = {"type": "TOOL_NOT_RUN", "intent_id": intent_id, "tool": {"server_id": "mail", "name": "send"}}
        event = parse(line | {"value": result}, root_key=ROOT_KEY).record
        assert isinstance(event, SessionEvent)
        assert event == ReportKey.derived(ROOT_KEY, "mail").proven(event)
        assert event.verdict_id == verdict_id_of("acme", "s-1", intent_id, Outcome.ALLOW)
        for given, key in (({"proof": None}, ROOT_KEY), ({}, None)):
            event = parse(line | {"value": result | given}, root_key=key).record
            assert isinstance(event, SessionEvent)
            assert event.proof is None
            line_again = format_line(KINDS[kind].name, b"acme|s-1", 1, event)
            assert parse_line(line_again, 2, "h.jsonl", ROOT_KEY).record == event

    def test_a_catalog_entry_gets_its_digests(self) -> None:
        schema = {"type": "object", "properties": {"to": {"type": "string"}}}
        tool = {
            "name": "send",
            "description": "Send mail.",
            "inputSchema": schema,
            "annotations": {"readOnlyHint": True},
        }
        value = {"server_id": "mail", "name": "send", "description": "Send mail.", "state": "APPROVED"}
        as_json = {"input_schema": schema, "annotations": {"readOnlyHint": True}}
        as_text = {f"{name}_json": json.dumps(part) for name, part in as_json.items()}
        for parts in (as_json, as_text):
            line = parse({"record": "catalog_entry", "time_ms": TIME_MS, "value": value | parts})
            entry = line.record
            assert isinstance(entry, ToolCatalogEntry)
            assert line.key == entry_key(entry)
            digests = (entry.definition_digest, entry.description_digest, entry.input_schema_digest)
            assert digests == definition_digests(tool)

    def test_an_approval_names_the_intent(self) -> None:
        line = {
            "record": "approval_decision",
            "key": "acme|s-1",
            "time_ms": TIME_MS,
            "value": {
                "intent_id": "pay-bob",
                "status": "APPROVED",
                "approver": {"iss": "https://id.example", "sub": "carol", "sub_profile": "USER"},
                "args": INTENT_LINE["value"]["args"],
            },
        }
        decision, intent = parse(line).record, parse(INTENT_LINE).record
        assert isinstance(intent, Intent)
        assert decision.intent_id == intent.intent_id
        assert decision.args_digest == intent.args_digest
        assert decision.task_id == approval_task_id("acme", intent.session_id, intent.intent_id)

    @pytest.mark.parametrize(("round_no", "fits"), [(0, True), (1, True), (-1, False), (True, False), (10_000, False)])
    def test_an_approval_may_answer_a_later_question(self, round_no: int, fits: bool) -> None:
        value = {
            "intent_id": "pay-bob",
            "status": "APPROVED",
            "approver": {"iss": "https://id.example", "sub": "carol", "sub_profile": "USER"},
            "args": INTENT_LINE["value"]["args"],
            "round_no": round_no,
        }
        line = {"record": "approval_decision", "key": "acme|s-1", "time_ms": TIME_MS, "value": value}
        if not fits:
            with pytest.raises(HistoryError, match="round_no"):
                parse(line)
            return
        decision, intent = parse(line).record, parse(INTENT_LINE).record
        assert isinstance(intent, Intent)
        assert decision.task_id == approval_task_id("acme", intent.session_id, intent.intent_id, round_no)

    @pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, (key, _) in KEYED_BY_THEMSELVES.items()])
    def test_keys_that_follow_from_the_record(self, kind: str, key: bytes) -> None:
        assert parse({"record": kind, "time_ms": 0, "value": KEYED_BY_THEMSELVES[kind][1]}).key == key

    def test_attributes_take_tenant_and_entity_from_the_key_and_an_object_for_text(self) -> None:
        value = {"attributes": {"b": [1, "x"], "a": 2.0}}
        line = parse({"record": "attributes", "key": "acme|customer/C/1", "time_ms": TIME_MS, "value": value})
        record = line.record
        assert isinstance(record, EntityAttributes)
        assert (record.header.tenant_uid, record.kind, record.id) == ("acme", "customer", "C/1")
        assert record.attributes_json == '{"a":2,"b":[1,"x"]}'
        assert parse(json.loads(format_line(line.topic, line.key, line.time_ms, record))) == line
        stated = {"kind": "customer", "id": "C/1", "header": {"tenant_uid": "acme"}, **value}
        without_key = parse({"record": "attributes", "time_ms": TIME_MS, "value": stated})
        assert without_key.key == b"acme|customer/C/1"


class TestErrors:
    @pytest.mark.parametrize(
        ("line", "text"),
        [
            ("{", "is not JSON: expecting property name enclosed in double quotes (column 2)"),
            ('{"record": NaN}', "is not JSON: `NaN`"),
            ('{"key": 1, "key": 2}', "an object has the member `key` twice"),
            ("[" * 100_000, "is nested too deep"),
            ('{"time_ms": ' + "9" * 5_000 + "}", "is not JSON: Exceeds the limit"),
            ([], "a line is an object with `record`, `key`, `time_ms` and `value`"),
            ({"recrod": "intent"}, "`recrod` is not a member of a line; did you mean `record`?"),
            ({"record": "session"}, "record: `session` is not a kind of record; did you mean `session_event`?"),
            (INTENT_LINE | {"value": None}, "value: must be the record, as an object"),
            (INTENT_LINE | {"time_ms": "yesterday"}, "time_ms: `yesterday` is not an RFC 3339 date-time such as"),
            (INTENT_LINE | {"time_ms": 2**60}, "time_ms: instant is outside of the years 1 to 9999"),
            (INTENT_LINE | {"time_ms": 1.5}, "time_ms: `1.5` is neither milliseconds since 1970 nor"),
            (INTENT_LINE | {"key": 7}, "`key` must be text"),
            (INTENT_LINE | {"key": "\ud800"}, "`key` must be text"),
            (INTENT_LINE | {"key_hex": "00"}, "`key` and `key_hex` are both given"),
            (with_value({"subject": "x"}), "value: `subject` is not a field of Intent; did you mean"),
            (with_value({}, "sub"), "value: `sub` is missing"),
            (with_value({"turn": 2**63}), "value.turn: `9223372036854775808` is not an integer of 64 bits"),
            (with_value({"turn": True}), "value.turn: `true` is not an integer of 64 bits"),
            (with_value({"sub": 1}), "value.sub: `1` is not a text"),
            (with_value({"sub": "\udfff"}), "value.sub: has half of a surrogate pair"),
            (with_value({"act": "me"}), "value.act: `\"me\"` is not an object"),
            (with_value({"args_json": "{}"}), "value: `args_json` is given twice, as JSON and as text"),
            (with_value({"args": {"n": 2**53}}), "value.args: no canonical JSON form"),
            (with_value({"args_digest": "00"}), "value.args_digest: `\"00\"` is not a digest of 64 hex digits"),
            (with_value({"args_digest": "zz" * 32}), "value.args_digest: `\"zzzz"),
            (with_value({"claimed_sources": "x"}), "value.claimed_sources: `\"x\"` is not an array"),
            (with_value({"claimed_sources": [1]}), "value.claimed_sources[0]: `1` is not a text"),
            (with_value({"proof": {"value": "?"}}), "value.proof.value: `\"?\"` is not base64"),
            (with_value({"header": []}), "value.header: `[]` is not an object"),
            (with_value({"tool": None}), "value.tool: `null` is not an object"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_told(self, line: object, text: str) -> None:
        assert problem(line).startswith(text)

    def test_a_key_that_is_no_session(self) -> None:
        keyless = with_value({}, "session_id")
        del keyless["key"]
        assert problem(keyless) == "value: `session_id` is missing"

    def test_a_tenant_that_would_share_keys(self) -> None:
        keyless = with_value({"header": {"tenant_uid": "a|b"}, "session_id": "s"})
        del keyless["key"]
        assert problem(keyless).startswith("`key` is missing, and cannot be made: tenant `a|b`")

    def test_a_catalog_entry_whose_schema_is_no_json(self) -> None:
        value = {"server_id": "s", "name": "n", "input_schema_json": "{"}
        assert problem({"record": "catalog_entry", "time_ms": 0, "value": value}).startswith(
            "value.input_schema_json: not JSON"
        )


class TestFormat:
    def test_keys_that_are_no_text(self) -> None:
        line = json.loads(format_line("agent.intent.v1", b"\xff\x00", 0, INTENT))
        assert line["key_hex"] == "ff00"
        assert "key" not in line

    def test_what_is_absent_is_left_out(self) -> None:
        line = json.loads(format_line("agent.intent.v1", b"acme|s", 5, INTENT))
        assert list(line) == ["record", "key", "time_ms", "value"]
        assert not {"txn", "toolset_digest", "approval_id"} & line["value"].keys()
        assert line["value"]["tool"]["definition_digest"] == DIGEST.hex()
        assert line["value"]["header"]["time"] == HEADER.time


class TestFiles:
    LINE = json.dumps(INTENT_LINE).encode()

    @pytest.fixture
    def write(self, tmp_path: Path) -> Callable[[bytes], Path]:
        def write(content: bytes) -> Path:
            path = tmp_path / "h.jsonl"
            path.write_bytes(content)
            return path

        return write

    def test_comments_blank_lines_and_a_byte_order_mark(self, write: Callable[[bytes], Path]) -> None:
        path = write(b"\xef\xbb\xbf# a comment\r\n\r\n  \n" + self.LINE + b"\r\n  # more\n" + self.LINE)
        ids = [line.record.header.id for line in iter_history(path, ROOT_KEY)]
        assert ids == [parse(INTENT_LINE, number).record.header.id for number in (4, 6)]

    def test_an_empty_file(self, write: Callable[[bytes], Path]) -> None:
        assert list(iter_history(write(b""))) == []
        assert list(iter_history(write(b"\xef\xbb\xbf"))) == []

    def test_bad_lines_are_raised_or_told(self, write: Callable[[bytes], Path]) -> None:
        path = write(self.LINE + b"\nnonsense\n" + self.LINE + b"\n\xff\n" + self.LINE)
        lines = iter_history(path)
        assert next(lines).kind == "intent"
        with pytest.raises(HistoryError, match=r"h\.jsonl:2: is not JSON"):
            next(lines)
        told: list[HistoryError] = []
        assert len(list(iter_history(path, on_error=told.append))) == 3
        assert [(error.line, error.text[:9]) for error in told] == [(2, "is not JS"), (4, "is not UT")]

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"time_ms": 1764061200}, "`time_ms` is 1764061200, which is a time in seconds: write 1764061200000"),
            ({"key": "s-1"}, "`key` is `s-1`, without a tenant: write `TENANT|SESSION`"),
            ({"key": "|s-1"}, "`key` is `|s-1`, without a tenant: write `TENANT|SESSION`"),
            ({"key": "acme|"}, "`key` is `acme|`, without a tenant: write `TENANT|SESSION`"),
        ],
    )
    def test_what_is_most_likely_a_mistake_is_told(
        self, write: Callable[[bytes], Path], change: dict[str, object], told: str
    ) -> None:
        value = {"session_id": "s-1", **INTENT_LINE["value"]}
        wrong = json.dumps(INTENT_LINE | {"value": value} | change).encode()
        found: list[HistoryError] = []
        assert len(list(iter_history(write(self.LINE + b"\n" + wrong), ROOT_KEY, found.append))) == 1
        assert [(error.line, error.text) for error in found] == [(2, told)]

    @pytest.mark.parametrize("time_ms", [0, 5_000, 86_400_000 * 10, 5_000_000_000])
    def test_times_soon_after_1970_are_times(self, write: Callable[[bytes], Path], time_ms: int) -> None:
        (line,) = iter_history(write(json.dumps(INTENT_LINE | {"time_ms": time_ms}).encode()), ROOT_KEY)
        assert line.time_ms == time_ms

    def test_lines_are_bounded(self, write: Callable[[bytes], Path]) -> None:
        long = b'{"record": "' + b"x" * (2 * LINE_BYTES_MAX) + b'"}'
        told: list[HistoryError] = []
        lines = list(iter_history(write(long + b"\n" + self.LINE + b"\n" + long), on_error=told.append))
        assert len(lines) == 1
        assert [(error.line, error.text) for error in told] == [
            (1, f"is longer than {LINE_BYTES_MAX} bytes"),
            (3, f"is longer than {LINE_BYTES_MAX} bytes"),
        ]

    def test_a_line_of_the_largest_size(self, write: Callable[[bytes], Path]) -> None:
        for end in (b"\n", b"\r\n", b""):
            path = write(self.LINE + b" " * (LINE_BYTES_MAX - len(self.LINE)) + end + (self.LINE if end else b""))
            assert len(list(iter_history(path))) == 1 + bool(end)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(HistoryError, match="can't be read: No such file"):
            list(iter_history(tmp_path / "none.jsonl"))
