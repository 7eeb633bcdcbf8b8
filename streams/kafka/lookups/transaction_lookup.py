"""Look up who has a transaction open, with a second client library.

confluent-kafka has no call for it (2.16), and Kafka's own tool needs Java. The package `kafka-python` has the two
requests: DescribeProducers names the producers of a partition, ListTransactions the transactional id of a producer. It
is used for nothing else, and imported when it is first needed: who only embeds the SDK need not install it.

Its client lives for one lookup. It gets the deployment's settings under its own names. A setting of TLS or SASL that
has no counterpart there ends the lookup, so that this connection is never less strict than those of librdkafka.

See ADR 0042.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.kafka.bounded.deadline import StuckError, TimedCalls, within
from streams.kafka.settings import LOGGER, Setting, Settings, connection_settings
from streams.ports import LogError, OpenTransaction, RetriableLogError, TopicPartition
from streams.ports.open_log import TopicNames

LOOKUP_S_MAX = 5.0
"""All of a lookup takes no longer; the parts have shorter limits."""

_CONNECT_MS = 3_000
_REQUEST_MS = 2_000
_RECONNECT_MS = 500
_STOP_MS = 500

# librdkafka's names, and those of kafka-python for the same values.
_SAME: Mapping[str, str] = {
    "client.id": "client_id",
    "sasl.password": "sasl_plain_password",
    "sasl.username": "sasl_plain_username",
    "ssl.ca.location": "ssl_cafile",
    "ssl.certificate.location": "ssl_certfile",
    "ssl.crl.location": "ssl_crlfile",
    "ssl.key.location": "ssl_keyfile",
    "ssl.key.password": "ssl_password",
}
# These decide on whom a client trusts and who it is. Other settings (times, buffers) don't matter here.
_STRICT_PREFIXES = ("sasl.", "security.", "ssl.", "enable.sasl.", "enable.ssl.")
_PROTOCOLS = frozenset({"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"})
_MECHANISMS = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
_ENDPOINT_CHECKS: Mapping[str, bool] = {"https": True, "none": False}
_LIBRARY_LOGGER = "kafka"


class UnmappedError(ValueError):
    """A setting has no counterpart in the other library."""

    def __init__(self, name: str) -> None:
        """Name the setting, and never its value, which may be a secret."""
        super().__init__(f"the Kafka setting `{name}`, or its value, has no counterpart in the package kafka-python")


def library_settings(extra: Settings) -> dict[str, Any]:
    """Return the deployment's settings for connecting, under kafka-python's names.

    Args:
        extra: settings of the deployment, in librdkafka's names.

    Raises:
        UnmappedError: one that concerns TLS or SASL can't be said there.
    """
    found: dict[str, Any] = {}
    for name, value in connection_settings(extra).items():
        if name in _SAME:
            found[_SAME[name]] = str(value)
        elif name.startswith(_STRICT_PREFIXES):
            found |= _translated(name, value)
    protocol = found.get("security_protocol", "PLAINTEXT")
    # librdkafka's own default is GSSAPI.
    if protocol.startswith("SASL_") and "sasl_mechanism" not in found:
        raise UnmappedError("sasl.mechanism")
    # A path to a folder, or `probe`: librdkafka's ways to name many files.
    if "ssl_cafile" in found and not Path(found["ssl_cafile"]).is_file():
        raise UnmappedError("ssl.ca.location")
    return found


def _translated(name: str, value: Setting) -> dict[str, Any]:
    text = str(value)
    if name == "security.protocol" and text.upper() in _PROTOCOLS:
        return {"security_protocol": text.upper()}
    if name in {"sasl.mechanism", "sasl.mechanisms"} and text in _MECHANISMS:
        return {"sasl_mechanism": text}
    if name == "ssl.endpoint.identification.algorithm" and text in _ENDPOINT_CHECKS:
        return {"ssl_check_hostname": _ENDPOINT_CHECKS[text]}
    if name == "enable.ssl.certificate.verification" and text.lower() == "true":
        return {}
    raise UnmappedError(name)


class TransactionLookup:
    """Looks up open transactions. Holds no connection in between."""

    def __init__(self, bootstrap: str, names: TopicNames, extra: Settings) -> None:
        """Use the brokers, topic names and settings of the client that this belongs to."""
        self._bootstrap = bootstrap
        self._names = names
        self._extra = extra

    def oldest(self, partition: TopicPartition) -> OpenTransaction | None:
        """Return the open transaction that begins first; None if no transaction is open on the partition.

        Raises:
            LogError: the package is not installed, a setting has no counterpart, or the brokers refused.
            RetriableLogError: they did not answer within LOOKUP_S_MAX.
        """
        try:
            client = _Client(self._bootstrap, library_settings(self._extra))
        except ImportError:
            raise LogError('the package kafka-python is not installed: `pip install "stoplog[cli]"`') from None
        except UnmappedError as error:
            raise LogError(str(error)) from None
        except Exception as error:
            raise _failure(error) from error
        calls = TimedCalls("transaction lookup")
        name = self._names.on_log(partition.topic)
        try:
            return calls.call(lambda: client.oldest(name, partition.partition), within(LOOKUP_S_MAX))
        except StuckError:
            raise RetriableLogError(f"the brokers did not answer within {LOOKUP_S_MAX:g} s") from None
        except Exception as error:
            raise _failure(error) from error
        finally:
            client.close()
            calls.close()


def _failure(error: Exception) -> LogError:
    """Return the port's error for whatever the library raises: the caller has more to report than what this tells."""
    kind, text = type(error).__name__, str(error)
    return LogError(text if text.startswith(kind) else f"{kind}: {text}")


class _Client:
    """The other library's client, for one lookup."""

    def __init__(self, bootstrap: str, settings: Mapping[str, Any]) -> None:
        """Import the library; nothing is connected yet.

        Raises:
            ImportError: the library is not installed.
        """
        # Lazy: neither the SDK nor a gate whose input moves needs it.
        import kafka.admin  # noqa: PLC0415 - see above
        import kafka.net.compat  # noqa: PLC0415 - likewise
        import kafka.net.selector  # noqa: PLC0415 - likewise

        log = logging.getLogger(_LIBRARY_LOGGER)
        if log.level == logging.NOTSET:
            # It logs each connection, and, for debugging, the password.
            log.setLevel(logging.WARNING)
        self._settings = {
            "client_id": "stoplog-transaction-lookup",
            "request_timeout_ms": _REQUEST_MS,
            "bootstrap_timeout_ms": _CONNECT_MS,
            "reconnect_backoff_ms": _RECONNECT_MS,
            **settings,
            "bootstrap_servers": bootstrap,
            "kafka_client": self._make_net_client,
        }
        self._library = kafka
        # Made here, because the library does not end the thread of a client that could not connect.
        self._net = kafka.net.selector.NetworkSelector(client_id=self._settings["client_id"])
        self._net_clients: list[Any] = []

    def oldest(self, topic: str, number: int) -> OpenTransaction | None:
        """Connect, and ask. The parts have time limits, but together they may take longer than a caller has."""
        admin = self._library.admin.KafkaAdminClient(**self._settings)
        place = self._library.TopicPartition(topic, number)
        producers = admin.describe_producers([place])[place].active_producers
        writing = [producer for producer in producers if producer.current_transaction_start_offset >= 0]
        if not writing:
            return None
        first = min(writing, key=lambda producer: producer.current_transaction_start_offset)
        return OpenTransaction(
            producer_id=first.producer_id,
            epoch=first.producer_epoch,
            start_offset=first.current_transaction_start_offset,
            last_record_ms=first.last_timestamp if first.last_timestamp >= 0 else None,
            transactional_id=self._transactional_id(admin, first.producer_id),
        )

    def close(self) -> None:
        """Close all connections, and end the library's thread, also under a call that has not returned."""
        self._net.stop(_STOP_MS)
        for client in self._net_clients:
            client.close()
        self._net.close()

    def _make_net_client(self, **settings: Any) -> Any:
        client = self._library.net.compat.KafkaNetClient(net=self._net, **settings)
        self._net_clients.append(client)
        return client

    def _transactional_id(self, admin: Any, producer_id: int) -> str | None:
        """Ask every broker: each lists the transactions that it coordinates, as far as the client may see them."""
        try:
            listed = admin.list_transactions(producer_id_filters=[producer_id])
        except self._library.errors.KafkaError as error:
            LOGGER.warning("the transactional id of producer %d can't be looked up: %s", producer_id, error)
            return None
        ids = [row.transactional_id for rows in listed.values() for row in rows if row.producer_id == producer_id]
        return ids[0] if ids else None
