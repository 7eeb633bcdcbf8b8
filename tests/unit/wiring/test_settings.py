"""Settings: one file, the environment over it, the command line over both; what is unknown is an error."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.model.errors import SettingsError
from streams.wiring.settings import SECTIONS, section_class, setting_names
from streams.wiring.settings_file import LINES_MAX
from streams.wiring.settings_loading import load_settings, settings_sources


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STOPLOG_SETTINGS", raising=False)
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "stoplog.toml").write_text(text)


def fault(overrides: dict[str, object] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(overrides)
    return str(caught.value)


def test_defaults_need_neither_file_nor_environment() -> None:
    settings = load_settings()
    assert settings.log == "embedded"
    assert settings.embedded_path == Path(".stoplog/log.sqlite")
    assert settings.key_path == Path(".stoplog/root.key")


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(in_empty_folder, 'instance = "file"\ngroup = "file"\ntenant = "file"\n[gate]\nverdict_ttl_ms = 1000\n')
    monkeypatch.setenv("STOPLOG_GROUP", "environment")
    monkeypatch.setenv("STOPLOG_TENANT", "environment")
    monkeypatch.setenv("STOPLOG_GATE__JOIN_GRACE_MS", "7")
    settings = load_settings({"tenant": "command line"})
    assert (settings.instance, settings.group, settings.tenant) == ("file", "environment", "command line")
    assert (settings.gate.verdict_ttl_ms, settings.gate.join_grace_ms) == (1000, 7)


@pytest.mark.parametrize(
    ("text", "unknown", "meant"),
    [
        ('bootstrp = "x"', "bootstrp", "bootstrap"),
        ("[gate]\nverdict_ttl = 5", "gate.verdict_ttl", "gate.verdict_ttl_ms"),
        ("[engine]\ncommit_intervall_ms = 5", "engine.commit_intervall_ms", "engine.commit_interval_ms"),
        ("[topics]\npartition = 5", "topics.partition", "topics.partitions"),
    ],
)
def test_an_unknown_setting_of_the_file_is_an_error_with_a_suggestion(
    in_empty_folder: Path, text: str, unknown: str, meant: str
) -> None:
    write(in_empty_folder, text)
    told = fault()
    assert f"setting `{unknown}` is unknown" in told
    assert "stoplog.toml" in told
    assert f"did you mean `{meant}`?" in told


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("STOPLOG_BOOTSTRP", "STOPLOG_BOOTSTRAP"),
        ("STOPLOG_GATE__VERDICT_TTL", "STOPLOG_GATE__VERDICT_TTL_MS"),
        ("stoplog_instanze", "STOPLOG_INSTANCE"),
        ("STOPLOG_GATE__ALERT_WINDOW", "STOPLOG_GATE__ALERT_WINDOW_MS"),
    ],
)
def test_an_unknown_variable_is_an_error_with_a_suggestion(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "1")
    told = fault()
    assert f"environment variable `{name}` is not a setting" in told
    assert f"did you mean `{meant}`?" in told


@pytest.mark.parametrize("name", ["STOPLOG_FOO", "STOPLOG_GATE__X"])
def test_what_all_variables_begin_with_makes_none_of_them_likely(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert fault() == f"environment variable `{name}` is not a setting"


def test_a_variable_sets_one_setting_of_a_section_that_may_be_left_out(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        in_empty_folder, '[seal.vault]\naddress = "https://vault.example"\nkey = "k"\ntoken_file = "t"\nversion = 1\n'
    )
    monkeypatch.setenv("STOPLOG_SEAL__VAULT__VERSION", "2")
    vault = load_settings().seal.vault
    assert vault is not None
    assert (vault.key, vault.version) == ("k", 2)
    monkeypatch.setenv("STOPLOG_SEAL__VAULT__VERSON", "2")
    assert "did you mean `STOPLOG_SEAL__VAULT__VERSION`?" in fault()


def test_every_fault_is_named_at_once(in_empty_folder: Path) -> None:
    write(in_empty_folder, 'log = "kafca"\n[gate]\nverdict_ttl_ms = "soon"\nskew_ms = -1\n')
    told = fault()
    for name in ("`log`", "`gate.verdict_ttl_ms`", "`gate.skew_ms`"):
        assert name in told
    assert "got `soon`" in told


def test_faults_of_the_command_line_are_named_with_their_section() -> None:
    told = fault({"log": "kafca", "topics": {"partitions": 0, "prefx": "a"}, "sts": {"port": "x", "tls_key": "k.pem"}})
    for name in ("`log`", "`topics.partitions`", "`topics.prefx` is unknown", "`sts.port`"):
        assert name in told
    assert "did you mean `topics.prefix`?" in told


def test_a_path_that_is_none_is_named_as_any_other_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPLOG_SEAL", '{"token": {"module": 3, "token": "t", "label": "l", "pin_file": "p"}}')
    assert "setting `seal.token.module`: input is not a valid path" in fault()


def test_rules_of_a_whole_section_are_told_in_their_own_words(in_empty_folder: Path) -> None:
    write(in_empty_folder, '[sts]\nhost = "0.0.0.0"\n')
    assert "setting `sts`: `host` is `0.0.0.0`" in fault()
    assert "got `{" not in fault()


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("session_age_max_ms = 3600000", "`unattended_age_max_ms` is 28800000, and must not be longer than"),
        ("dedup_retention_ms = 330000", "`dedup_retention_ms` is 330000, and must be longer than"),
        ("intent_age_max_ms = 86400000", "`dedup_retention_ms` is 86400000, and must be longer than"),
    ],
)
def test_durations_of_a_gate_that_do_not_fit_are_told_before_it_starts(
    in_empty_folder: Path, stated: str, told: str
) -> None:
    write(in_empty_folder, f"[gate]\n{stated}\n")
    assert f"setting `gate`: {told}" in fault()


@pytest.mark.parametrize("name", ["", "acme|s-1", "acme\x00"])
def test_a_tenant_of_which_gates_accept_no_record_is_an_error(in_empty_folder: Path, name: str) -> None:
    """Such as that of `STOPLOG_TENANT=$TENANT` where the variable is not set: `kill` would stop nothing."""
    assert "setting `tenant`: input should name a tenant, without `|`" in fault({"tenant": name})


def test_a_section_of_the_environment_is_merged_into_that_of_the_file(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(in_empty_folder, "[topics]\npartitions = 3\n[topics.quotas]\nagent = 1\n")
    monkeypatch.setenv("STOPLOG_TOPICS__REPLICATION", "2")
    monkeypatch.setenv("stoplog_topics__quotas", '{"executor": 7}')
    topics = load_settings({"topics": {"prefix": "t-"}}).topics
    assert (topics.partitions, topics.replication, topics.prefix) == (3, 2, "t-")
    assert topics.quotas == {"agent": 1, "executor": 7}


@pytest.mark.parametrize("name", ["STOPLOG_TOPICS__PRINCIPALS", "STOPLOG_TOPICS", "stoplog_topics__quotas"])
def test_the_variable_that_is_not_json_is_named(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # A text may begin like a list.
    monkeypatch.setenv("STOPLOG_TOPICS__PREFIX", "[bad")
    monkeypatch.setenv(name, "[bad")
    assert fault().startswith(f"environment variable `{name}` is not JSON: Expecting value")


def test_a_variable_that_states_a_value_twice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPLOG_GATE__TRUST_ANCHORS", '{"https://a": "hmac", "https://a": "ed25519:x"}')
    assert fault() == "environment variable `STOPLOG_GATE__TRUST_ANCHORS`: an object has the member `https://a` twice"


def test_every_number_has_an_upper_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond some number, sums of instants overflow: no gate would say so before it decides."""
    numbers = [
        (name, field)
        for name in SECTIONS
        for field, about in section_class(name).model_fields.items()
        if about.annotation is int
    ]
    assert len(numbers) > 40
    for name, field in numbers:
        with monkeypatch.context() as stated:
            stated.setenv(f"STOPLOG_{name}__{field}".upper(), str(10**20))
            assert f"setting `{name}.{field}`: input should be less than or equal to" in fault()


def test_a_section_of_which_nothing_is_stated_has_its_defaults() -> None:
    settings = load_settings()
    for name in SECTIONS:
        assert getattr(settings, name) == section_class(name)()
        assert getattr(settings, name) is getattr(settings, name)
    with pytest.raises(ValidationError, match="frozen"):
        settings.topics = settings.topics
    assert not hasattr(settings, "nonsense")


def test_only_the_sections_that_are_stated_or_read_are_loaded(in_empty_folder: Path) -> None:
    write(in_empty_folder, "[rules]\nallow_unsigned = true\n")
    code = (
        "import sys; from streams.wiring.settings_loading import load_settings; settings = load_settings();"
        "assert settings.rules.allow_unsigned and settings.metrics; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert {"streams.operations.settings", "streams.services.metrics"} <= set(loaded)
    for name in ("pydantic_settings", "asyncio", "streams.services.desk.settings", "streams.services.sts.settings"):
        assert name not in loaded


def test_librdkafka_settings_pass_through_by_name(in_empty_folder: Path) -> None:
    write(in_empty_folder, '[kafka]\n"security.protocol" = "SSL"\n"socket.timeout.ms" = 5000\n')
    assert load_settings().kafka == {"security.protocol": "SSL", "socket.timeout.ms": 5000}


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPLOG_SETTINGS", "elsewhere.toml")
    assert "the settings file `elsewhere.toml` does not exist" in fault()
    monkeypatch.setenv("STOPLOG_SETTINGS", "/")
    assert "the settings file `/` is not a file" in fault()
    monkeypatch.setenv("STOPLOG_SETTINGS", "")
    assert fault().startswith("`STOPLOG_SETTINGS` is empty")


def test_a_file_that_is_named_is_read(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_empty_folder / "other.toml").write_text('instance = "other"')
    monkeypatch.setenv("STOPLOG_SETTINGS", "other.toml")
    assert load_settings().instance == "other"
    assert settings_sources() == ("`other.toml`",)


@pytest.mark.parametrize("text", ["[gate", "log = ", "\x00", "a = 1\na = 2"])
def test_a_file_that_is_no_toml_is_an_error_that_names_it(in_empty_folder: Path, text: str) -> None:
    write(in_empty_folder, text)
    assert "`stoplog.toml` can't be read" in fault()


@pytest.mark.parametrize(
    "text",
    [f"x = {'[' * 300}{']' * 300}", f"x = {'[' * 5_000}{']' * 5_000}", f"{'.'.join('x' * 300)} = 1"],
    ids=["300 lists", "5,000 lists", "300 tables"],
)
def test_a_file_that_is_nested_too_deeply_is_an_error_that_names_it(in_empty_folder: Path, text: str) -> None:
    write(in_empty_folder, text)
    assert fault() == "`stoplog.toml` can't be read: it is nested too deeply"


def test_a_file_of_something_else_is_an_error_at_once(in_empty_folder: Path) -> None:
    write(in_empty_folder, "".join(f"key{number} = 1\n" for number in range(1_500)))
    began_s = time.process_time()
    faults = fault().split("; ")
    assert time.process_time() - began_s < 20
    assert len(faults) < 120
    assert faults[0].startswith("`stoplog.toml:1`: setting `key0` is unknown")
    assert faults[-1] == "and 1450 more"


def test_sources_are_told_apart(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_sources() == ()
    write(in_empty_folder, 'instance = "a"')
    monkeypatch.setenv("STOPLOG_GROUP", "g")
    monkeypatch.setenv("STOPLOG_TEST_BOOTSTRAP", "not a setting")
    assert settings_sources() == ("`stoplog.toml`", "`STOPLOG_GROUP`")


def test_every_setting_of_gate_and_engine_reaches_them() -> None:
    settings = load_settings()
    for section, made in (("gate", settings.gate_settings(bytes(32))), ("engine", settings.engine.for_engine())):
        for name in setting_names():
            prefix, _, field = name.partition(".")
            if prefix == section:
                assert hasattr(made, field), name


def test_passwords_are_in_no_repr_and_no_error(in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        in_empty_folder, '[kafka]\n"sasl.password" = "hunter2"\n[schema_registry]\n"basic.auth.user.info" = "hunter2"\n'
    )
    settings = load_settings()
    assert settings.kafka["sasl.password"] == "hunter2"
    for text in (repr(settings), str(settings), f"{settings}"):
        assert "hunter2" not in text
        assert "sasl.password" in text
    for wrong in (
        '[kafka]\n"sasl.password" = ["hunter2"]',
        '[schema_registry]\n"a" = {b = "hunter2"}',
        'kafka = "hunter2"',
    ):
        write(in_empty_folder, wrong)
        text = fault()
        assert "hunter2" not in text
        assert "setting `kafka" in text or "setting `schema_registry" in text
    (in_empty_folder / "stoplog.toml").unlink()
    for value in ("hunter2", '["hunter2"]', '{"sasl.password": ["hunter2"]}', '{"sasl.password": "hunter2"'):
        monkeypatch.setenv("STOPLOG_KAFKA", value)
        assert "hunter2" not in fault()


def test_the_root_key_is_in_no_repr() -> None:
    settings = load_settings().gate_settings(b"hunter2!" * 8)
    for text in (repr(settings), str(settings), f"{settings}"):
        assert "hunter2" not in text
        assert "verdict_ttl_ms=30000" in text


class TestTrustAnchors:
    KEY = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

    def test_there_are_none_and_no_session_needs_a_grant(self) -> None:
        made = load_settings().gate_settings(bytes(32))
        assert "https://id.example" not in made.trust_anchors
        assert (made.require_delegation, made.delegation_depth_max) == (False, 4)

    def test_they_come_from_the_file(self, in_empty_folder: Path) -> None:
        anchors = f'"https://id.example" = "hmac"\n"https://far.example" = ["{self.KEY}"]\n'
        write(in_empty_folder, f"[gate.trust_anchors]\n{anchors}")
        made = load_settings().gate_settings(bytes(32))
        assert made.trust_anchors.hmac_issuers == {"https://id.example"}
        assert set(made.trust_anchors.jkts) == {"https://far.example"}
        # Where somebody can issue grants, every session needs one.
        assert made.require_delegation

    @pytest.mark.parametrize("stated", ["true", "false"])
    def test_what_is_stated_about_sessions_without_a_grant_counts(self, in_empty_folder: Path, stated: str) -> None:
        write(in_empty_folder, f"[gate]\nrequire_delegation = {stated}")
        assert load_settings().gate_settings(bytes(32)).require_delegation is (stated == "true")
        anchors = f'[gate.trust_anchors]\n"https://far.example" = ["{self.KEY}"]\n'
        write(in_empty_folder, f"[gate]\nrequire_delegation = {stated}\n{anchors}")
        assert load_settings().gate_settings(bytes(32)).require_delegation is (stated == "true")

    def test_and_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STOPLOG_GATE__TRUST_ANCHORS", '{"https://id.example": "hmac"}')
        assert load_settings().gate_settings(bytes(32)).trust_anchors.hmac_issuers == {"https://id.example"}

    def test_one_that_makes_no_sense_is_an_error(self, in_empty_folder: Path) -> None:
        write(in_empty_folder, '[gate.trust_anchors]\n"https://id.example" = "hmca"\n')
        with pytest.raises(SettingsError, match=r"setting `gate\.trust_anchors`: .*`hmca` is not a key"):
            load_settings().gate_settings(bytes(32))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            '[gate]\n\n# strict\nrequire_delegation = "yes"',
            "`stoplog.toml:4`: setting `gate.require_delegation`: input should be a valid boolean, got `yes`: "
            "write `true` or `false`, without quotes",
        ),
        ("[release]\nallow_unsigned = 1", "`stoplog.toml:2`: setting `release.allow_unsigned`: input should be a"),
        ('[gate]\nverdict_ttl_ms = "5000"', "`stoplog.toml:2`: setting `gate.verdict_ttl_ms`: input should be a valid"),
        ("[gate]\nverdict_ttl_ms = 1.5", "`stoplog.toml:2`: setting `gate.verdict_ttl_ms`: input should be"),
        ("[gate]\nverdict_ttl_ms = true", "`stoplog.toml:2`: setting `gate.verdict_ttl_ms`: input should be"),
        ("instance = 7", "`stoplog.toml:1`: setting `instance`: input should be a valid string, got `7`: write a text"),
        (
            'instance = "gate 1"',
            "`stoplog.toml:1`: setting `instance`: input should be at most 100 letters, digits, `.`, `_` and `-`, the "
            "first a letter or a digit, got `gate 1`",
        ),
        ('instance = "../gate-1"', "`stoplog.toml:1`: setting `instance`: input should be at most 100 letters, "),
        ('instance = ""', "`stoplog.toml:1`: setting `instance`: input should be at most 100 letters, "),
        ("state_dir = 7", "`stoplog.toml:1`: setting `state_dir`: "),
        ('log = "kafca"', "`stoplog.toml:1`: setting `log`: input should be 'kafka' or 'embedded', got `kafca`"),
        ('group = "g"\n\n[foo]\nx = 1', "`stoplog.toml:3`: setting `foo` is unknown"),
        ("gate.verdict_ttl = 5", "`stoplog.toml:1`: setting `gate.verdict_ttl` is unknown; did you mean"),
        (
            '[desk.slack.chat]\nurl = "x"',
            "`stoplog.toml:2`: setting `desk.slack.chat.url` is unknown; `desk.slack.chat` has `url_file`",
        ),
        (
            '[[desk.routes]]\nsink = ["chat"]',
            "`stoplog.toml:2`: setting `desk.routes.0.sink` is unknown; did you mean `sinks`?",
        ),
        (
            '[seal.vault]\nuri = "x"',
            "`stoplog.toml:2`: setting `seal.vault.uri` is unknown; did you mean `seal.vault.",
        ),
        (
            '[topics.tenants]\nacme = [\n  "User:a",\n]\nother = "User:b"',
            "`stoplog.toml:5`: setting `topics.tenants.other`: ",
        ),
        ('group = """\n[gate]\nskew_ms = -1\n"""\n[gate]\nskew_ms = -1', "`stoplog.toml:6`: setting `gate.skew_ms`: "),
    ],
)
def test_a_fault_of_the_file_has_its_line(in_empty_folder: Path, text: str, told: str) -> None:
    write(in_empty_folder, text)
    assert fault().startswith(told)


def test_a_long_file_is_checked_without_lines(in_empty_folder: Path) -> None:
    write(in_empty_folder, "#\n" * LINES_MAX + "instance = 7")
    assert fault().startswith("`stoplog.toml`: setting `instance`: ")


def test_texts_of_the_environment_stand_for_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOPLOG_GATE__REQUIRE_DELEGATION", "yes")
    monkeypatch.setenv("STOPLOG_GATE__VERDICT_TTL_MS", "5000")
    gate = load_settings().gate
    assert (gate.require_delegation, gate.verdict_ttl_ms) == (True, 5000)


def test_what_a_file_leaves_to_the_environment_is_no_fault(
    in_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(in_empty_folder, '[sts.sources.users]\nissuer = "https://users.example"\n')
    assert "stoplog.toml:" not in fault()
