"""Credentials of AWS come from where botocore finds them, and nobody waits for them longer than is stated."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from streams.audit.content import ContentError
from streams.codec.instants import format_instant
from streams.model.content import WRAP_ALG
from streams.model.types import WrappedKey
from streams.sdk.keys.aws_kms import AwsKms
from streams.wiring.clock import SystemClock
from tests.answering import answering
from tests.ministack import REGION, without_own_credentials

NAMED = WrappedKey(kid="k", kek=f"aws:arn:aws:kms:{REGION}:000000000000:key/1", alg=WRAP_ALG, wrapped=b"w")
TIMEOUT_MS = 300
BOUND_S = 1.5
"""Far less than botocore's own waits."""
PATIENT_MS = 30_000
"""For answers that come, however busy the machine is."""
ROLE = "role-of-the-machine"
MADE = {"AccessKeyId": "id", "SecretAccessKey": "secret"}
REFUSED = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>"


def end_of(life_s: int) -> str:
    return format_instant(SystemClock().now_ms() + life_s * 1_000)


def program_answer(life_s: int) -> str:
    """Return what a `credential_process` writes."""
    return json.dumps(MADE | {"Version": 1, "SessionToken": "token", "Expiration": end_of(life_s)})


class Machine:
    """What a machine on AWS asks: a service that gives credentials, and KMS, both on loopback.

    Attributes:
        life_s: how long credentials count that are given from now on.
        is_silent: whether no credentials are given any more, and requests for them stay open.
        asked: how often KMS was asked.
        given: how often credentials were asked for.
    """

    def __init__(self) -> None:
        self.life_s, self.is_silent, self.asked, self.given = 3_600, False, 0, 0
        self.closed = Event()
        self.address = ""

    def answer(self, path: str) -> bytes | None:
        """Return the body of the answer; None for none."""
        if path == "/":
            self.asked += 1
            return b'{"KeyId": "arn:aws:kms:eu-central-1:000000000000:key/1", "Plaintext": "a2V5"}'
        if self.is_silent:
            self.closed.wait()
            return None
        if path.endswith("token"):
            return b"token"
        if path.endswith("security-credentials/"):
            return ROLE.encode()
        self.given += 1
        return json.dumps(MADE | {"Code": "Success", "Token": "token", "Expiration": end_of(self.life_s)}).encode()


@contextmanager
def running_machine() -> Iterator[Machine]:
    machine = Machine()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["content-length"] or 0))
            body = machine.answer(self.path)
            if body is None:
                return
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET  # noqa: N815 - the library's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        machine.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield machine
        finally:
            machine.closed.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    without_own_credentials(monkeypatch)
    with running_machine() as made:
        yield made


def in_a_container(machine: Machine, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{machine.address}/container")


def on_an_instance(machine: Machine, patch: pytest.MonkeyPatch) -> None:
    patch.delenv("AWS_EC2_METADATA_DISABLED")
    patch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.address)
    patch.setenv("AWS_METADATA_SERVICE_TIMEOUT", "5")


@contextmanager
def client(machine: Machine, timeout_ms: int = PATIENT_MS) -> Iterator[AwsKms]:
    with AwsKms(REGION, endpoint=machine.address, timeout_ms=timeout_ms, attempts_max=1) as kms:
        yield kms


def seconds_to_fail(kms: AwsKms, text: str) -> float:
    began = time.monotonic()
    with pytest.raises(ContentError, match=text):
        kms.unwrap(NAMED)
    return time.monotonic() - began


@pytest.mark.timed
@pytest.mark.parametrize("place", [in_a_container, on_an_instance])
def test_a_renewal_that_is_not_answered_is_bounded(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, place: Callable[[Machine, pytest.MonkeyPatch], None]
) -> None:
    place(machine, monkeypatch)
    machine.life_s = 2
    with client(machine, TIMEOUT_MS) as kms:
        assert kms.unwrap(NAMED) == b"key"
        machine.is_silent = True
        time.sleep(2.1)
        for _ in range(2):
            assert seconds_to_fail(kms, r"no credentials have come within 300 ms; look at what gives them") < BOUND_S
    assert machine.asked == 1


def test_credentials_that_still_count_are_used_while_they_are_renewed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore renews them a quarter of an hour ahead, and a transaction need not wait for that."""
    in_a_container(machine, monkeypatch)
    machine.life_s = 60
    with client(machine) as kms:
        assert kms.unwrap(NAMED) == b"key"
        machine.is_silent = True
        began = time.monotonic()
        assert kms.unwrap(NAMED) == b"key"
        assert time.monotonic() - began < PATIENT_MS / 2_000


def test_renewed_credentials_are_used(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_container(machine, monkeypatch)
    machine.life_s = 2
    with client(machine) as kms:
        assert kms.unwrap(NAMED) == b"key"
        time.sleep(2.1)
        machine.life_s, before = 3_600, machine.given
        assert kms.unwrap(NAMED) == b"key"
        assert kms.unwrap(NAMED) == b"key"
    assert machine.given == before + 1


@pytest.mark.timed
def test_an_sts_that_does_not_answer_is_asked_once(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/gate")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"{machine.address}/sts")
    machine.is_silent = True
    with client(machine, TIMEOUT_MS) as kms:
        assert seconds_to_fail(kms, "can't be asked: no credentials: ReadTimeoutError") < BOUND_S


def helper(patch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Have a program give the credentials."""
    (folder / "helper").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "helper").chmod(0o700)
    (folder / "config").write_text(f"[default]\ncredential_process = {folder / 'helper'}\n")
    patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))


@pytest.mark.timed
def test_a_program_that_does_not_end_is_bounded(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answer, silent, number = program_answer(3), tmp_path / "silent", tmp_path / "number"
    helper(monkeypatch, tmp_path, f"[ -e {silent} ] && echo $$ >{number} && exec sleep 60\necho '{answer}'")
    with client(machine, TIMEOUT_MS) as kms:
        assert kms.unwrap(NAMED) == b"key"
        silent.touch()
        time.sleep(3.1)
        assert seconds_to_fail(kms, "no credentials have come within 300 ms") < BOUND_S
    os.kill(int(number.read_text()), 15)


@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "unreadable"])
def test_a_file_that_can_not_be_read_is_an_error_that_callers_handle(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_there: bool
) -> None:
    token = tmp_path / "token"
    if is_there:
        token.mkdir()
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/gate")
    reason = "Is a directory" if is_there else "No such file or directory"
    with (
        client(machine) as kms,
        pytest.raises(ContentError, match=f"can't be asked: no credentials: .*{reason}: .*token"),
    ):
        kms.unwrap(NAMED)


def test_a_program_that_is_missing_is_an_error_that_callers_handle(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    helper(monkeypatch, tmp_path, "")
    (tmp_path / "helper").unlink()
    with pytest.raises(ContentError, match=r"No such file or directory: .*helper"), client(machine) as kms:
        kms.unwrap(NAMED)


def test_authorities_that_are_missing_are_an_error_that_callers_handle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_own_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "missing"))
    with pytest.raises(ContentError, match="AWS KMS of region `eu-central-1`"), AwsKms(REGION) as kms:
        kms.unwrap(NAMED)


def test_a_role_that_is_refused_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The refusal is that of STS, and not one of KMS with a key."""
    (tmp_path / "token").write_text("token")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/gate")
    with answering(403, REFUSED) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", address)
        with client(machine) as kms, pytest.raises(ContentError) as caught:
            kms.unwrap(NAMED)
    text = "can't be asked: no credentials, as `AssumeRoleWithWebIdentity` is refused: AccessDenied: not you"
    assert text in str(caught.value)


def test_what_a_program_writes_gets_into_no_log(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer, broken = program_answer(60), tmp_path / "broken"
    helper(monkeypatch, tmp_path, f"[ -e {broken} ] && echo hunter2 >&2 && exit 1\necho '{answer}'")
    caplog.set_level(logging.DEBUG)
    with client(machine) as kms:
        assert kms.unwrap(NAMED) == b"key"
        broken.touch()
        for _ in range(20):
            assert kms.unwrap(NAMED) == b"key"
            time.sleep(0.02)
    assert "hunter2" not in caplog.text
