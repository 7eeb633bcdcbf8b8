"""The people who may release stops, as the settings name them."""

from __future__ import annotations

from typing import Any

import pytest

from streams.audit.releasers import Releasers, ReleasersError
from streams.audit.signatures import SigningKey
from streams.model.errors import SettingsError
from streams.model.release_signature import release_message
from streams.model.revocation import Revocation, RevocationKind, RevocationState
from streams.model.types import Header, Proof
from streams.operations.settings import ReleaseSection

ANN = SigningKey.made()
NAMED = {"ann": str(ANN.public)}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"releasers": {"ann": "ed25519:short"}}, "releaser `ann`"),
        ({"releasers": {**NAMED, "bob": str(ANN.public)}}, "have the same key"),
        ({"kinds": {"bob": ["SESSION"]}}, "names `bob`, who is not among"),
        ({"kinds": {"ann": ["SESSIONS"]}}, "unknown kind `SESSIONS`"),
        ({"kinds": {"ann": ["UNKNOWN"]}}, "unknown kind `UNKNOWN`"),
        ({"allow_unsigned": True}, "would make `releasers` meaningless"),
    ],
)
def test_settings_that_can_not_be_meant(changes: dict[str, Any], text: str) -> None:
    given = {"releasers": NAMED, **changes}
    with pytest.raises(ReleasersError, match=text):
        Releasers.of(**given)
    with pytest.raises(SettingsError, match=r"section `\[release\]`"):
        ReleaseSection.model_validate(given).trusted()


def test_everything_that_decides_is_signed() -> None:
    """A field that is added to the record must be signed, too, or be named here."""
    header = Header(id="0199f7a0-0000-7000-8000-000000000001", source="s", time=1, tenant_uid="acme")
    record = Revocation(
        header=header, id="x", effective_at=1, reason="r", initiating_entity="e", state=RevocationState.RELEASED
    )
    own = release_message(record, "")
    changes: dict[str, Any] = {
        "kind": RevocationKind.ALL,
        "id": "y",
        "state": RevocationState.REVOKED,
        "effective_at": 2,
        "until": 3,
        "reason": "other",
        "initiating_entity": "other",
        "lifts_before": 4,
    }
    not_signed = {"header", "set_jti", "proof"}
    assert set(changes) | not_signed == set(Revocation.__struct_fields__)
    for name, value in changes.items():
        fields = {field: getattr(record, field) for field in Revocation.__struct_fields__}
        assert release_message(Revocation(**{**fields, name: value}), "") != own, name
    assert release_message(record, "other deployment") != own
    fields = {field: getattr(record, field) for field in Revocation.__struct_fields__}
    assert release_message(Revocation(**{**fields, "proof": Proof(value=b"x")}), "") == own
