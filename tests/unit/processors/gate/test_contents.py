"""What a gate captures, and the keys of that: each written once, with the content, and never in another's place."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from simulation.records import SessionMaker
from streams.audit.content import ContentPlace, decrypt_content
from streams.engine.worker import Worker
from streams.inmemory.faults import Call
from streams.model.audit import AuditEvent, AuditEventType, RetentionClass
from streams.model.canonical import sha256
from streams.model.content import KEYS_PER_SESSION_MAX, REPORTED_KEYS_MAX, ContentKey
from streams.model.keys import partition_for
from streams.model.proof import make_hmac
from streams.model.reasons import DeadLetterReason
from streams.model.session import SessionEvent, SessionEventType
from streams.model.topics import CONTENT_KEY, REPORT
from streams.operations.signing_keys import make_content_key_file
from streams.ports import AbortableTransactionError, Outgoing
from streams.processors.row_kinds import RowKind
from streams.sdk.keys.content import PrivateUnwrapper, SessionSealer, TenantWrappers
from tests.kit import GATE_SETTINGS, HOUR_MS, GateBench, wire
from tests.unit.engine.bench import WorkerBench

replace = msgspec.structs.replace
ALL = ("arguments", "request", "prompt", "results", "model_output")
SETTINGS = replace(GATE_SETTINGS, capture=ALL, content_retention=RetentionClass.SHORT)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "any.pem"
    make_content_key_file(path)
    return path


@pytest.fixture
def sealer(key_file: Path) -> SessionSealer:
    return SessionSealer(TenantWrappers.load({"*": key_file.with_name("any.pem.pub")}))


def said(
    bench: GateBench, sealer: SessionSealer, kind: SessionEventType, text: str, *, session: str | None = None
) -> SessionEvent:
    """A report with a content, as an agent writes it."""
    maker = bench.session
    bare = maker.event(kind, bench.now_ms)
    owner = (bare.header.tenant_uid, session or maker.session_id, bare.header.id)
    sealed = sealer.seal(*owner, "results", text, bench.now_ms)
    assert sealed is not None
    event = replace(bare, content_digest=sha256(text.encode()), content=sealed.content, content_key=sealed.key)
    return maker.proven(replace(event, proof=None))


def pipe(bench: GateBench, event: SessionEvent) -> None:
    bench.driver.pipe(REPORT.name, bench.session.key, event)


def contents(bench: GateBench) -> list[AuditEvent]:
    return bench.audits(AuditEventType.CONTENT)


def written_keys(bench: GateBench) -> list[ContentKey]:
    return [read.record for read in bench.driver.read(CONTENT_KEY.name) if isinstance(read.record, ContentKey)]


def serving_bench(sealer: SessionSealer) -> tuple[WorkerBench, Worker, SessionMaker]:
    """A gate that serves partitions and seals contents, and an open session on one of them."""
    bench = WorkerBench(gate_settings=SETTINGS, sealer=sealer)
    worker = bench.start()
    bench.serving(worker)
    maker = bench.maker_on(0)
    bench.establish(maker)
    bench.settle(worker)
    return bench, worker, maker


class TestReported:
    @pytest.mark.parametrize(
        ("kind", "field"),
        [
            (SessionEventType.USER_MESSAGE, "request"),
            (SessionEventType.SYSTEM_PROMPT, "prompt"),
            (SessionEventType.MODEL_OUTPUT, "model_output"),
            (SessionEventType.RETRIEVAL, "results"),
            (SessionEventType.MEMORY_READ, "results"),
        ],
    )
    def test_content_goes_on_the_record_with_its_key(
        self, sealer: SessionSealer, kind: SessionEventType, field: str
    ) -> None:
        bench = GateBench(settings=SETTINGS)
        event = said(bench, sealer, kind, "text")
        pipe(bench, event)
        (record,) = contents(bench)
        assert (record.sensitive, record.reason, record.parent_event_id) == (event.content, field, event.header.id)
        assert record.content_commit == make_hmac(bench.session.secret, sha256(b"text"))
        (key,) = written_keys(bench)
        assert (key.key, key.session_id, key.retention_class) == (
            event.content_key,
            bench.session.session_id,
            RetentionClass.SHORT,
        )
        assert key.sub == record.sub
        # It comes again, or with more content under the same key: the key is not written again.
        pipe(bench, said(bench, sealer, kind, "more"))
        assert len(contents(bench)) == 1
        assert written_keys(bench) == []

    def test_nothing_is_captured_that_the_settings_do_not_name(self, sealer: SessionSealer) -> None:
        bench = GateBench()
        for kind in (SessionEventType.USER_MESSAGE, SessionEventType.RETRIEVAL):
            pipe(bench, said(bench, sealer, kind, "text"))
        assert contents(bench) == []
        assert written_keys(bench) == []

    def test_what_models_say_is_recorded_in_any_case(self, sealer: SessionSealer) -> None:
        bench = GateBench()
        pipe(bench, said(bench, sealer, SessionEventType.MODEL_OUTPUT, "text"))
        (record,) = contents(bench)
        assert record.sensitive is None
        assert record.content_commit == make_hmac(bench.session.secret, sha256(b"text"))
        assert written_keys(bench) == []
        # A sign of life without content is not.
        pipe(bench, bench.session.event(SessionEventType.MODEL_OUTPUT, bench.now_ms))
        assert contents(bench) == []

    def test_a_key_under_the_id_of_another_is_not_written(self, sealer: SessionSealer) -> None:
        bench = GateBench(settings=SETTINGS)
        first = said(bench, sealer, SessionEventType.RETRIEVAL, "text")
        pipe(bench, first)
        assert len(written_keys(bench)) == 1
        second = said(bench, sealer, SessionEventType.RETRIEVAL, "text")
        assert second.content_key is not None
        forged = replace(second, content_key=replace(second.content_key, wrapped=b"garbage"), proof=None)
        pipe(bench, bench.session.proven(forged))
        assert written_keys(bench) == []

    @pytest.mark.parametrize(
        "change", [{"kid": "other"}, {"kid": "a/b"}, {"wrapped": bytes(2_049)}, {"kek": "k" * 301}]
    )
    def test_a_key_that_does_not_fit_is_left_out(self, sealer: SessionSealer, change: dict[str, object]) -> None:
        bench = GateBench(settings=SETTINGS)
        event = said(bench, sealer, SessionEventType.RETRIEVAL, "text")
        assert event.content_key is not None
        pipe(bench, bench.session.proven(replace(event, content_key=replace(event.content_key, **change), proof=None)))
        assert contents(bench) == []
        assert written_keys(bench) == []

    def test_reports_have_half_of_the_keys_of_a_session(self, sealer: SessionSealer) -> None:
        bench = WorkerBench(gate_settings=SETTINGS, sealer=sealer)
        worker = bench.start()
        bench.serving(worker)
        maker = bench.maker_on(0)
        bench.establish(maker)
        for number in range(KEYS_PER_SESSION_MAX + 1):
            event = maker.event(SessionEventType.RETRIEVAL, bench.clock.now_ms())
            sealed = sealer.seal(event.header.tenant_uid, maker.session_id, event.header.id, "results", "text", 0)
            assert sealed is not None
            own = {"kid": f"k-{number}"}
            content, key = replace(sealed.content, **own), replace(sealed.key, **own)
            proven = maker.proven(replace(event, content=content, content_key=key, proof=None))
            partition = partition_for(maker.key, bench.partitions)
            bench.log.append(Outgoing(REPORT.name, partition, maker.key, wire().encode(REPORT.name, proven)))
        bench.settle(worker)
        assert len(keys_of(bench)) == REPORTED_KEYS_MAX == 128
        # Arguments are captured all the same.
        bench.propose(maker)
        bench.settle(worker)
        (verdict,) = [audit for audit in bench.audited() if audit.event_type is AuditEventType.VERDICT]
        assert verdict.sensitive is not None
        assert keys_of(bench)[-1].key.kid == verdict.sensitive.kid

    def test_only_the_agent_says_what_the_prompt_is(self, sealer: SessionSealer) -> None:
        bench = GateBench(settings=SETTINGS)
        event = said(bench, sealer, SessionEventType.SYSTEM_PROMPT, "text")
        pipe(bench, replace(event, proof=None))
        assert bench.dead_letters(REPORT.name) == [DeadLetterReason.REPORT_UNPROVEN]
        assert contents(bench) == []


class TestArguments:
    def test_an_abort_takes_content_and_key_back_and_both_come_again(
        self, sealer: SessionSealer, key_file: Path
    ) -> None:
        bench, worker, maker = serving_bench(sealer)
        bench.faults.fail("a", Call.COMMIT, AbortableTransactionError("refused"), times=1)
        intent_id = bench.propose(maker)
        bench.settle(worker)
        (audit,) = bench.audited()
        (key,) = keys_of(bench)
        assert audit.sensitive is not None
        assert audit.sensitive.kid == key.key.kid
        data_key = PrivateUnwrapper.load(key_file).unwrap(key.key)
        place = ContentPlace(audit.header.tenant_uid, maker.session_id, intent_id, "arguments")
        assert decrypt_content(data_key, place, audit.sensitive) == b'{"path":"a.txt"}'

    def test_another_gate_takes_a_new_key_and_the_first_goes_on_with_its_own(
        self, sealer: SessionSealer, key_file: Path
    ) -> None:
        bench = WorkerBench(gate_settings=SETTINGS, sealer=sealer)
        maker = bench.maker_on(0)
        other = SessionSealer(TenantWrappers.load({"*": key_file.with_name("any.pem.pub")}))
        bench.establish(maker)
        for own in (sealer, other, sealer):
            bench.sealer = own
            worker = bench.start()
            bench.serving(worker)
            bench.propose(maker)
            bench.settle(worker)
        kids = [audit.sensitive.kid for audit in bench.audited() if audit.sensitive is not None]
        assert len(kids) == 3
        assert kids[0] == kids[2] != kids[1]
        # The key of the first gate is not written again: it may have been destroyed in the meantime.
        assert [key.key.kid for key in keys_of(bench)] == kids[:2]

    def test_intents_without_a_proof_are_left_out(self, sealer: SessionSealer) -> None:
        bench, worker, maker = serving_bench(sealer)
        bench.propose(maker, unproven={"sub": "mallory"})
        bench.settle(worker)
        (audit,) = bench.audited()
        assert audit.sensitive is None
        assert keys_of(bench) == []


def keys_of(bench: WorkerBench) -> list[ContentKey]:
    found = (wire().decode(CONTENT_KEY.name, each.value or b"", ()) for each in bench.raw(CONTENT_KEY.name))
    return [each for each in found if isinstance(each, ContentKey)]


def test_the_row_of_keys_goes_with_its_session(sealer: SessionSealer) -> None:
    bench = GateBench(settings=SETTINGS)
    pipe(bench, said(bench, sealer, SessionEventType.RETRIEVAL, "text"))
    assert rows_of(bench) == 1
    bench.wait(48 * HOUR_MS)
    assert rows_of(bench) == 0


def rows_of(bench: GateBench) -> int:
    return sum(key.startswith(RowKind.CONTENT_KEYS.prefix) for key in bench.driver.disk.rows(0))
