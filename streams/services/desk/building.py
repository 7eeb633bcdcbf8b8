"""Makes the sinks that the settings name."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Collection
from functools import partial
from importlib.metadata import version

from streams.desk import formats
from streams.desk.messages import Message
from streams.services.desk.errors import DeskError
from streams.services.desk.secret_files import read_token, read_url
from streams.services.desk.settings import (
    DeskSection,
    PagerdutySection,
    SlackSection,
    SplunkSection,
    SyslogSection,
    WebhookSinkSection,
)
from streams.services.desk.sinks import FileSink, HttpSink, Request, Sink, SyslogSink
from streams.services.webhook_signing import WebhookSecretError, read_secret, signed_headers


def build_sinks(
    section: DeskSection, now_ms: Callable[[], int], names: Collection[str] | None = None
) -> dict[str, Sink]:
    """Return the sinks by their names. Blocking: it reads their secrets.

    Args:
        section: the settings.
        now_ms: the wall clock, for signatures.
        names: which sinks; None for all. The secrets of others are not read.

    Raises:
        DeskError: a secret or a certificate can't be read.
    """
    timeout_ms = section.timeout_ms
    makers: dict[str, Callable[[], Sink]] = {}
    for name, webhook in section.webhooks.items():
        makers[name] = partial(_webhook, webhook, now_ms, timeout_ms)
    for name, slack in section.slack.items():
        makers[name] = partial(_slack, slack, timeout_ms)
    for name, pager in section.pagerduty.items():
        makers[name] = partial(_pagerduty, pager, timeout_ms)
    for name, splunk in section.splunk.items():
        makers[name] = partial(_splunk, splunk, timeout_ms)
    for name, syslog in section.syslog.items():
        makers[name] = partial(_syslog, syslog, timeout_ms)
    for name, file in section.files.items():
        makers[name] = partial(FileSink, file.path, formats.file_line)
    return {name: make() for name, make in makers.items() if names is None or name in names}


def _plain(body_of: formats.Format) -> Callable[[Message], Request]:
    return lambda message: Request(body_of(message), {})


def _webhook(section: WebhookSinkSection, now_ms: Callable[[], int], timeout_ms: int) -> Sink:
    try:
        secret = read_secret(section.secret_file)
    except WebhookSecretError as error:
        raise DeskError(str(error)) from None

    def request_of(message: Message) -> Request:
        body = formats.webhook_body(message)
        return Request(body, signed_headers(secret, message.uid, now_ms(), body))

    return HttpSink(section.url, request_of, timeout_ms)


def _slack(section: SlackSection, timeout_ms: int) -> Sink:
    return HttpSink(read_url(section.url_file), _plain(formats.slack_body), timeout_ms)


def _pagerduty(section: PagerdutySection, timeout_ms: int) -> Sink:
    body_of = partial(formats.pagerduty_body, routing_key=read_token(section.routing_key_file), source=section.source)
    return HttpSink(section.url, _plain(body_of), timeout_ms)


def _splunk(section: SplunkSection, timeout_ms: int) -> Sink:
    headers = {"authorization": f"Splunk {read_token(section.token_file)}"}
    body_of = partial(formats.splunk_body, host=section.host, index=section.index)
    return HttpSink(section.url, lambda message: Request(body_of(message), headers), timeout_ms)


def _syslog(section: SyslogSection, timeout_ms: int) -> Sink:
    tls = None
    if section.tls:
        try:
            tls = ssl.create_default_context(cafile=section.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise DeskError(f"certificates `{section.ca_file}` can't be read: {error}") from None
    frame_of = partial(formats.syslog_frame, version=version("stoplog"), host=socket.gethostname())
    return SyslogSink((section.host, section.port), frame_of, timeout_ms, tls=tls, confirms=section.confirms)
