"""Keys in a real Vault server (OpenBao): wrapping, re-wrapping and retiring keys of content, and signing seals.

Each party has a token of its own that may do what the documents say it needs, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.audit.content import ContentError, ContentPlace, decrypt_content
from streams.audit.seal_keys import SealKeys
from streams.audit.signatures import SigningKeyError
from streams.model.audit import Seal
from streams.model.topics import VERDICT
from streams.operations.settings import ContentSection, VaultSection
from streams.services.gate.settings import SealSection
from streams.wiring.contents import build_sealer, build_unwrapper
from tests.openbao import NoOpenBaoError, OpenBao, running_openbao
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.recorded_site import configure, make_site, records_of

PLACE = ContentPlace("acme", "s-1", "e-1", "arguments")


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    try:
        with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
            yield server
    except NoOpenBaoError as error:
        pytest.skip(str(error))


def section(bao: OpenBao, key: str, token: Path) -> ContentSection:
    return ContentSection.model_validate(
        {
            "capture": ["arguments"],
            "keys": {"acme": f"vault:{key}"},
            "vault": VaultSection(address=bao.address, token_file=token),
        }
    )


def seal_section(bao: OpenBao, key: str, token: Path, **changes: object) -> SealSection:
    return SealSection.model_validate(
        {"vault": {"address": bao.address, "key": key, "token_file": str(token), **changes}}
    )


def test_gates_wrap_and_only_readers_unwrap(bao: OpenBao, tmp_path: Path) -> None:
    bao.create("acme")
    gate, reader = bao.token(tmp_path, "gate", keys="acme"), bao.token(tmp_path, "reader", decrypt="acme")
    sealer = build_sealer(section(bao, "acme", gate))
    assert sealer is not None
    made = sealer.seal(*PLACE, "text", 0)
    assert made is not None
    with build_unwrapper(section(bao, "acme", gate), None, None, reader) as unwrapper:
        assert decrypt_content(unwrapper.unwrap(made.key), PLACE, made.content) == b"text"
    with (
        build_unwrapper(section(bao, "acme", gate), None, None, None) as own,
        pytest.raises(ContentError, match="permission denied"),
    ):
        own.unwrap(made.key)


class TestSeals:
    def test_a_key_of_vault_signs(self, bao: OpenBao, tmp_path: Path) -> None:
        bao.create("seal", "ed25519")
        signer = seal_section(bao, "seal", bao.token(tmp_path, "signer", keys="seal", sign="seal")).signer(b"")
        assert signer.public.verifies(b"message", signer.sign(b"message"))

    def test_a_version_is_kept_until_the_settings_name_the_next(self, bao: OpenBao, tmp_path: Path) -> None:
        bao.create("turning", "ed25519")
        token = bao.token(tmp_path, "turner", keys="turning", sign="turning")
        first = seal_section(bao, "turning", token).signer(b"")
        with pytest.raises(SigningKeyError, match="has no version 2"):
            seal_section(bao, "turning", token, version=2).signer(b"")
        bao.rotate("turning")
        assert first.public.verifies(b"message", first.sign(b"message"))
        second = seal_section(bao, "turning", token, version=2).signer(b"")
        assert second.public != first.public
        assert second.public.verifies(b"message", second.sign(b"message"))

    def test_a_token_that_was_replaced_in_its_file_is_taken(self, bao: OpenBao, tmp_path: Path) -> None:
        bao.create("renewed", "ed25519")
        token = bao.token(tmp_path, "renewed", keys="renewed", sign="renewed")
        signer = seal_section(bao, "renewed", token).signer(b"")
        bao.revoke(token)
        with pytest.raises(SigningKeyError, match=r"permission denied|invalid token"):
            signer.sign(b"message")
        bao.token(tmp_path, "renewed", keys="renewed", sign="renewed")
        assert signer.public.verifies(b"message", signer.sign(b"message"))

    def test_what_can_not_sign_is_refused_at_the_start(self, bao: OpenBao, tmp_path: Path) -> None:
        bao.create("encrypts")
        bao.create("signs", "ed25519")
        for key, rights, text in (
            ("encrypts", {"keys": "encrypts", "sign": "encrypts"}, "of type `rsa-3072`; create one with"),
            ("missing", {"keys": "missing"}, "status 404"),
            ("signs", {"keys": "signs"}, "permission denied"),
        ):
            with pytest.raises(SigningKeyError, match=text):
                seal_section(bao, key, bao.token(tmp_path, f"try-{key}", **rights)).signer(b"")
        with pytest.raises(SigningKeyError, match="keys would cross a network unencrypted"):
            seal_section(bao, "signs", tmp_path / "try-signs", address="http://vault.example:8200").signer(b"")


class TestFromTheCommandLine:
    """A deployment whose keys are all in Vault, by its settings alone."""

    @pytest.fixture
    def site(self, bao: OpenBao, stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stoplog:
        bao.create("tenant")
        bao.create("gates", "ed25519")
        gate = bao.token(tmp_path, "of-gate", keys="tenant")
        signer = bao.token(tmp_path, "of-signer", keys="gates", sign="gates")
        configure(monkeypatch, tmp_path)
        monkeypatch.setenv("STOPLOG_CONTENT__CAPTURE", '["arguments"]')
        monkeypatch.setenv("STOPLOG_CONTENT__KEYS", '{"*": "vault:tenant"}')
        monkeypatch.setenv("STOPLOG_CONTENT__VAULT", json.dumps({"address": bao.address, "token_file": str(gate)}))
        monkeypatch.setenv("STOPLOG_CONTENT__ALLOW_UNSIGNED", "true")
        monkeypatch.setenv(
            "STOPLOG_SEAL__VAULT", json.dumps({"address": bao.address, "token_file": str(signer), "key": "gates"})
        )
        make_site(tmp_path)
        return stoplog

    def test_content_and_seals(self, bao: OpenBao, site: Stoplog, tmp_path: Path) -> None:
        public = site("keys", "seal", "show", "--json").records[0]["public_key"]
        assert site("keys", "seal", "list", "keys.json", "--add", f"vault={public}").status == 0
        assert site("audit", "verify", "--keys", "keys.json", "--whole").status == 0
        seals = [each for each in records_of(VERDICT.name) if isinstance(each, Seal)]
        assert seals
        assert all(SealKeys.of({"vault": public}).opened(seal, seal.partition) for seal in seals)

        reader = str(bao.token(tmp_path, "of-reader", decrypt="tenant"))
        read = ("audit", "read", "s-0", "--vault-token", reader, "--why", "ticket 7", "--as", "ben", "--json")
        texts = [each["text"] for each in site(*read).records]
        assert all(texts)

        bao.rotate("tenant")
        # The token may have Vault wrap again, and can read nothing.
        wrapper = str(bao.token(tmp_path, "of-rewrapper", keys="tenant", rewrap="tenant"))
        told = site(
            "audit", "rewrap", "--vault-token", wrapper, "--why", "new version", "--as", "ann", "--json"
        ).records
        assert [each.get("kek") for each in told] == ["vault:tenant:v1", "vault:tenant:v2"]
        assert (told[-1]["keys"], told[-1]["left"]) == (2, {})
        # Who may re-wrap may not read.
        blind = site("audit", "read", "s-0", "--vault-token", wrapper, "--why", "x", "--as", "ann", "--json")
        assert [each["text"] for each in blind.records] == [None] * len(texts)
        bao.ask("POST", "transit/keys/tenant/config", min_decryption_version=2)
        assert [each["text"] for each in site(*read).records] == texts

        erased = site("audit", "erase", "--session", "s-0", "--why", "request", "--yes", "--as", "ann", "--json")
        assert erased.status == 0, erased.err
        assert all(each["fault"] == "it was erased" for each in site(*read).records)
        assert site("audit", "verify", "--keys", "keys.json", "--whole").status == 0

    def test_keys_move_from_vault_to_a_file_and_back(
        self, bao: OpenBao, site: Stoplog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        assert site("keys", "content", "new", "--out", str(tmp_path / "acme.pem")).status == 0
        reader = str(bao.token(tmp_path, "of-mover", keys="tenant", decrypt="tenant"))
        move = ("audit", "rewrap", "--why", "move", "--as", "ann", "--json", "--vault-token", reader)
        in_vault = json.dumps({"*": "vault:tenant"})
        for keys, key in (({"*": str(tmp_path / "acme.pem.pub")}, ()), (None, ("--key", str(tmp_path / "acme.pem")))):
            monkeypatch.setenv("STOPLOG_CONTENT__KEYS", in_vault if keys is None else json.dumps(keys))
            told = site(*move, *key)
            assert told.status == 0, told.err
            assert told.records[-1]["keys"] == 2
        read = ("audit", "read", "s-0", "--vault-token", reader, "--why", "x", "--as", "ben", "--json")
        assert all(each["text"] for each in site(*read).records)

    def test_the_doctor_asks_vault(self, bao: OpenBao, site: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
        found = {each["check"]: each for each in site("doctor", "--json").records if "check" in each}
        assert found["seal key"]["status"] == "ok"
        assert "in Vault" in found["seal key"]["text"]
        assert found["content keys"]["status"] == "ok"
        assert "`vault:tenant:v" in found["content keys"]["text"]
        monkeypatch.setenv("STOPLOG_CONTENT__KEYS", '{"*": "vault:nothing"}')
        broken = {each["check"]: each for each in site("doctor", "--json").records if "check" in each}
        assert broken["content keys"]["status"] == "fail"
        assert "nothing" in broken["content keys"]["text"]
