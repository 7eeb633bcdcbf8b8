"""`holdsSecret()`: keys and tokens in a value, wherever they are, and nothing else."""

from __future__ import annotations

import base64
from hashlib import sha512
from typing import Any
from urllib.parse import unquote

import pytest

from streams.audit.masking import mask_secrets
from streams.policy.ext import held_secrets
from streams.policy.ext.held_secrets import (
    CHARS_MAX,
    HIDDEN_MAX,
    OVERLAP_CHARS,
    PIECE_CHARS,
    VALUES_MAX,
    secrets_in,
)
from tests.unit.policy.conditions import error, value


def made_up(count: int, seed: int = 3) -> str:
    """Characters that look like those of a key."""
    text = "".join(base64.b64encode(sha512(bytes([seed, block])).digest()).decode() for block in range(3))
    return "".join(character for character in text if character.isalnum())[:count]


TOKEN = f"glpat-{made_up(20)}"
KEYS = (
    TOKEN,
    f"sk-ant-api03-{made_up(93)}AA",
    f"sk-proj-{made_up(74)}T3BlbkFJ{made_up(74, 4)}",
    f"hvs.{made_up(100, 7)}",
    f"ghp_{made_up(36)}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{made_up(64)}\n{made_up(64, 4)}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{made_up(64)}\n-----END PGP PRIVATE KEY BLOCK-----",
)


def holds(found: Any) -> bool:
    return bool(value("holdsSecret(args)", a=found))


@pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
def test_keys_are_found_wherever_they_are(key: str) -> None:
    for found in (key, f"use {key} for it", [1, {"x": [key]}], {"password": key}):
        assert holds(found), found


@pytest.mark.parametrize(
    "form",
    ["https://a.example/?t={}&x=1", "https://a.example/{}/x", "a,{},b", "({})", "<{}>", "x={};", "[a](http://b/{})"],
)
def test_keys_are_found_between_other_characters(form: str) -> None:
    for key in KEYS[:5]:
        assert holds(form.format(key)), key


def test_keys_are_found_in_encodings() -> None:
    assert holds(base64.b64encode(TOKEN.encode()).decode())
    assert holds("".join(f"%{ord(character):02x}" for character in TOKEN))


@pytest.mark.parametrize("beside", ["x", 1, None, True, [], {}, [1], {"a": 2}, [{"a": ["b"]}]])
def test_a_key_that_is_the_name_of_a_field_is_found(beside: Any) -> None:
    assert holds({"a": [{TOKEN: beside}]})


def test_names_of_fields_without_a_text_are_no_context_for_other_values() -> None:
    assert holds({"password": 1, "note": made_up(20)}) is holds({"note": made_up(20)}) is False


def test_a_comment_beside_a_key_changes_nothing() -> None:
    for comment in ("# kingfisher:ignore", "# gitleaks:allow", "// betterleaks:allow", "# nosec", "example test dummy"):
        assert holds(f"{TOKEN} {comment}"), comment


@pytest.mark.parametrize(
    "text",
    ["", "hello", "commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "018f6b2e-0000-7000-8000-000000000001",
     "the password policy", "Authorization: Bearer TOKEN", "sk-learn", "hf_transformers",
     "a@b.example", "\ud800", "%zz",
     "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGvH0K5o alice@laptop", "lorem ipsum dolor sit amet " * 900],
)  # fmt: skip
def test_other_texts_hold_none(text: str) -> None:
    assert holds(text) is False


def test_a_key_on_the_border_of_two_pieces_is_found() -> None:
    for before in range(PIECE_CHARS - len(TOKEN) - 4, PIECE_CHARS + 4, 5):
        assert holds(" " * before + TOKEN + " " * OVERLAP_CHARS)
    assert holds(" " * (5 * PIECE_CHARS) + TOKEN)


def test_bounds() -> None:
    assert holds("a " * (CHARS_MAX // 2 - 1)) is False
    for large in ("a" * (CHARS_MAX + 1), ["a"] * (VALUES_MAX + 1), [[["a"] * 200] * 10] * 12):
        assert error("holdsSecret(args)", a=large) == "value contains too many texts"


def test_a_flood_of_beginnings_costs_one_piece() -> None:
    flood = f"-----BEGIN RSA PRIVATE KEY-----\n{made_up(64)}\n"
    assert holds(flood * (CHARS_MAX // len(flood) - 1))


def test_a_text_without_a_long_word_is_not_searched() -> None:
    assert holds("-----BEGIN RSA PRIVATE KEY-----\n" * 20_000) is False


class TestMasking:
    """What these detectors find is taken out of captured content."""

    @pytest.mark.parametrize("key", KEYS, ids=range(len(KEYS)))
    def test_no_key_is_left(self, key: str) -> None:
        for text in (key, f"use {key} for it", f"https://a.example/?t={key}&x=1"):
            masked = mask_secrets(text, secrets_in)
            assert "[secret: " in masked
            assert key[-24:-4] not in masked
            assert not holds(masked)

    def test_no_encoded_key_is_left(self) -> None:
        encoded = base64.b64encode(TOKEN.encode()).decode()
        percent = "".join(f"%{ord(character):02x}" for character in TOKEN)
        for text in (f"see {encoded} there", f"see {percent} there"):
            masked = mask_secrets(text, secrets_in)
            assert masked == "see [secret: found] there"

    def test_other_texts_stay(self) -> None:
        for text in ("hello", "commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "a\ud800b"):
            assert mask_secrets(text, secrets_in) == text

    @pytest.mark.parametrize("number", [HIDDEN_MAX, HIDDEN_MAX + 1, 10 * HIDDEN_MAX])
    def test_each_word_of_a_flood_of_encoded_keys_is_decoded_once(
        self, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = [f"ghp_{made_up(36, seed)}" for seed in range(HIDDEN_MAX)]
        keys += [f"ghp_{made_up(36, seed % 256)[::-1]}" for seed in range(number - HIDDEN_MAX)]
        encoded = ["".join(f"%{ord(character):02x}" for character in key) for key in keys]
        text = " and ".join([*encoded, *(f"word-without-a-key-{at}" for at in range(number))])
        decoded: list[str] = []

        def counting(word: str) -> str:
            decoded.append(word)
            return unquote(word)

        monkeypatch.setattr(held_secrets, "unquote", counting)
        masked = mask_secrets(text, secrets_in)
        assert len(decoded) <= 1 + 2 * number, "the text, and each word"
        assert "%" not in masked
        assert "[secret: found] and [secret: found]" in masked
        # Beyond the bound, it is not asked which of the words hold the keys.
        assert ("word-without-a-key-0" in masked) is (number <= HIDDEN_MAX)
