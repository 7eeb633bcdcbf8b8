"""Signing keys: several at once, changed while tokens are made and checked, and never by half."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import jwt
import pytest

from streams.identity.errors import KeyRingError
from streams.identity.keyring import LOOK_AGAIN_MS, KeyRing, KeyState, keys_in
from streams.sdk.agent.token_exchange import TokenRefusedError
from streams.sdk.entropy import system_monotonic_ms, system_now_ms
from tests.unit.services.sts.house import AGENT, STS, SUB_AGENT, open_house
from tests.waiting import until

HOUR_MS = 3_600_000
CACHED_MS = 400


class Times:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def states(ring: KeyRing) -> list[KeyState]:
    return sorted(key.state for key in ring.keys)


def test_a_key_is_published_before_it_is_used_and_after(tmp_path: Path) -> None:
    times = Times()
    ring = KeyRing(tmp_path / "keys", times, times)
    assert states(ring) == [KeyState.CURRENT, KeyState.NEXT]
    coming = next(key.kid for key in ring.keys if key.state is KeyState.NEXT)
    old = jwt.get_unverified_header(ring.sign({"a": 1}, "at+jwt"))["kid"]
    with pytest.raises(KeyRingError, match="must be published for another 60 min"):
        ring.rotate(wait_ms=HOUR_MS, keep_ms=HOUR_MS)
    times.ms += HOUR_MS
    assert ring.rotate(wait_ms=HOUR_MS, keep_ms=HOUR_MS).kid == coming
    assert jwt.get_unverified_header(ring.sign({"a": 1}, "at+jwt"))["kid"] == coming
    assert ring.find(old) is not None
    assert states(ring) == [KeyState.CURRENT, KeyState.NEXT, KeyState.RETIRED]
    times.ms += HOUR_MS
    ring.rotate(wait_ms=HOUR_MS, keep_ms=HOUR_MS)
    assert ring.find(old) is None
    assert ring.find(coming) is not None
    ring.rotate(wait_ms=HOUR_MS, keep_ms=HOUR_MS, force=True)
    assert ring.find(coming) is not None


def test_another_process_sees_the_change(tmp_path: Path) -> None:
    times = Times()
    running, other = KeyRing(tmp_path / "keys", times, times), KeyRing(tmp_path / "keys", times, times)
    current = other.rotate(wait_ms=0, keep_ms=HOUR_MS).kid
    times.ms += 1_000
    assert jwt.get_unverified_header(running.sign({}, "at+jwt"))["kid"] == current


def test_no_secret_is_published(tmp_path: Path) -> None:
    ring = keys_in(tmp_path)
    text = json.dumps(ring.published())
    assert all(key.jwk["d"] not in text for key in ring.keys)
    assert [sorted(key) for key in ring.published()["keys"]] == [["alg", "crv", "kid", "kty", "use", "x", "y"]] * 2


def test_keys_that_others_can_read_are_not_used(tmp_path: Path) -> None:
    keys_in(tmp_path)
    file = tmp_path / "keys" / "keys.json"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    with pytest.raises(KeyRingError, match="can be read by others"):
        keys_in(tmp_path)
    file.chmod(0o600)
    (tmp_path / "keys").chmod(0o755)
    with pytest.raises(KeyRingError, match="can be read by others"):
        keys_in(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"keys": []}', '{"keys": [{"kid": "a", "state": "current", "since_ms": 1, "jwk": {}}]}'],
)
def test_a_file_that_holds_no_keys(tmp_path: Path, text: str) -> None:
    keys_in(tmp_path)
    (tmp_path / "keys" / "keys.json").write_text(text)
    with pytest.raises(KeyRingError):
        keys_in(tmp_path)


def test_a_file_that_is_lost_while_the_service_runs_ends_nothing(tmp_path: Path) -> None:
    times = Times()
    ring = KeyRing(tmp_path / "keys", times, times)
    kid = jwt.get_unverified_header(ring.sign({}, "at+jwt"))["kid"]
    (tmp_path / "keys" / "keys.json").write_text("{")
    times.ms += 10_000
    assert jwt.get_unverified_header(ring.sign({}, "at+jwt"))["kid"] == kid
    (tmp_path / "keys" / "keys.json").unlink()
    times.ms += 10_000
    assert ring.find(kid) is not None
    with pytest.raises(KeyRingError):
        ring.rotate(wait_ms=0, keep_ms=HOUR_MS)


def test_a_change_that_is_broken_off_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = keys_in(tmp_path)
    before = ring.keys

    def fail(_handle: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("streams.identity.keyring.os.fsync", fail)
    with pytest.raises(KeyRingError, match="the disk is full"):
        ring.rotate(wait_ms=0, keep_ms=HOUR_MS)
    with pytest.raises(KeyRingError, match="the disk is full"):
        ring.replace_all()
    monkeypatch.undo()
    assert keys_in(tmp_path).keys == before
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["keys.json", "lock"]


def test_keys_that_have_become_known_count_no_more_from_the_next_look_on(tmp_path: Path) -> None:
    times = Times()
    running, tool = (KeyRing(tmp_path / "keys", times, times) for _ in range(2))
    tool.rotate(wait_ms=0, keep_ms=HOUR_MS)
    known = {key.kid for key in tool.keys}
    assert len(known) == 3
    current = tool.replace_all()
    times.ms += LOOK_AGAIN_MS
    assert jwt.get_unverified_header(running.sign({}, "at+jwt"))["kid"] == current.kid
    assert not known & {key.kid for key in running.keys}
    assert [running.find(kid) for kid in known] == [None] * 3


def test_a_session_of_a_key_that_has_become_known_is_not_handed_on(tmp_path: Path) -> None:
    with open_house(tmp_path) as house, house.client() as sts:
        session = sts.exchange(house.users.token("alice"), house.agents.token(AGENT))
        house.running.keys.replace_all()
        with pytest.raises(TokenRefusedError) as raised:
            sts.hand_on(session, house.agents.token(SUB_AGENT))
        assert raised.value.reason == "key_unknown"
        house.granted()


def test_keys_are_changed_under_load_without_a_token_that_cannot_be_checked(tmp_path: Path) -> None:
    """Clients keep the keys that they once got for as long as they may, and check tokens from before a change."""
    limits = dict.fromkeys(("per_subject_per_minute", "per_agent_per_minute", "per_address_per_minute"), 100_000)
    with open_house(tmp_path, **limits) as house:
        tokens: list[str] = []
        faults: list[str] = []
        kids: set[str] = set()
        ending = threading.Event()

        def issue() -> None:
            while not ending.is_set():
                tokens.append(house.granted()["access_token"])

        def check() -> None:
            asked_ms = system_monotonic_ms()
            cached = jwt.PyJWKSet.from_dict(house.http.get("/jwks").json())
            while not ending.is_set():
                # The tokens first: however long this thread waits for the machine, the keys are not too old for them.
                taken = tokens[-1:] + tokens[:1]
                if (now_ms := system_monotonic_ms()) - asked_ms > CACHED_MS:
                    asked_ms, cached = now_ms, jwt.PyJWKSet.from_dict(house.http.get("/jwks").json())
                for token in taken:
                    kid = jwt.get_unverified_header(token)["kid"]
                    kids.add(kid)
                    try:
                        jwt.decode(token, cached[kid].key, algorithms=["ES256"], audience=STS, issuer=STS)
                    except (KeyError, jwt.PyJWTError) as error:
                        faults.append(f"{kid}: {error!r}")
                ending.wait(0.005)

        threads = [threading.Thread(target=work) for work in (issue, issue, check, check)]
        for thread in threads:
            thread.start()
        ring = KeyRing(house.folder / "sts" / "keys", system_now_ms, system_monotonic_ms)
        try:
            for _ in range(3):
                threading.Event().wait(1.5)
                current = ring.rotate(wait_ms=1_000, keep_ms=HOUR_MS).kid
                until(lambda: current in kids, "a token of the new key is checked")  # noqa: B023 - called at once
            until(lambda: len(tokens) > 50, "there is load")
        finally:
            ending.set()
            for thread in threads:
                thread.join()
        assert faults == []
        assert len(kids) >= 4
