"""A key on a token, with SoftHSM as the token.

SoftHSM is fetched where it is not installed (`tests/softhsm.py`). Its test is skipped only where there is no apt.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.audit.merkle import Frontier, leaf_hash
from streams.audit.seal_keys import SealKeys
from streams.audit.seals import VERDICT_LEAF, make_seals
from streams.audit.signatures import SigningKeyError
from streams.services.gate.settings import SealSection
from tests.softhsm import NoAptError, SoftHsm, find_softhsm

PIN = "1234"

# In a process of its own: the library can be loaded once, and reads where its tokens are when it is.
PROGRAM = """
import sys
from pathlib import Path
import pkcs11
from streams.audit.signatures import SigningKeyError
from streams.services.gate.settings import SealSection
module, folder = sys.argv[1:]
token = pkcs11.lib(module).get_token(token_label="stoplog")
with token.open(user_pin="1234", rw=True) as session:
    kind = pkcs11.KeyType.EC_EDWARDS
    curve = {pkcs11.Attribute.EC_PARAMS: bytes.fromhex("130c656477617264733235353139")}
    parameters = session.create_domain_parameters(kind, curve, local=True)
    parameters.generate_keypair(mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN, store=True, label="seal")
pin = Path(folder) / "pin"
def section(**changes):
    given = {"module": module, "token": "stoplog", "label": "seal", "pin_file": str(pin), **changes}
    return SealSection(token=given).signer(b"")
pin.touch(0o600)
pin.write_text("0000\\n")
for changes in ({}, {"token": "other"}, {"label": "other"}, {"module": "/nowhere.so"}):
    try:
        section(**changes)
        print("signs")
    except SigningKeyError as error:
        print(error)
    pin.write_text("1234\\n")
section()  # a gate that starts again in its process makes a second one
signer = section()
print(signer.public)
print(signer.sign(b"message").hex())
print(sorted(map(str, Path(folder).glob("tokens/*/*.object"))) != [])
"""


@pytest.fixture
def softhsm() -> SoftHsm:
    """SoftHSM, wherever it comes from."""
    try:
        return find_softhsm()
    except NoAptError as error:
        pytest.skip(str(error))


def test_a_key_of_a_token_signs_and_stays_there(softhsm: SoftHsm, tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    settings = tmp_path / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\n")
    environment = {**os.environ, "SOFTHSM2_CONF": str(settings)}
    make_token = [str(softhsm.utility), "--module", str(softhsm.library), "--init-token", "--free"]
    make_token += ["--label", "stoplog", "--pin", PIN, "--so-pin", "5678"]
    subprocess.run(make_token, env=environment, check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(softhsm.library), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wrong_pin, no_token, no_key, no_library, public, signature, is_stored = done.stdout.splitlines()
    for text in (wrong_pin, no_token, no_key, no_library):
        assert text.startswith("key `"), text
        assert "can't be used" in text, text
        assert PIN not in text
    key = SealKeys.of({"token": public}).keys
    (found,) = key.values()
    assert found.public.verifies(b"message", bytes.fromhex(signature))
    assert is_stored == "True"


def test_any_signer_makes_seals() -> None:
    class Service:
        """A key management service, which signs elsewhere."""

        def __init__(self) -> None:
            self._key = SealSection().signer(bytes(range(32)))
            self.public = self._key.public
            self.asked: list[bytes] = []

        def sign(self, message: bytes) -> bytes:
            self.asked.append(message)
            return self._key.sign(message)

    service = Service()
    (seal,), _ = make_seals(
        Frontier(),
        [leaf_hash(b"x")],
        bytes((VERDICT_LEAF,)),
        partition=0,
        deployment="",
        source="test",
        now_ms=1_764_061_200_000,
        signer=service,
    )
    assert SealKeys.of({"service": str(service.public)}).opened(seal, 0)
    assert len(service.asked) == 1


def test_only_one_key_is_named(tmp_path: Path) -> None:
    token = {"module": "m.so", "token": "t", "label": "l", "pin_file": str(tmp_path / "pin")}
    file, variable, vault = {"key_file": "a"}, {"key_variable": "A"}, {"vault": {"key": "k", "token_file": "t"}}
    for given in ({**file, "token": token}, {**variable, "token": token}, {**file, **variable}, {**file, **vault}):
        with pytest.raises(ValidationError, match="name several keys"):
            SealSection.model_validate(given)
    with pytest.raises(SigningKeyError, match="can't be read"):
        SealSection.model_validate({"token": token}).signer(b"")


def test_without_the_extra_one_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pkcs11", None)  # as if it were not installed
    pin = tmp_path / "pin"
    pin.touch(0o600)
    token = {"module": "m.so", "token": "t", "label": "l", "pin_file": str(pin)}
    with pytest.raises(SigningKeyError, match=r"pip install 'stoplog\[pkcs11\]'"):
        SealSection.model_validate({"token": token}).signer(b"")
