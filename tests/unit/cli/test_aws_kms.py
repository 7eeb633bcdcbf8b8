"""Keys in AWS KMS, as MiniStack has it: seals, what is refused and how it is told, and a deployment by its settings.

What holds of the keys of tenants wherever they are is in `tests/contract/test_key_places.py`.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from simulation.broker.kafka import free_port
from streams.audit.content import ContentError
from streams.audit.seal_keys import SealKeys
from streams.audit.signatures import SigningKeyError
from streams.model.audit import Seal
from streams.model.content import WRAP_ALG
from streams.model.topics import VERDICT
from streams.model.types import WrappedKey
from streams.operations.settings import ContentSection
from streams.operations.signing_keys import make_content_key_file
from streams.sdk.keys.aws_kms import AwsKms
from streams.services.gate.settings import SealSection
from streams.wiring.contents import build_sealer, open_rewrapper
from tests.answering import answering
from tests.ministack import REGION, MiniStack, running_ministack, without_own_credentials
from tests.unit.cli.conftest import Stoplog
from tests.unit.cli.recorded_site import configure, make_site, records_of

ED25519 = ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
SIGNER = ("kms:GetPublicKey", "kms:Sign")
NAMED = WrappedKey(kid="k", kek=f"aws:arn:aws:kms:{REGION}:000000000000:key/1", alg=WRAP_ALG, wrapped=b"w")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with running_ministack(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials, until a test has some."""
    without_own_credentials(monkeypatch)


def become(monkeypatch: pytest.MonkeyPatch, credentials: dict[str, str]) -> None:
    for name, value in credentials.items():
        monkeypatch.setenv(name, value)


def seal_section(endpoint: str, key: str, **changes: object) -> SealSection:
    return SealSection.model_validate({"aws": {"region": REGION, "endpoint": endpoint, "key": key, **changes}})


class TestSeals:
    def test_a_key_of_kms_signs(self, stack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
        arn = stack.create("seal", *ED25519)
        become(monkeypatch, stack.user("signer", *SIGNER))
        by_alias, by_arn = (seal_section(stack.endpoint, key).signer(b"") for key in ("alias/seal", arn))
        assert by_alias.public == by_arn.public
        assert by_alias.public.verifies(b"message", by_alias.sign(b"message"))

    def test_a_gate_keeps_its_key_when_the_alias_is_given_to_another_one(
        self, stack: MiniStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stack.create("turning", *ED25519)
        become(monkeypatch, stack.user("turner", *SIGNER))
        first = seal_section(stack.endpoint, "alias/turning").signer(b"")
        stack.rotate("turning", *ED25519)
        assert first.public.verifies(b"message", first.sign(b"message"))
        second = seal_section(stack.endpoint, "alias/turning").signer(b"")
        assert second.public != first.public
        assert second.public.verifies(b"message", second.sign(b"message"))

    def test_a_key_that_is_disabled_signs_nothing_more(self, stack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
        arn = stack.create("stopped", *ED25519)
        become(monkeypatch, stack.user("stopper", *SIGNER))
        signer = seal_section(stack.endpoint, "alias/stopped").signer(b"")
        stack.kms.disable_key(KeyId=arn)
        with pytest.raises(SigningKeyError, match=rf"refuses `Sign` with key `{arn}`: DisabledException.*; enable it"):
            signer.sign(b"message")
        stack.kms.enable_key(KeyId=arn)
        assert signer.public.verifies(b"message", signer.sign(b"message"))

    def test_a_message_that_kms_does_not_sign_is_not_sent(
        self, stack: MiniStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stack.create("long", *ED25519)
        become(monkeypatch, stack.user("long", *SIGNER))
        signer = seal_section(stack.endpoint, "alias/long").signer(b"")
        longest = b"x" * 4_096
        assert signer.public.verifies(longest, signer.sign(longest))
        with pytest.raises(SigningKeyError, match="signs at most 4096 bytes, and these are 4097"):
            signer.sign(longest + b"x")

    def test_what_can_not_sign_is_refused_at_the_start(self, stack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
        stack.create("encrypts")
        stack.create("signs", *ED25519)
        stack.create("curve", "ECC_NIST_P256", "SIGN_VERIFY")
        become(monkeypatch, stack.user("starter", *SIGNER))
        for key, text in (
            (
                "alias/encrypts",
                "spec `RSA_3072` and the usage `ENCRYPT_DECRYPT`; create one of `ECC_NIST_EDWARDS25519`",
            ),
            ("alias/curve", "of the key spec `ECC_NIST_P256`"),
            ("alias/missing", "NotFoundException: .*; name a key or an alias of this region"),
        ):
            with pytest.raises(SigningKeyError, match=rf"key `{key}` of AWS KMS can't be used: .*{text}"):
                seal_section(stack.endpoint, key).signer(b"")
        become(monkeypatch, stack.user("looker", "kms:GetPublicKey"))
        with pytest.raises(SigningKeyError, match=r"region `eu-central-1` refuses `Sign`.*AccessDenied"):
            seal_section(stack.endpoint, "alias/signs").signer(b"")
        with pytest.raises(SigningKeyError, match="keys would cross a network unencrypted"):
            seal_section("http://kms.example", "alias/signs").signer(b"")

    def test_only_one_key_can_be_named(self) -> None:
        with pytest.raises(ValueError, match="name several keys"):
            SealSection.model_validate({"key_variable": "KEY", "aws": {"region": REGION, "key": "alias/seal"}})


class TestKeysOfTenants:
    @pytest.mark.parametrize(
        ("kind", "text"),
        [
            (("RSA_2048", "ENCRYPT_DECRYPT"), "has no RSA key of 3072 bits or more"),
            (("RSA_3072", "SIGN_VERIFY"), "create one of `RSA_3072` and `ENCRYPT_DECRYPT`"),
            (("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), "or is not asymmetric"),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else "",
    )
    def test_what_can_not_wrap_is_refused_at_the_start(
        self, stack: MiniStack, monkeypatch: pytest.MonkeyPatch, kind: tuple[str, str], text: str
    ) -> None:
        name = "-".join(kind)
        stack.create(name, *kind)
        become(monkeypatch, stack.user(name, "kms:GetPublicKey"))
        with AwsKms(REGION, endpoint=stack.endpoint) as kms, pytest.raises(ContentError, match=text):
            kms.wrapper(f"alias/{name}")

    def test_a_key_that_is_about_to_be_deleted_opens_nothing(
        self, stack: MiniStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arn = stack.create("leaving")
        become(monkeypatch, stack.user("leaver", "kms:GetPublicKey", "kms:Decrypt"))
        with AwsKms(REGION, endpoint=stack.endpoint) as kms:
            key = kms.wrapper("alias/leaving").wrap("kid", b"k" * 32)
            assert kms.unwrap(key) == b"k" * 32
            stack.kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
            with pytest.raises(ContentError, match=r"KMSInvalidStateException.*about to be deleted"):
                kms.unwrap(key)

    def test_a_key_of_the_settings_needs_its_section(self) -> None:
        with pytest.raises(ContentError, match=r"there is no `\[content\.aws\]`"):
            build_sealer(ContentSection.model_validate({"capture": ["arguments"], "keys": {"acme": "aws:alias/acme"}}))

    def test_only_names_of_keys_are_proposed_as_former_ones(self, tmp_path: Path) -> None:
        """Who writes keys could have an operator paste something else into a shell."""
        make_content_key_file(tmp_path / "acme.pem")
        section = ContentSection.model_validate({"keys": {"acme": str(tmp_path / "acme.pem.pub")}})
        with open_rewrapper(section, "acme", tmp_path / "acme.pem", None, None) as rewrapper:
            with pytest.raises(ContentError, match=f"give `--from {NAMED.kek}`"):
                rewrapper.rewrap(NAMED)
            with pytest.raises(ContentError, match="is not one of AWS KMS") as caught:
                rewrapper.rewrap(replace(NAMED, kek=f"{NAMED.kek}; true"))
        assert "--from" not in str(caught.value)

    def test_only_keys_of_the_region_are_asked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is stored names the key: whoever has written it does not choose whom readers ask."""
        with AwsKms("us-east-1", endpoint=f"http://127.0.0.1:{free_port()}") as kms:
            with pytest.raises(ContentError, match="the settings are for region `us-east-1`"):
                kms.unwrap(NAMED)
            for kek in ("vault:acme:v1", "aws:alias/acme", "arn:aws:kms:us-east-1:000000000000:key/1", "aws:"):
                with pytest.raises(ContentError, match="which is not one of AWS KMS"):
                    kms.unwrap(WrappedKey(kid="k", kek=kek, alg=WRAP_ALG, wrapped=b"w"))
            with pytest.raises(ContentError, match="it is wrapped by `other`"):
                kms.unwrap(WrappedKey(kid="k", kek=NAMED.kek, alg="other", wrapped=b"w"))


class TestSecrets:
    """No key and no credential gets into a message."""

    def test_credentials_that_do_not_count(self, stack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
        become(monkeypatch, stack.user("former", "kms:GetPublicKey"))
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
        with AwsKms(REGION, endpoint=stack.endpoint) as kms, pytest.raises(ContentError) as caught:
            kms.wrapper("alias/seal")
        assert "refuses `GetPublicKey`" in str(caught.value)
        assert "wrong-secret" not in str(caught.value)

    def test_no_credentials(self) -> None:
        with AwsKms(REGION) as kms, pytest.raises(ContentError, match=r"can't be asked: Unable to locate credentials"):
            kms.unwrap(NAMED)

    def test_what_was_asked_for_credentials_is_not_quoted(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "helper").write_text("#!/bin/sh\necho hunter2 >&2\nexit 1\n")
        (tmp_path / "helper").chmod(0o700)
        (tmp_path / "config").write_text(f"[default]\ncredential_process = {tmp_path / 'helper'}\n")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        with pytest.raises(ContentError, match="CredentialRetrievalError") as caught, AwsKms(REGION) as kms:
            kms.unwrap(NAMED)
        assert "hunter2" not in str(caught.value)

    def test_debug_messages_have_no_keys(
        self, stack: MiniStack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        stack.create("logged")
        credentials = stack.user("logged", "kms:GetPublicKey", "kms:Decrypt")
        become(monkeypatch, credentials)
        caplog.set_level(logging.DEBUG)
        with AwsKms(REGION, endpoint=stack.endpoint) as kms:
            key = kms.wrapper("alias/logged").wrap("kid", b"k" * 32)
            assert kms.unwrap(key) == b"k" * 32
        assert base64.b64encode(b"k" * 32).decode() not in caplog.text
        assert credentials["AWS_SECRET_ACCESS_KEY"] not in caplog.text


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"Plaintext": 7}', b'{"Plaintext": "%%%"}'])
def test_an_answer_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    become(monkeypatch, {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"})

    with answering(200, body) as address, AwsKms(REGION, endpoint=address, attempts_max=1) as kms:
        with pytest.raises(ContentError, match="has sent something else than"):
            kms.unwrap(NAMED)
        with pytest.raises(ContentError, match=r"has sent something else than|of the key spec `None`"):
            kms.wrapper("alias/acme")


class TestFromTheCommandLine:
    """A deployment whose keys are all in KMS, by its settings alone."""

    @pytest.fixture
    def site(self, stack: MiniStack, stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stoplog:
        self.name = tmp_path.name
        self.arn = stack.create(f"{self.name}-tenant")
        stack.create(f"{self.name}-gates", *ED25519)
        become(monkeypatch, stack.user(f"{self.name}-gate", *SIGNER))
        configure(monkeypatch, tmp_path)
        place = {"region": REGION, "endpoint": stack.endpoint}
        monkeypatch.setenv("STOPLOG_CONTENT__CAPTURE", '["arguments"]')
        monkeypatch.setenv("STOPLOG_CONTENT__KEYS", json.dumps({"*": f"aws:alias/{self.name}-tenant"}))
        monkeypatch.setenv("STOPLOG_CONTENT__AWS", json.dumps(place))
        monkeypatch.setenv("STOPLOG_CONTENT__ALLOW_UNSIGNED", "true")
        monkeypatch.setenv("STOPLOG_SEAL__AWS", json.dumps(place | {"key": f"alias/{self.name}-gates"}))
        make_site(tmp_path)
        return stoplog

    def test_content_and_seals(self, stack: MiniStack, site: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
        public = site("keys", "seal", "show", "--json").records[0]["public_key"]
        assert site("keys", "seal", "list", "keys.json", "--add", f"kms={public}").status == 0
        assert site("audit", "verify", "--keys", "keys.json", "--whole").status == 0
        seals = [each for each in records_of(VERDICT.name) if isinstance(each, Seal)]
        assert seals
        assert all(SealKeys.of({"kms": public}).opened(seal, seal.partition) for seal in seals)

        gate = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        reader = stack.user(f"{self.name}-reader", "kms:Decrypt")
        read = ("audit", "read", "s-0", "--why", "ticket 7", "--as", "ben", "--json")
        assert not any(each["text"] for each in site(*read).records)
        become(monkeypatch, reader)
        texts = [each["text"] for each in site(*read).records]
        assert texts
        assert all(texts)

        after = stack.rotate(f"{self.name}-tenant")
        become(monkeypatch, stack.user(f"{self.name}-rewrapper", "kms:GetPublicKey", "kms:ReEncrypt*"))
        rewrap = ("audit", "rewrap", "--why", "new key", "--as", "ann", "--json")
        # Which key the tenant had before is said by whoever has rotated it, and by nobody who writes to topics.
        told = site(*rewrap)
        assert told.status == 1
        assert told.records[0]["kek"] == f"aws:{self.arn}"
        assert all(f"give `--from aws:{self.arn}`" in fault for fault in told.records[-1]["left"])
        told = site(*rewrap, "--from", f"aws:{self.arn}")
        assert told.status == 0, told.err
        assert (told.records[-1]["kek"], told.records[-1]["keys"], told.records[-1]["left"]) == (f"aws:{after}", 2, {})
        # Who may wrap again may not read.
        assert not any(each["text"] for each in site(*read).records)
        stack.kms.schedule_key_deletion(KeyId=self.arn, PendingWindowInDays=7)
        become(monkeypatch, reader)
        assert [each["text"] for each in site(*read).records] == texts

        become(monkeypatch, gate)
        erased = site("audit", "erase", "--session", "s-0", "--why", "request", "--yes", "--as", "ann", "--json")
        assert erased.status == 0, erased.err
        become(monkeypatch, reader)
        assert all(each["fault"] == "it was erased" for each in site(*read).records)
        assert site("audit", "verify", "--keys", "keys.json", "--whole").status == 0

    def test_keys_move_from_kms_to_a_file_and_back(
        self, stack: MiniStack, site: Stoplog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        assert site("keys", "content", "new", "--out", str(tmp_path / "acme.pem")).status == 0
        become(monkeypatch, stack.user(f"{self.name}-mover", "kms:GetPublicKey", "kms:Decrypt"))
        move = ("audit", "rewrap", "--why", "move", "--as", "ann", "--json")
        monkeypatch.setenv("STOPLOG_CONTENT__KEYS", json.dumps({"*": str(tmp_path / "acme.pem.pub")}))
        told = site(*move, "--from", f"aws:{self.arn}")
        assert (told.status, told.records[-1]["keys"]) == (0, 2), told.err
        monkeypatch.setenv("STOPLOG_CONTENT__KEYS", json.dumps({"*": f"aws:alias/{self.name}-tenant"}))
        told = site(*move, "--key", str(tmp_path / "acme.pem"))
        assert (told.status, told.records[-1]["keys"]) == (0, 2), told.err
        read = site("audit", "read", "s-0", "--why", "x", "--as", "ben", "--json")
        assert all(each["text"] for each in read.records)

    def test_only_keys_of_kms_are_named_as_former_ones(self, site: Stoplog) -> None:
        told = site("audit", "rewrap", "--why", "x", "--as", "ann", "--from", "vault:acme:v1")
        assert told.status != 0
        assert "`--from` is for keys of AWS KMS" in told.err

    def test_a_key_of_another_tenant_is_no_former_key(
        self, stack: MiniStack, site: Stoplog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its ARN is what `--dry-run` shows if somebody has put keys of that tenant under this one."""
        other = stack.create(f"{self.name}-globex")
        stated = {"*": f"aws:alias/{self.name}-tenant", "globex": f"aws:alias/{self.name}-globex"}
        monkeypatch.setenv("STOPLOG_CONTENT__KEYS", json.dumps(stated))
        rewrap = ("audit", "rewrap", "--why", "x", "--as", "ann", "--from", f"aws:{other}")
        told = site(*rewrap)
        assert told.status == 1
        assert "tenant `default` has had, but `content.keys` names" in told.err
        assert f"`aws:{other}` for tenant `globex`" in told.err
        monkeypatch.setenv("STOPLOG_CONTENT__KEYS", json.dumps(stated | {"globex": "aws:alias/missing"}))
        told = site(*rewrap)
        assert told.status == 1
        assert "key `aws:alias/missing` of tenant `globex` can't be looked up" in told.err

    def test_the_doctor_asks_kms(self, site: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
        found = {each["check"]: each for each in site("doctor", "--json").records if "check" in each}
        assert found["seal key"]["status"] == "ok"
        assert "in AWS KMS" in found["seal key"]["text"]
        assert found["content keys"]["status"] == "ok"
        assert f"`aws:{self.arn}`" in found["content keys"]["text"]
        monkeypatch.setenv("STOPLOG_CONTENT__KEYS", '{"*": "aws:alias/nothing"}')
        broken = {each["check"]: each for each in site("doctor", "--json").records if "check" in each}
        assert broken["content keys"]["status"] == "fail"
        assert "alias/nothing" in broken["content keys"]["text"]
