"""How the lookup of open transactions connects: the deployment's settings, said to another library."""

from __future__ import annotations

import gc
import socket
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from streams.kafka.lookups.transaction_lookup import UnmappedError, library_settings
from streams.kafka.reader import KafkaReader
from streams.kafka.settings import Settings
from streams.ports import LogError, TopicPartition

PLACE = TopicPartition("agent.intent.v1", 0)


def test_settings_keep_their_meaning_under_the_other_names(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    given: Settings = {
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "gate",
        "sasl.password": "secret",
        "ssl.ca.location": str(authority),
        "ssl.certificate.location": "cert.pem",
        "ssl.key.location": "key.pem",
        "ssl.key.password": "other",
        "ssl.crl.location": "crl.pem",
        "ssl.endpoint.identification.algorithm": "none",
        "enable.ssl.certificate.verification": True,
        "client.id": "gate-1",
        # Neither trust nor identity: of no concern here.
        "socket.timeout.ms": 5_000,
        "linger.ms": 5,
    }
    assert library_settings(given) == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "gate",
        "sasl_plain_password": "secret",
        "ssl_cafile": str(authority),
        "ssl_certfile": "cert.pem",
        "ssl_keyfile": "key.pem",
        "ssl_password": "other",
        "ssl_crlfile": "crl.pem",
        "ssl_check_hostname": False,
        "client_id": "gate-1",
    }
    assert library_settings({}) == {}
    assert library_settings({"ssl.endpoint.identification.algorithm": "https"}) == {"ssl_check_hostname": True}


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("sasl.mechanism", {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}),
        ("sasl.mechanism", {"security.protocol": "SASL_SSL"}),
        ("sasl.kerberos.keytab", {"sasl.kerberos.keytab": "hidden"}),
        ("sasl.oauthbearer.client.secret", {"sasl.oauthbearer.client.secret": "hidden"}),
        ("security.protocol", {"security.protocol": "hidden"}),
        ("ssl.ca.pem", {"ssl.ca.pem": "hidden"}),
        ("ssl.ca.location", {"ssl.ca.location": "probe"}),
        ("ssl.cipher.suites", {"ssl.cipher.suites": "hidden"}),
        ("enable.ssl.certificate.verification", {"enable.ssl.certificate.verification": False}),
    ],
)
def test_what_has_no_counterpart_is_named_without_its_value(name: str, given: Settings) -> None:
    with pytest.raises(UnmappedError, match=f"`{name}`") as caught:
        library_settings(given)
    assert "hidden" not in str(caught.value)
    with closing(KafkaReader("127.0.0.1:1")) as reader:
        reader._transaction_lookup._extra = given
        with pytest.raises(LogError, match=f"`{name}`"):
            reader.oldest_transaction(PLACE)


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kafka.admin", None)
    with closing(KafkaReader("127.0.0.1:1")) as reader, pytest.raises(LogError, match=r"stoplog\[cli\]"):
        reader.oldest_transaction(PLACE)


# The library leaves a socket to the garbage collector whose handshake has not ended.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL"])
def test_a_broker_that_never_answers_ends_the_lookup_and_leaves_no_thread(protocol: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, closing(KafkaReader("127.0.0.1:1")) as reader:
        reader._transaction_lookup._bootstrap = f"127.0.0.1:{silent.getsockname()[1]}"
        reader._transaction_lookup._extra = {"security.protocol": protocol}
        with pytest.raises(LogError, match=r"Unable to bootstrap|did not answer within"):
            reader.oldest_transaction(PLACE)
    for thread in threading.enumerate():
        if thread.name == "transaction lookup":
            thread.join(10)
    assert not [thread.name for thread in threading.enumerate() if "transaction" in thread.name]
    gc.collect()
