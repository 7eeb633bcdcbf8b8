"""The signed list of the keys whose seals count."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from streams.audit.seal_key_list import ListedKey, SealKeyList
from streams.audit.seal_keys import KeyState, SealKeysError
from streams.audit.signatures import SigningKey
from streams.sdk import SealKeyFile
from streams.sdk.executor.seal_key_file import LOOK_EVERY_MS
from tests.unit.sdk.seal_hand import GATE_KEY


class TestKeyFile:
    HOLDER = SigningKey.made()
    HOLDERS: Mapping[str, str] = {"ann": str(HOLDER.public)}
    LISTED = SealKeyList(deployment="prod", serial=4, keys=(ListedKey(name="gate", key=str(GATE_KEY.public)),))

    class Clock:
        """Time that a test moves."""

        now = 0

        def monotonic_ms(self) -> int:
            return self.now

    def test_a_signed_list_is_read(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        file.write_bytes(self.LISTED.signed(self.HOLDER).format())
        keys = SealKeyFile(file, holders=self.HOLDERS)()
        assert (keys.deployment, [key.name for key in keys.keys.values()]) == ("prod", ["gate"])

    def test_nobody_else_makes_a_list(self, tmp_path: Path) -> None:
        file = tmp_path / "keys.json"
        good = self.LISTED.signed(self.HOLDER)
        for text, why in (
            (self.LISTED.format(), "not signed by any"),
            (self.LISTED.signed(SigningKey.made()).format(), "not signed by any"),
            (msgspec.structs.replace(good, serial=9).format(), "is not what `ann` has signed"),
            (msgspec.structs.replace(good, deployment="").format(), "is not what `ann` has signed"),
            (b"{}", "malformed"),
            (b"x" * 70_000, "more than"),
            (json.dumps({**json.loads(good.format()), "signatures": [{"kid": "x", "value": "?"}]}).encode(), "base64"),
        ):
            file.write_bytes(text)
            with pytest.raises(SealKeysError, match=why):
                SealKeyFile(file, holders=self.HOLDERS)
        file.write_bytes(b"{}")
        with pytest.raises(SealKeysError, match=re.escape(str(file))):
            SealKeyFile(file, holders=self.HOLDERS)
        with pytest.raises(SealKeysError, match="can't be read"):
            SealKeyFile(tmp_path / "none", holders=None)

    def test_a_bad_list_or_an_old_one_changes_nothing(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        file, clock = tmp_path / "keys.json", self.Clock()
        file.write_bytes(self.LISTED.signed(self.HOLDER).format())
        keys = SealKeyFile(file, holders=self.HOLDERS, entropy=clock)
        before = keys()
        older = msgspec.structs.replace(self.LISTED, serial=3, keys=(*self.LISTED.keys, *OTHERS))
        for text, why in ((b"{", "malformed"), (older.signed(self.HOLDER).format(), "older than list 4")):
            file.write_bytes(text)
            clock.now += LOOK_EVERY_MS
            assert keys() is before
            assert why in caplog.text
        file.unlink()
        clock.now += LOOK_EVERY_MS
        assert keys() is before
        newer = self.LISTED.changed((*self.LISTED.keys, *OTHERS))
        file.write_bytes(newer.signed(self.HOLDER).format())
        assert keys() is before
        clock.now += LOOK_EVERY_MS
        assert len(keys().keys) == 2

    def test_of_two_changes_of_one_list_the_second_undoes_no_revocation(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file, clock = tmp_path / "keys.json", self.Clock()
        (key,) = self.LISTED.keys
        revoked = self.LISTED.changed((msgspec.structs.replace(key, state=KeyState.REVOKED), *OTHERS))
        added = self.LISTED.changed((key, *OTHERS))
        file.write_bytes(revoked.signed(self.HOLDER).format())
        keys = SealKeyFile(file, holders=self.HOLDERS, entropy=clock)
        before = keys()
        file.write_bytes(added.signed(self.HOLDER).format())
        clock.now += LOOK_EVERY_MS
        assert keys() is before
        assert "list 5 of seal keys was read with other keys" in caplog.text
        # To sign the same list once more changes nothing.
        caplog.clear()
        file.write_bytes(revoked.signed(SigningKey.made()).signed(self.HOLDER).format())
        clock.now += LOOK_EVERY_MS
        assert keys() == before
        assert not caplog.text


OTHERS: Sequence[ListedKey] = (ListedKey(name="other", key=str(SigningKey.made().public)),)
