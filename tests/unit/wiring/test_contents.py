"""What seals and opens captured content, as the settings say."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from streams.audit.content import ContentError, ContentPlace, decrypt_content
from streams.operations.settings import ContentSection, VaultSection
from streams.operations.signing_keys import make_content_key_file
from streams.wiring.contents import build_sealer, build_unwrapper, open_rewrapper
from tests.unit.sdk.vault_server import READER, WRITER, vault_server

PLACE = ContentPlace("acme", "s-1", "e-1", "arguments")


def test_nothing_is_sealed_by_default() -> None:
    assert build_sealer(ContentSection()) is None


def test_a_gate_needs_no_key_for_what_others_encrypt() -> None:
    captured = {"capture": ["results", "model_output"], "keys": {"acme": "missing.pem.pub"}}
    assert build_sealer(ContentSection.model_validate(captured)) is None


def test_capture_without_a_key_is_an_error() -> None:
    with pytest.raises(ContentError, match=r"`content\.keys` has no key"):
        build_sealer(ContentSection.model_validate({"capture": ["arguments"]}))
    with pytest.raises(ContentError, match=r"there is no `\[content.vault\]`"):
        build_sealer(ContentSection.model_validate({"capture": ["arguments"], "keys": {"acme": "vault:acme"}}))


def test_a_reader_without_a_key_is_an_error() -> None:
    with pytest.raises(ContentError, match="give the private key"):
        build_unwrapper(ContentSection(), None, None, None)


def test_a_private_key_needs_no_token_of_vault(tmp_path: Path) -> None:
    make_content_key_file(tmp_path / "acme.pem")
    vault = VaultSection(address="https://vault.example", token_file=tmp_path / "missing")
    section = ContentSection.model_validate(
        {"capture": ["arguments"], "keys": {"acme": str(tmp_path / "acme.pem.pub")}, "vault": vault}
    )
    sealer = build_sealer(section)
    assert sealer is not None
    made = sealer.seal(*PLACE, "text", 0)
    assert made is not None
    with build_unwrapper(section, tmp_path / "acme.pem", None, None) as unwrapper:
        assert decrypt_content(unwrapper.unwrap(made.key), PLACE, made.content) == b"text"
        with pytest.raises(ContentError, match=r"missing` can't be read"):
            unwrapper.unwrap(replace(made.key, kek="vault:acme:v1"))


def test_a_service_that_can_not_be_opened_keeps_nobody_from_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers without a file of a key open a service for the first key of it."""
    (tmp_path / "reader").write_text(READER)
    (tmp_path / "reader").chmod(0o600)
    monkeypatch.setenv("AWS_PROFILE", "of-nobody")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "missing"))
    with vault_server() as vault:
        vault.create("acme")
        section = ContentSection.model_validate(
            {
                "capture": ["arguments"],
                "keys": {"acme": "vault:acme"},
                "vault": VaultSection(address=vault.address, token_file=tmp_path / "reader"),
                "aws": {"region": "eu-central-1"},
            }
        )
        sealer = build_sealer(section)
        assert sealer is not None
        made = sealer.seal(*PLACE, "text", 0)
        assert made is not None
        with build_unwrapper(section, None, None, None) as unwrapper:
            assert decrypt_content(unwrapper.unwrap(made.key), PLACE, made.content) == b"text"
            of_kms = "aws:arn:aws:kms:eu-central-1:111122223333:key/1"
            with pytest.raises(ContentError, match=r"can't be asked: .*of-nobody"):
                unwrapper.unwrap(replace(made.key, kek=of_kms))
        (tmp_path / "reader").unlink()
        without_token = build_unwrapper(section, None, None, None)
        with without_token as unwrapper, pytest.raises(ContentError, match=r"reader` can't be read"):
            unwrapper.unwrap(made.key)


def test_tenants_can_have_keys_in_files_and_in_vault(tmp_path: Path) -> None:
    make_content_key_file(tmp_path / "globex.pem")
    for name, token in (("writer", WRITER), ("reader", READER)):
        (tmp_path / name).write_text(f"{token}\n")
        (tmp_path / name).chmod(0o600)
    with vault_server() as vault:
        vault.create("stoplog-acme")
        section = ContentSection.model_validate(
            {
                "capture": ["arguments"],
                "keys": {"acme": "vault:stoplog-acme", "globex": str(tmp_path / "globex.pem.pub")},
                "vault": VaultSection(address=vault.address, token_file=tmp_path / "writer"),
            }
        )
        sealer = build_sealer(section)
        assert sealer is not None
        with build_unwrapper(section, tmp_path / "globex.pem", None, tmp_path / "reader") as unwrapper:
            for tenant in ("acme", "globex"):
                place = PLACE._replace(tenant_uid=tenant)
                made = sealer.seal(*place, '{"key":"AKIAQWERTYUIOPASDFGH"}', 0)
                assert made is not None
                text = decrypt_content(unwrapper.unwrap(made.key), place, made.content)
                assert text.startswith(b'{"key":"[secret: ')
        # With the token of the settings, which is a gate's, nothing opens.
        made = sealer.seal(*PLACE, "x", 0)
        assert made is not None
        with build_unwrapper(section, None, None, None) as own, pytest.raises(ContentError, match="permission denied"):
            own.unwrap(made.key)


def test_what_is_wrapped_with_the_key_of_another_tenant_is_not_wrapped_again(tmp_path: Path) -> None:
    """Whoever copies such a key to a tenant whose key he has would get what opens the other's content."""
    make_content_key_file(tmp_path / "acme.pem")
    (tmp_path / "reader").write_text(READER)
    (tmp_path / "reader").chmod(0o600)
    with vault_server() as vault:
        for name in ("globex", "shared"):
            vault.create(name)
        section = ContentSection.model_validate(
            {
                "capture": ["arguments"],
                "keys": {"acme": str(tmp_path / "acme.pem.pub"), "globex": "vault:globex", "*": "vault:shared"},
                "vault": VaultSection(address=vault.address, token_file=tmp_path / "reader"),
            }
        )
        sealer = build_sealer(section)
        assert sealer is not None
        of_globex, of_all = (sealer.seal(*PLACE._replace(tenant_uid=each), "text", 0) for each in ("globex", "any"))
        assert of_globex is not None
        assert of_all is not None
        with open_rewrapper(section, "acme", None, None, None) as rewrapper:
            # A tenant can have had the key of all.
            assert rewrapper.rewrap(of_all.key).kek == rewrapper.kek
            with pytest.raises(ContentError, match=r"`vault:globex:v1`, which `content\.keys` names for another"):
                rewrapper.rewrap(of_globex.key)


def test_a_key_that_is_named_for_another_tenant_is_no_former_key(tmp_path: Path) -> None:
    make_content_key_file(tmp_path / "acme.pem")
    of_globex, of_all, former = (f"aws:arn:aws:kms:eu-central-1:111122223333:key/{number}" for number in range(3))
    section = ContentSection.model_validate(
        {
            "keys": {"acme": str(tmp_path / "acme.pem.pub"), "globex": of_globex, "initech": of_all, "*": of_all},
            "aws": {"region": "eu-central-1"},
        }
    )
    text = f"for keys that tenant `acme` has had, but `content.keys` names `{of_globex}` for tenant `globex`"
    with (
        pytest.raises(ContentError, match=text),
        open_rewrapper(section, "acme", None, None, None, [former, of_globex]),
    ):
        pass
    # A tenant can have had the key of all.
    with open_rewrapper(section, "acme", None, None, None, [former, of_all]) as rewrapper:
        assert rewrapper.kek.startswith("rsa:")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ca_file": "/missing/ca.pem"}, r"can't be read from `/missing/ca\.pem`: No such file"),
        ({"ca_file": "token"}, r"can't be read from `token`"),
        ({"address": "https://[vault"}, "the address of the key service can't be one: Invalid IPv6 URL"),
        ({"address": "https://127.0.0.1:99999"}, "Vault does not answer: "),
    ],
)
def test_settings_of_vault_that_can_not_be_used_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("token").write_text(READER)
    Path("token").chmod(0o600)
    stated = {"address": "https://127.0.0.1:1", "token_file": "token"} | changes
    section = ContentSection.model_validate({"capture": ["arguments"], "keys": {"acme": "vault:acme"}, "vault": stated})
    with pytest.raises(ContentError, match=text):
        build_sealer(section)
