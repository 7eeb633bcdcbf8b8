"""Sealing captured content: who can open it, where, and what is taken out before."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from streams.audit.content import ContentError, ContentPlace, decrypt_content
from streams.audit.masking import mask_secrets
from streams.audit.signatures import SigningKeyError
from streams.model.content import CONTENT_BYTES_MAX
from streams.operations.signing_keys import make_content_key_file
from streams.ports.content import SealedContent
from streams.sdk.keys.content import KEY_LIFE_MS, PrivateUnwrapper, PublicWrapper, SessionSealer, TenantWrappers
from streams.sdk.keys.vault_transit import VaultTransit, read_token
from tests.unit.sdk.vault_server import READER, WRITER, Vault, vault_server

PLACE = ContentPlace("acme", "s-1", "e-1", "results")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("acme", "globex"):
        make_content_key_file(folder / f"{name}.pem", b"pass" if name == "globex" else None)
    return folder


@pytest.fixture
def sealer(keys: Path) -> SessionSealer:
    return SessionSealer(TenantWrappers.load({name: keys / f"{name}.pem.pub" for name in ("acme", "globex")}))


def sealed(sealer: SessionSealer, text: str, place: ContentPlace = PLACE, now_ms: int = 0) -> SealedContent:
    made = sealer.seal(*place, text, now_ms)
    assert made is not None
    return made


def opened(made: SealedContent, unwrapper: PrivateUnwrapper, place: ContentPlace = PLACE) -> str:
    return decrypt_content(unwrapper.unwrap(made.key), place, made.content).decode()


class TestSealing:
    def test_the_private_key_opens_it(self, sealer: SessionSealer, keys: Path) -> None:
        made = sealed(sealer, "what was read ✓")
        assert opened(made, PrivateUnwrapper.load(keys / "acme.pem")) == "what was read ✓"
        assert b"read" not in made.content.ciphertext

    def test_another_tenants_key_does_not(self, sealer: SessionSealer, keys: Path) -> None:
        other = PrivateUnwrapper.load(keys / "globex.pem", b"pass")
        with pytest.raises(ContentError, match="it needs the key `rsa:"):
            opened(sealed(sealer, "x"), other)
        # Also if the key's name is forged.
        made = sealed(sealer, "x")
        theirs = sealed(sealer, "y", PLACE._replace(tenant_uid="globex"))
        forged = made._replace(key=msgspec.structs.replace(made.key, kek=theirs.key.kek))
        with pytest.raises(ContentError, match="can't be unwrapped"):
            opened(forged, other)

    @pytest.mark.parametrize("field", ContentPlace._fields)
    def test_it_opens_only_where_it_belongs(self, sealer: SessionSealer, keys: Path, field: str) -> None:
        with pytest.raises(ContentError, match="belongs to another session, event or field"):
            opened(sealed(sealer, "x"), PrivateUnwrapper.load(keys / "acme.pem"), PLACE._replace(**{field: "other"}))

    def test_swapped_ciphertexts_do_not_open(self, sealer: SessionSealer, keys: Path) -> None:
        first, second = sealed(sealer, "one"), sealed(sealer, "two", PLACE._replace(event_id="e-2"))
        assert first.key == second.key
        assert first.content.iv != second.content.iv
        with pytest.raises(ContentError):
            opened(first._replace(content=second.content), PrivateUnwrapper.load(keys / "acme.pem"))

    @pytest.mark.parametrize("part", ["ciphertext", "tag", "iv"])
    def test_a_changed_bit_is_noticed(self, sealer: SessionSealer, keys: Path, part: str) -> None:
        made = sealed(sealer, "some text")
        value = bytearray(getattr(made.content, part))
        value[0] ^= 1
        changed = msgspec.structs.replace(made.content, **{part: bytes(value)})
        with pytest.raises(ContentError, match="it was changed"):
            opened(made._replace(content=changed), PrivateUnwrapper.load(keys / "acme.pem"))

    def test_a_session_has_a_key_of_its_own_and_a_new_one_in_time(self, sealer: SessionSealer) -> None:
        first = sealed(sealer, "x").key
        assert sealed(sealer, "y", now_ms=KEY_LIFE_MS - 1).key == first
        assert sealed(sealer, "x", PLACE._replace(session_id="s-2")).key.kid != first.kid
        assert sealed(sealer, "z", now_ms=KEY_LIFE_MS).key.kid != first.kid

    def test_many_sessions_at_a_time_keep_their_keys(self, sealer: SessionSealer) -> None:
        places = [PLACE._replace(session_id=f"s-{number}") for number in range(5_000)]
        first = [sealed(sealer, "x", place).key for place in places]
        assert [sealed(sealer, "y", place).key for place in places] == first

    def test_a_tenant_without_a_key_is_left_out(self, keys: Path) -> None:
        only = SessionSealer(TenantWrappers.load({"acme": keys / "acme.pem.pub"}))
        assert only.seal("globex", "s", "e", "results", "x", 0) is None
        anybody = SessionSealer(TenantWrappers.load({"*": keys / "acme.pem.pub"}))
        assert anybody.seal("globex", "s", "e", "results", "x", 0) is not None

    def test_what_is_too_long_is_cut_and_says_so(self, sealer: SessionSealer, keys: Path) -> None:
        text = opened(sealed(sealer, "é" * CONTENT_BYTES_MAX), PrivateUnwrapper.load(keys / "acme.pem"))
        assert len(text.encode()) <= CONTENT_BYTES_MAX
        assert text.endswith(f"[cut: {CONTENT_BYTES_MAX} characters in all]")

    def test_a_short_or_foreign_key_is_refused(self, keys: Path, tmp_path: Path) -> None:
        with pytest.raises(ContentError, match="has no public key"):
            PublicWrapper.load(keys / "acme.pem")
        with pytest.raises(ContentError, match="is encrypted; give its passphrase"):
            PrivateUnwrapper.load(keys / "globex.pem")
        with pytest.raises(ContentError, match="passphrase is wrong"):
            PrivateUnwrapper.load(keys / "globex.pem", b"wrong")


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    with vault_server() as served:
        served.create("acme")
        yield served


AWS = "AKIA" + "QWERTYUIOPASDFGH"
GITHUB = "ghp_" + "a1B2" * 9
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\n-----END PRIVATE KEY-----"


class TestMasking:
    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            (f"use {AWS} now", "use [secret: AWS key] now"),
            (f"{GITHUB}.", "[secret: GitHub token]."),
            (f"a\n{PEM}\nb", "a\n[secret: private key]\nb"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ", "[secret: private key]"),
            ("postgres://ann:hunter2@db/x", "postgres://ann:[secret: value]@db/x"),
            ('{"db_password": "hunter2", "to": "bob"}', '{"db_password": "[secret: value]", "to": "bob"}'),
            ('{"password":"a\\"b c"}', '{"password":"[secret: value]"}'),
            ("API_KEY=abcd1234 next", "API_KEY=[secret: value] next"),
            (f"API_KEY={AWS}", "API_KEY=[secret: AWS key]"),
            ("DEPLOY_TOKEN=tok_live_4f1d make deploy", "DEPLOY_TOKEN=[secret: value] make deploy"),
            ("with `NPM_TOKEN=abcd1234`", "with `NPM_TOKEN=[secret: value]`"),
            ("export AWS_SECRET_ACCESS_KEY=wJalr/K7", "export AWS_SECRET_ACCESS_KEY=[secret: value]"),
            ('{"SecretAccessKey": "wJalr/K7"}', '{"SecretAccessKey": "[secret: value]"}'),
            ('PASSWORD="hunter22" TOKEN_FILE=/x', 'PASSWORD="[secret: value]" TOKEN_FILE=/x'),
            ("Authorization: Bearer abcdefghijklmnopqrstuv", "Authorization: Bearer [secret: value]"),
        ],
    )
    def test_a_secret_is_replaced_by_what_it_is(self, text: str, masked: str) -> None:
        assert mask_secrets(text) == masked

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "bob@example.com",
            "the password is short",
            '{"token_count": 7}',
            "https://x/y?a=b",
            "page_token=abcdef&sort_key=name",
            "MAX_TOKENS=4096 PRIMARY_KEY_COLUMN=id",
        ],
    )
    def test_other_text_stays(self, text: str) -> None:
        assert mask_secrets(text) == text

    def test_json_stays_json(self) -> None:
        text = msgspec.json.encode({"a": PEM, "b": [AWS, {"secret": 'x"y\\'}]}).decode()
        assert msgspec.json.decode(mask_secrets(text)) == {
            "a": "[secret: private key]",
            "b": ["[secret: AWS key]", {"secret": "[secret: value]"}],
        }

    @pytest.mark.parametrize(
        "value", ['hunter22" x', "hunter22\\", 'a\\b\\c"', "hunter22\nnext", '"hunter22"', "'hunter22'"]
    )
    def test_json_stays_json_whatever_ends_a_value(self, value: str) -> None:
        text = msgspec.json.encode({"body": f"run API_KEY={value}", "to": "bob"}).decode()
        masked = msgspec.json.decode(mask_secrets(text))
        assert masked["to"] == "bob"
        assert "API_KEY=" in masked["body"]
        assert "hunter22" not in masked["body"]

    def test_what_a_detector_finds_is_replaced_too(self) -> None:
        masked = mask_secrets("it is s3cr3t-thing, twice s3cr3t-thing", lambda _text: ["s3cr3t-thing", "it"])
        assert masked == "it is [secret: found], twice [secret: found]"

    def test_a_find_is_replaced_where_it_is_a_part_or_has_parts_that_are_finds(self) -> None:
        finds = ["s3cr3t-thing", "line-1 s3cr3t-thing line-2"]
        masked = mask_secrets("t=s3cr3t-thing, s3cr3t-thing; line-1 s3cr3t-thing line-2", lambda _text: finds)
        assert masked == "t=[secret: found], [secret: found]; [secret: found]"

    def test_no_secret_is_sealed(self, sealer: SessionSealer, keys: Path) -> None:
        text = opened(sealed(sealer, f"before {AWS} after"), PrivateUnwrapper.load(keys / "acme.pem"))
        assert text == "before [secret: AWS key] after"


class TestVault:
    def test_what_a_gate_wraps_a_reader_unwraps(self, vault: Vault) -> None:
        with VaultTransit(vault.address, WRITER) as writer:
            sealer = SessionSealer(TenantWrappers({"acme": writer.wrapper("acme")}))
        asked = len(vault.asked)
        made = sealed(sealer, "text")
        assert made.key.kek == "vault:acme:v1"
        assert len(vault.asked) == asked, "a gate needs Vault at its start only"
        with VaultTransit(vault.address, READER) as reader:
            assert decrypt_content(reader.unwrap(made.key), PLACE, made.content) == b"text"
        assert vault.asked[-1] == ("POST", "/v1/transit/decrypt/acme", READER)

    def test_a_writer_may_not_read(self, vault: Vault) -> None:
        with VaultTransit(vault.address, WRITER) as writer:
            made = sealed(SessionSealer(TenantWrappers({"acme": writer.wrapper("acme")})), "text")
            with pytest.raises(ContentError, match=r"status 403: .*permission denied"):
                writer.unwrap(made.key)

    def test_a_rotated_key_still_opens_what_was_sealed_before(self, vault: Vault) -> None:
        vault.create("turned")
        with VaultTransit(vault.address, READER) as client:
            before = sealed(SessionSealer(TenantWrappers({"acme": client.wrapper("turned")})), "old")
            vault.create("turned")
            after = sealed(SessionSealer(TenantWrappers({"acme": client.wrapper("turned")})), "new")
            assert (before.key.kek, after.key.kek) == ("vault:turned:v1", "vault:turned:v2")
            texts = [decrypt_content(client.unwrap(each.key), PLACE, each.content) for each in (before, after)]
            assert texts == [b"old", b"new"]
            del vault.keys["turned"]
            with pytest.raises(ContentError, match="encryption key not found"):
                client.unwrap(before.key)

    def test_a_key_that_is_not_there_is_said(self, vault: Vault) -> None:
        with VaultTransit(vault.address, WRITER) as client, pytest.raises(ContentError, match="status 404"):
            client.wrapper("nobody")
        with VaultTransit(vault.address, WRITER) as client, pytest.raises(ContentError, match="can't be the name"):
            client.wrapper("../sys/seal")

    @pytest.mark.parametrize("token", ["", "hvs.secret\rx", "hvs.secret\x07", "\ufeffhvs.secret", "hvs.secret\u00e9"])
    def test_a_token_that_no_header_can_have_is_refused_and_not_shown(self, token: str) -> None:
        with (
            pytest.raises(ContentError, match="the token for Vault") as raised,
            VaultTransit("http://127.0.0.1:9", token) as client,
        ):
            client.wrapper("acme")
        assert "secret" not in str(raised.value)

    def test_the_password_in_an_address_is_not_shown(self) -> None:
        with pytest.raises(ContentError, match="unencrypted") as raised:
            VaultTransit("http://user:secret@vault.example", "t")
        assert "secret" not in str(raised.value)

    @pytest.mark.parametrize("text", ["vault:v1:A", "vault:v1:QQ=A", "vault:v2:QQ==", "v1:QQ==", None])
    def test_what_is_no_signature_is_said(
        self, vault: Vault, monkeypatch: pytest.MonkeyPatch, text: str | None
    ) -> None:
        monkeypatch.setattr(vault, "answer", lambda *_asked: (200, {"data": {"signature": text}}))
        with VaultTransit(vault.address, WRITER) as client, pytest.raises(ContentError, match="else than a signature"):
            client.sign("seal", 1, b"message")

    def test_keys_do_not_cross_a_network_in_clear(self) -> None:
        with pytest.raises(ContentError, match="use https"):
            VaultTransit("http://vault.example:8200", WRITER)

    def test_a_server_that_is_away_is_said(self) -> None:
        with VaultTransit("http://127.0.0.1:9", WRITER) as client, pytest.raises(ContentError, match="does not answer"):
            client.wrapper("acme")

    def test_a_token_that_is_gone_when_it_is_refused_is_said(self, vault: Vault, tmp_path: Path) -> None:
        file = tmp_path / "vault-token"
        file.touch(0o600)
        file.write_text(WRITER)
        with VaultTransit(vault.address, partial(read_token, file)) as client:
            made = sealed(SessionSealer(TenantWrappers({"acme": client.wrapper("acme")})), "text")
            file.unlink()
            with pytest.raises(ContentError, match=r"token `.*vault-token` can't be read"):
                client.unwrap(made.key)

    def test_a_file_of_a_token_is_called_so(self, tmp_path: Path) -> None:
        path = tmp_path / "vault-token"
        with pytest.raises(SigningKeyError, match=r"^token `.*vault-token` can't be read"):
            read_token(path)
        path.write_text("hvs.secret")
        path.chmod(0o644)
        with pytest.raises(SigningKeyError, match=r"^token `.*vault-token` can be read by others") as raised:
            read_token(path)
        assert "hvs" not in str(raised.value)
