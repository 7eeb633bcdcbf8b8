"""Whose signatures a bundle needs, and what does not count as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulation.records import ruleset
from streams.audit.publishers import Publishers, PublishersError
from streams.audit.signatures import SigningKey
from streams.model.bundle_signature import publication_key, publication_message
from streams.model.control import BundleAction, RulesetBundle
from streams.model.errors import RecordError
from streams.model.reasons import DeadLetterReason
from streams.model.types import Proof, ProofAlg
from streams.operations.signing_keys import make_key_file

replace = msgspec.structs.replace
BUNDLE = ruleset({"bundle.yaml": "x"}, serial=7)


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, SigningKey]:
    return {name: make_key_file(tmp_path / name) for name in ("ann", "bob", "eve")}


def signed(bundle: RulesetBundle, *keys: SigningKey, **changes: Any) -> RulesetBundle:
    made = tuple(
        replace(Proof(alg=ProofAlg.ED25519, kid=key.public.kid, value=key.sign(publication_message(bundle))), **changes)
        for key in keys
    )
    return replace(bundle, signatures=made)


def of(keys: dict[str, SigningKey], *names: str, required: int = 1) -> Publishers:
    return Publishers.of({name: str(keys[name].public) for name in names}, required=required, allow_unsigned=False)


def refused(publishers: Publishers, bundle: RulesetBundle) -> DeadLetterReason:
    with pytest.raises(RecordError) as caught:
        publishers.signers(bundle)
    return DeadLetterReason(caught.value.reason)


def test_a_signature_by_a_configured_publisher_counts(keys: dict[str, SigningKey]) -> None:
    publishers = of(keys, "ann", "bob")
    assert publishers.signers(signed(BUNDLE, keys["ann"])) == ("ann",)
    assert publishers.signers(signed(BUNDLE, keys["bob"], keys["ann"])) == ("ann", "bob")
    assert publishers.signers(signed(BUNDLE, keys["eve"], keys["ann"])) == ("ann",)


def test_without_one_it_is_unsigned(keys: dict[str, SigningKey]) -> None:
    publishers = of(keys, "ann", "bob")
    assert refused(publishers, BUNDLE) is DeadLetterReason.BUNDLE_UNSIGNED
    assert refused(publishers, signed(BUNDLE, keys["eve"])) is DeadLetterReason.BUNDLE_UNSIGNED
    assert refused(publishers, signed(BUNDLE, keys["ann"], kid=None)) is DeadLetterReason.BUNDLE_UNSIGNED


def test_two_people_are_two_people(keys: dict[str, SigningKey]) -> None:
    publishers = of(keys, "ann", "bob", required=2)
    assert publishers.signers(signed(BUNDLE, keys["ann"], keys["bob"])) == ("ann", "bob")
    assert refused(publishers, signed(BUNDLE, keys["ann"])) is DeadLetterReason.BUNDLE_UNSIGNED
    assert refused(publishers, signed(BUNDLE, keys["ann"], keys["ann"])) is DeadLetterReason.BUNDLE_UNSIGNED
    assert refused(publishers, signed(BUNDLE, keys["ann"], keys["eve"])) is DeadLetterReason.BUNDLE_UNSIGNED


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"serial": 8},
        {"version": "2"},
        {"digest": bytes(32)},
        {"canary_bp": 100},
        {"action": BundleAction.ROLLBACK},
        {"published_by": "somebody else"},
    ],
)
def test_nothing_that_matters_can_be_changed_after_it_was_signed(
    keys: dict[str, SigningKey], changes: dict[str, Any]
) -> None:
    bundle = replace(signed(BUNDLE, keys["ann"]), **changes)
    assert refused(of(keys, "ann"), bundle) is DeadLetterReason.BUNDLE_SIGNATURE_INVALID
    assert publication_key(bundle) != publication_key(BUNDLE)


def test_a_false_signature_spoils_good_ones(keys: dict[str, SigningKey]) -> None:
    good = signed(BUNDLE, keys["ann"]).signatures
    for changes in ({"value": b""}, {"value": bytes(64)}, {"alg": ProofAlg.HMAC_SHA256}, {"alg": ProofAlg.UNKNOWN}):
        false = signed(BUNDLE, keys["bob"], **changes).signatures
        bundle = replace(BUNDLE, signatures=(*good, *false))
        assert refused(of(keys, "ann", "bob"), bundle) is DeadLetterReason.BUNDLE_SIGNATURE_INVALID


def test_many_signatures_are_not_looked_at(keys: dict[str, SigningKey]) -> None:
    bundle = signed(BUNDLE, *[keys["ann"]] * 17)
    assert refused(of(keys, "ann"), bundle) is DeadLetterReason.BUNDLE_SIGNATURE_INVALID


def test_without_publishers_everything_is_refused_unless_that_is_wanted(keys: dict[str, SigningKey]) -> None:
    nobody = Publishers.of({}, required=1, allow_unsigned=False)
    assert refused(nobody, BUNDLE) is DeadLetterReason.BUNDLE_UNSIGNED
    assert refused(nobody, signed(BUNDLE, keys["ann"])) is DeadLetterReason.BUNDLE_UNSIGNED
    assert Publishers.of({}, required=1, allow_unsigned=True).signers(BUNDLE) == ()


def test_publishers_that_make_no_sense_are_told(keys: dict[str, SigningKey]) -> None:
    ann = str(keys["ann"].public)
    for publishers, required, allow_unsigned, told in (
        ({"ann": ann, "ann again": ann}, 1, False, "have the same key"),
        ({"ann": ann}, 2, False, "2 signatures are required, but there are 1"),
        ({"ann": ann}, 1, True, "meaningless"),
        ({"ann": "nonsense"}, 1, False, "publisher `ann`: `nonsense` is not a public key"),
        ({str(number): ann for number in range(65)}, 1, False, "65 publishers"),
    ):
        with pytest.raises(PublishersError, match=told):
            Publishers.of(publishers, required=required, allow_unsigned=allow_unsigned)
