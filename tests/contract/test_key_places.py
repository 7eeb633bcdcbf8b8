"""What holds of the keys of tenants, wherever they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from msgspec.structs import replace

from streams.audit.content import ContentError, ContentPlace, decrypt_content
from streams.ports.content import SealedContent
from streams.sdk.keys.content import SessionSealer
from tests.contract.key_places import AwsPlace, FilePlace, KeyPlace, VaultPlace
from tests.ministack import MiniStack, running_ministack
from tests.openbao import NoOpenBaoError, OpenBao, running_openbao

ACME = ContentPlace("acme", "s-1", "e-1", "arguments")
GLOBEX = ACME._replace(tenant_uid="globex")


@pytest.fixture(scope="module")
def servers() -> Iterator[ExitStack]:
    with ExitStack() as running:
        yield running


@pytest.fixture(scope="module", params=["file", "vault", "aws"])
def server(request: pytest.FixtureRequest, servers: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("server")
    if request.param == "vault":
        try:
            return servers.enter_context(running_openbao(folder))
        except NoOpenBaoError as error:
            pytest.skip(str(error))
    return servers.enter_context(running_ministack(folder)) if request.param == "aws" else None


@pytest.fixture
def keys(server: object, tmp_path_factory: pytest.TempPathFactory) -> KeyPlace:
    folder = tmp_path_factory.mktemp("keys")
    if isinstance(server, OpenBao):
        return VaultPlace(server, folder)
    return AwsPlace(server, folder) if isinstance(server, MiniStack) else FilePlace(folder)


# A file refuses nobody who has it.
of_services = pytest.mark.parametrize("server", ["vault", "aws"], indirect=True)


def sealed(sealer: SessionSealer, place: ContentPlace = ACME) -> SealedContent:
    made = sealer.seal(*place, "what was asked", 0)
    assert made is not None
    return made


def test_gates_wrap_and_only_readers_unwrap(keys: KeyPlace) -> None:
    made = sealed(keys.sealer())
    with keys.reader() as reader:
        assert decrypt_content(reader.unwrap(made.key), ACME, made.content) == b"what was asked"
    with keys.gate() as gate, pytest.raises(ContentError):
        gate.unwrap(made.key)


def test_content_opens_for_its_own_tenant_alone(keys: KeyPlace) -> None:
    sealer = keys.sealer()
    own, other = sealed(sealer), sealed(sealer, GLOBEX)
    assert own.key.kek != other.key.kek
    with keys.reader() as reader:
        data_key = reader.unwrap(own.key)
        # It was put under another tenant, or under another key of its session.
        with pytest.raises(ContentError):
            decrypt_content(data_key, GLOBEX, own.content)
        with pytest.raises(ContentError):
            decrypt_content(data_key, GLOBEX, other.content)
        # The key of another tenant, under the name of this one's.
        with pytest.raises(ContentError):
            reader.unwrap(replace(other.key, kek=own.key.kek))


@pytest.mark.parametrize("wrapped", [b"", b"\0" * 384, b"\0" * 10_000], ids=["empty", "other", "long"])
def test_what_was_changed_does_not_open(keys: KeyPlace, wrapped: bytes) -> None:
    made = sealed(keys.sealer())
    with keys.reader() as reader, pytest.raises(ContentError):
        reader.unwrap(replace(made.key, wrapped=wrapped))


def test_keys_are_rotated_wrapped_again_and_retired(keys: KeyPlace) -> None:
    before = sealed(keys.sealer())
    keys.rotate()
    after = sealed(keys.sealer())
    assert after.key.kek != before.key.kek
    with keys.reader() as reader:
        data_key = reader.unwrap(before.key)
    with keys.rewrapper(before.key.kek) as rewrapper:
        moved = rewrapper.rewrap(before.key)
    assert (moved.kid, moved.kek) == (before.key.kid, after.key.kek)
    assert moved.wrapped != before.key.wrapped
    keys.retire(before.key.kek)
    with keys.reader() as reader:
        assert reader.unwrap(moved) == data_key
        assert reader.unwrap(after.key) != data_key
        with pytest.raises(ContentError):
            reader.unwrap(before.key)


@of_services
def test_who_may_wrap_again_may_not_read(keys: KeyPlace) -> None:
    before = sealed(keys.sealer())
    keys.rotate()
    with keys.rewrapper(before.key.kek) as rewrapper:
        moved = rewrapper.rewrap(before.key)
    with keys.blind() as blind:
        for key in (before.key, moved):
            with pytest.raises(ContentError, match=r"permission denied|AccessDenied"):
                blind.unwrap(key)


@of_services
def test_the_key_of_another_tenant_is_not_wrapped_again(keys: KeyPlace) -> None:
    other = sealed(keys.sealer(), GLOBEX)
    with keys.rewrapper() as rewrapper, pytest.raises(ContentError, match="it is wrapped with"):
        rewrapper.rewrap(other.key)


@of_services
def test_a_service_that_is_away_stops_readers_and_no_gate(keys: KeyPlace) -> None:
    sealer = keys.sealer()
    with keys.reader(is_away=True) as reader, pytest.raises(ContentError, match="does not answer"):
        reader.unwrap(sealed(sealer).key)
    # Who seals has the public half already: another session gets a key, too.
    assert sealed(sealer, ACME._replace(session_id="s-2")).key.kid != sealed(sealer).key.kid
