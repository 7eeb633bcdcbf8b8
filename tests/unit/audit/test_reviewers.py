"""Whose signatures a catalog entry needs, and reviewers that make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulation.records import reviewed, tool_entry
from streams.audit.keyring import SIGNATURES_MAX
from streams.audit.reviewers import ANYBODY, NOBODY, Reviewers, ReviewersError
from streams.audit.signatures import SigningKey
from streams.model.errors import RecordError, SettingsError
from streams.model.reasons import DeadLetterReason
from streams.wiring.settings import Settings
from streams.wiring.settings_loading import load_settings

replace = msgspec.structs.replace
ANN, BOB, EVE = SigningKey.made(), SigningKey.made(), SigningKey.made()
NAMED = {"ann": str(ANN.public), "bob": str(BOB.public)}
ENTRY = tool_entry("mail", "send", proposed_by="carol")


def of(named: dict[str, str] | None = None, **changes: Any) -> Reviewers:
    return Reviewers.of(NAMED if named is None else named, **{"required": 1, "allow_unsigned": False} | changes)


def refused(reviewers: Reviewers, **changes: Any) -> DeadLetterReason:
    signers = changes.pop("by", (ANN,))
    with pytest.raises(RecordError) as caught:
        reviewers.approvers(reviewed(replace(ENTRY, **changes), *signers))
    return DeadLetterReason(caught.value.reason)


def test_who_has_signed_is_named_in_order() -> None:
    assert of().approvers(reviewed(ENTRY, BOB, EVE, ANN)) == ("ann", "bob")
    assert of().signers(ENTRY) == ()
    assert of().ring.name_of(BOB.public) == "bob"
    assert of().ring.name_of(EVE.public) is None


def test_too_few_are_too_few() -> None:
    two = of(required=2)
    assert refused(two) is DeadLetterReason.CATALOG_UNSIGNED
    assert refused(two, by=(ANN, ANN)) is DeadLetterReason.CATALOG_UNSIGNED
    assert refused(of(), by=()) is DeadLetterReason.CATALOG_UNSIGNED
    assert refused(NOBODY) is DeadLetterReason.CATALOG_UNSIGNED
    assert ANYBODY.approvers(ENTRY) == ()


@pytest.mark.parametrize("proposer", ["ann", "ANN", " ann ", "\uff41nn", "an\u200bn", None])
def test_who_proposed_it_is_not_alone(proposer: str | None) -> None:
    assert refused(of(), proposed_by=proposer) is DeadLetterReason.CATALOG_SELF_APPROVED
    assert of(separate_duties=False).approvers(reviewed(replace(ENTRY, proposed_by=proposer), ANN)) == ("ann",)


def test_another_one_makes_it_good() -> None:
    assert of().approvers(reviewed(replace(ENTRY, proposed_by="ann"), ANN, BOB)) == ("ann", "bob")


def test_more_signatures_than_anybody_needs_are_not_looked_at() -> None:
    many = replace(ENTRY, signatures=reviewed(ENTRY, EVE).signatures * (SIGNATURES_MAX + 1))
    with pytest.raises(RecordError, match="at most 16"):
        of().signers(many)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"named": {"ann": "ed25519:none"}}, "`ann`"),
        ({"named": {"ann": str(ANN.public), "anna": str(ANN.public)}}, "have the same key"),
        ({"named": {"ann": str(ANN.public), "Ann": str(BOB.public)}}, "look the same"),
        ({"required": 3}, "3 signatures are required, but there are 2 reviewers"),
        ({"allow_unsigned": True}, "would make `reviewers` meaningless"),
        ({"named": {f"n{number}": str(SigningKey.made().public) for number in range(65)}}, "at most 64"),
    ],
)
def test_what_makes_no_sense_is_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ReviewersError, match=told):
        of(**changes)


def test_the_settings_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings().catalog.trusted().required == 1
    assert load_settings({"catalog": {"allow_unsigned": True}}).catalog.trusted().required == 0
    made = Settings(catalog={"reviewers": NAMED, "required_signatures": 2, "separation_of_duties": False})
    assert (made.catalog.trusted().required, made.catalog.trusted().separate_duties) == (2, False)
    with pytest.raises(SettingsError, match=r"section `\[catalog\]`"):
        load_settings({"catalog": {"reviewers": NAMED, "required_signatures": 3}}).catalog.trusted()
    with pytest.raises(SettingsError, match=r"`catalog\.reviewer` is unknown"):
        load_settings({"catalog": {"reviewer": {}}})
