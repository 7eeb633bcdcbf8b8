"""Write alerts to the log: as a record, and as OCSF JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.codec.cloudevents import event_headers
from streams.codec.ocsf import ocsf_json
from streams.model.alert import Alert
from streams.model.keys import partition_for
from streams.model.topics import ALERT, ALERT_OCSF
from streams.ports import Outgoing
from streams.sdk.connection.single_records import outgoing, publish
from streams.sdk.connection.transport import Transport


def alert_records(transport: Transport, alert: Alert) -> list[Outgoing]:
    """Return what is to be written for an alert.

    Raises:
        LogError: the topics' partitions aren't known.
    """
    text = ocsf_json(alert)
    key = alert.dedup_key.encode()
    complete = msgspec.structs.replace(alert, ocsf_json=text)
    event = Outgoing(
        topic=ALERT_OCSF.name,
        partition=partition_for(key, transport.partitions(ALERT_OCSF.name)),
        key=key,
        value=text.encode(),
        headers=event_headers(ALERT_OCSF, alert.header),
    )
    return [outgoing(transport, ALERT, key, complete, alert.header), event]


def send_alerts(transport: Transport, alerts: Sequence[Alert]) -> None:
    """Store alerts; blocks until they are.

    Raises:
        PublishError: they are not known to be stored.
        LogError: the topics' partitions aren't known.
    """
    publish(transport, [record for alert in alerts for record in alert_records(transport, alert)])
