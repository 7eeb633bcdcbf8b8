"""Each check of the doctor finds what it is for: the failures that no healthy deployment shows."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from streams.codec.avro import Codec
from streams.codec.schemas import CommittedSchemas, schema_directory
from streams.inmemory.admin import MemoryAdmin
from streams.inmemory.clients import MemoryReader
from streams.inmemory.clock import ManualClock
from streams.inmemory.log import MemoryLog
from streams.model.revocation import RevocationKind
from streams.model.topics import INTENT, RULESET, TOKEN_USED
from streams.operations.doctor import examination as doctor_module
from streams.operations.doctor.examination import examine
from streams.operations.doctor.findings import Finding, Status
from streams.operations.doctor.installation import Installation
from streams.operations.doctor.log_checks import examine_log
from streams.operations.settings import CatalogSection, Deployment, ReleaseSection, RulesSection, TopicsSection
from streams.operations.topics.application import carry_out, make_plan
from streams.ports import AclSpec, LogError, Outgoing, TopicPartition
from streams.ports.open_log import Log
from tests.kit import START_MS

TENANT = "acme"
KEY = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RELEASE = ReleaseSection(releasers={"ann": KEY}, kinds={"ann": [RevocationKind.SESSION]})


LONG_TIMEOUTS = {"transaction.max.timeout.ms": "900000", "broker.session.timeout.ms": "9000"}
SHORT_TIMEOUTS = {"transaction.max.timeout.ms": "15000", "broker.session.timeout.ms": "3000"}


class PassingClock(ManualClock):
    """Time passes while it is looked at, so that waiting comes to an end."""

    def monotonic_ms(self) -> int:
        self.advance(10)
        return super().monotonic_ms()


class Admin(MemoryAdmin):
    """The administration of a log with access control and brokers, as far as `ALog` says."""

    def __init__(self, log: ALog) -> None:
        super().__init__(log)
        self._log = log

    def hidden(self, topics: Sequence[str], *, configs: bool = False) -> frozenset[str]:
        if self._log.down:
            raise LogError("no broker answers")
        return self._log.unseen & set(topics)

    def acls(self) -> set[AclSpec] | None:
        return None

    def broker_settings(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if self._log.settings is None:
            raise LogError("they are for administrators")
        return self._log.settings


class ALog(MemoryLog):
    """A log whose clients meet what a cluster can have in store for them."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.down = False
        self.unseen: frozenset[str] = frozenset()
        self.settings: dict[str, dict[str, str]] | None = {}
        self.readers_left = 1_000

    @property
    def name(self) -> str:
        return "log of the test"

    def admin(self) -> MemoryAdmin:
        return Admin(self)

    def reader(self, client: str = "reader") -> MemoryReader:
        self.readers_left -= 1
        if self.readers_left < 0:
            raise LogError("no broker answers any more")
        return super().reader(client)


class Rights:
    """What the log says that this client may do."""

    def __init__(self, topics: frozenset[str] | None, group: frozenset[str] | None, lacking: str = "") -> None:
        self._topics, self._group, self._lacking = topics, group, lacking

    def on_topics(self, topics: Sequence[str]) -> dict[str, frozenset[str] | None]:
        return {each: frozenset() if each == self._lacking else self._topics for each in topics}

    def on_group(self, group: str) -> frozenset[str] | None:
        return self._group

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def clock() -> PassingClock:
    return PassingClock(START_MS)


@pytest.fixture
def log(clock: PassingClock) -> ALog:
    made = ALog(clock)
    section = TopicsSection(partitions=1)
    carry_out(make_plan(section, "gates", made.admin(), [TENANT]), made.admin(), 1, lambda step: None)
    return made


@pytest.fixture
def installation(tmp_path: Path, clock: PassingClock) -> Installation:
    def closed() -> Log:
        raise LogError("the log is closed")

    deployment = Deployment(
        tenant_uid=TENANT,
        bundle_name="default",
        rules=RulesSection(publishers={"ann": KEY}),
        catalog=CatalogSection(reviewers={"bob": KEY}),
        release=RELEASE,
    )
    return Installation(
        sources=(),
        deployment=deployment,
        topics=TopicsSection(partitions=1),
        group="gates",
        instance="gate-1",
        root_key_path=tmp_path / "root.key",
        state_dir=tmp_path / "state",
        schema_registry_url=None,
        on_embedded_log=False,
        clock=clock,
        build_codec=lambda: Codec(CommittedSchemas.load()),
        open_log=closed,
        open_rights=None,
    )


def found(installation: Installation, log: ALog) -> dict[str, Finding]:
    return {each.check: each for each in examine_log(installation, log, installation.build_codec())}


def deployed(installation: Installation, **changes: object) -> Installation:
    return replace(installation, deployment=replace(installation.deployment, **changes))


class TestSchemas:
    @pytest.fixture
    def schemas(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        copy = tmp_path / "schemas"
        shutil.copytree(schema_directory(), copy)
        monkeypatch.setattr(doctor_module, "schema_directory", lambda: copy)
        return copy

    def finding(self, installation: Installation) -> Finding:
        return next(each for each in examine(installation) if each.check == "schemas")

    def test_whole(self, schemas: Path, installation: Installation) -> None:
        assert self.finding(installation).status is Status.OK

    def test_a_file_that_can_not_be_read(self, schemas: Path, installation: Installation) -> None:
        (schemas / "ids.lock.json").write_text("{")
        finding = self.finding(installation)
        assert (finding.status, finding.advice) == (Status.FAIL, "install stoplog again")

    def test_a_schema_that_was_changed(self, schemas: Path, installation: Installation) -> None:
        path = schemas / "avro" / "intent.v2.avsc"
        path.write_text(path.read_text().replace('"session_id"', '"session_name"'))
        finding = self.finding(installation)
        assert finding.status is Status.FAIL
        assert "intent" in finding.text


class TestLog:
    def test_one_that_can_not_be_opened(self, installation: Installation) -> None:
        finding = list(examine(installation))[-1]
        assert (finding.check, finding.status, finding.text) == ("log", Status.FAIL, "the log is closed")

    @pytest.mark.parametrize("is_embedded", [True, False])
    def test_one_that_does_not_answer(self, installation: Installation, log: ALog, is_embedded: bool) -> None:
        log.down = True
        checks = found(replace(installation, on_embedded_log=is_embedded), log)
        assert list(checks) == ["log"]
        assert (checks["log"].status, checks["log"].text) == (Status.FAIL, "no broker answers")
        assert ("brokers run" in checks["log"].advice) is not is_embedded

    def test_topics_of_gates_that_this_client_may_not_see(self, installation: Installation, log: ALog) -> None:
        log.unseen = frozenset({INTENT.name, RULESET.name})
        checks = found(installation, log)
        assert list(checks) == ["log", "rights"]
        assert checks["rights"].status is Status.FAIL
        assert f"may not see topic `{INTENT.name}`" in checks["rights"].text
        assert "`topics.principals`" in checks["rights"].advice

    def test_other_topics_that_this_client_may_not_see(self, installation: Installation, log: ALog) -> None:
        log.unseen = frozenset({TOKEN_USED.name})
        topics = found(installation, log)["topics"]
        assert topics.status is Status.OK
        assert "all that can be seen are as declared; not checked, as this client may not see them: " in topics.text
        assert TOKEN_USED.name in topics.text
        assert "an administrator can check them" in topics.advice

    def test_principals_that_make_no_sense(self, installation: Installation, log: ALog) -> None:
        section = TopicsSection(partitions=1, principals={"gaet": ["User:g"]})
        topics = found(replace(installation, topics=section), log)["topics"]
        assert topics.status is Status.FAIL
        assert "did you mean `gate`?" in topics.text

    def test_a_log_that_goes_away_meanwhile(self, installation: Installation, log: ALog) -> None:
        log.readers_left = 0
        checks = found(installation, log)
        assert (checks["transactions"].status, checks["clock"].status) == (Status.WARN, Status.WARN)
        assert "can't be looked for: no broker answers any more" in checks["transactions"].text
        assert "can't be compared with the broker's" in checks["clock"].text
        assert (checks["published"].status, checks["published"].text) == (Status.FAIL, "no broker answers any more")
        assert "rules" not in checks


class TestBrokers:
    def test_settings_that_only_administrators_see(self, installation: Installation, log: ALog) -> None:
        log.settings = None
        brokers = found(installation, log)["brokers"]
        assert (brokers.status, brokers.text) == (
            Status.WARN,
            "their settings can't be read: they are for administrators",
        )
        assert "ask an administrator" in brokers.advice

    def test_timeouts_that_are_long(self, installation: Installation, log: ALog) -> None:
        log.settings = {"1": SHORT_TIMEOUTS, "2": LONG_TIMEOUTS}
        brokers = found(installation, log)["brokers"]
        assert brokers.status is Status.WARN
        assert "`transaction.max.timeout.ms` is above 15000 (broker 2: 900000 ms)" in brokers.text
        assert "`broker.session.timeout.ms` is above 3000 (broker 2: 9000 ms)" in brokers.text
        assert "`broker.session.timeout.ms=3000` and `broker.heartbeat.interval.ms=500`" in brokers.advice

    def test_timeouts_that_are_short(self, installation: Installation, log: ALog) -> None:
        log.settings = {"1": SHORT_TIMEOUTS}
        assert found(installation, log)["brokers"].status is Status.OK


class TestTransactions:
    @pytest.fixture
    def opened(self, log: ALog) -> TopicPartition:
        producer = log.producer("somebody")
        producer.init_transactions()
        producer.begin()
        producer.send(Outgoing(INTENT.name, 0, b"key", b"value"))
        return TopicPartition(INTENT.name, 0)

    def test_one_that_stays_open(self, installation: Installation, log: ALog, opened: TopicPartition) -> None:
        transactions = found(installation, log)["transactions"]
        assert transactions.status is Status.FAIL
        assert f"readers of `{opened.topic}` partition 0 have waited for at least" in transactions.text
        assert "kafka-transactions.sh" in transactions.advice

    def test_none(self, installation: Installation, log: ALog) -> None:
        assert found(installation, log)["transactions"].status is Status.OK


class TestRights:
    ALL = frozenset({"READ", "WRITE"})

    def finding(self, installation: Installation, log: ALog, rights: Rights) -> Finding:
        return found(replace(installation, open_rights=lambda: rights), log)["rights"]

    def test_all(self, installation: Installation, log: ALog) -> None:
        assert "sufficient" in self.finding(installation, log, Rights(self.ALL, self.ALL)).text

    def test_topics_that_may_not_be_read_or_written(self, installation: Installation, log: ALog) -> None:
        rights = self.finding(installation, log, Rights(self.ALL, self.ALL, lacking="stoplog.gate.changelog"))
        assert rights.status is Status.FAIL
        assert rights.text == ("this client may not read `stoplog.gate.changelog`; write `stoplog.gate.changelog`")
        assert "stoplog topics apply" in rights.advice

    def test_a_group_that_may_not_be_joined(self, installation: Installation, log: ALog) -> None:
        rights = self.finding(installation, log, Rights(self.ALL, frozenset()))
        assert (rights.status, rights.text) == (Status.FAIL, "this client may not read group `gates`")

    def test_brokers_that_do_not_say(self, installation: Installation, log: ALog) -> None:
        rights = self.finding(installation, log, Rights(None, None))
        assert (rights.status, rights.text) == (Status.OK, "the broker does not report them")

    def test_brokers_that_do_not_answer(self, installation: Installation, log: ALog) -> None:
        def refuse() -> Rights:
            raise LogError("no broker answers")

        rights = found(replace(installation, open_rights=refuse), log)["rights"]
        assert (rights.status, rights.text) == (Status.WARN, "can't be found out: no broker answers")


class TestTrust:
    def test_named_persons(self, installation: Installation, log: ALog) -> None:
        checks = found(installation, log)
        assert {checks[each].status for each in ("publishers", "reviewers", "releasers")} == {Status.OK}
        assert checks["publishers"].text == "ann; 1 of them must sign"
        assert checks["releasers"].text == "ann; ann only SESSION"

    def test_nobody(self, installation: Installation, log: ALog) -> None:
        nobody = deployed(installation, rules=RulesSection(), catalog=CatalogSection(), release=ReleaseSection())
        checks = found(nobody, log)
        assert (checks["publishers"].status, checks["reviewers"].status) == (Status.FAIL, Status.FAIL)
        assert "every rule bundle is rejected" in checks["publishers"].text
        assert "stoplog keys publisher new" in checks["publishers"].advice
        assert checks["releasers"].status is Status.WARN
        assert "no stop can be released" in checks["releasers"].text
        assert "stoplog keys releaser new" in checks["releasers"].advice

    def test_anybody(self, installation: Installation, log: ALog) -> None:
        anybody = deployed(
            installation,
            rules=RulesSection(allow_unsigned=True),
            catalog=CatalogSection(allow_unsigned=True),
            release=ReleaseSection(allow_unsigned=True),
        )
        checks = found(anybody, log)
        for check, section in (("publishers", "rules"), ("reviewers", "catalog"), ("releasers", "release")):
            assert checks[check].status is Status.WARN
            assert f"remove `{section}.allow_unsigned`" in checks[check].advice
