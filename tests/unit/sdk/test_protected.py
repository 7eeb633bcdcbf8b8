"""What of an address may be printed."""

from __future__ import annotations

import pytest

from streams.sdk.protected import shown_url, without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pass@a.example:8443/mcp?key=1#2", "https://a.example:8443/mcp"),
        ("https://[::1]:8443/mcp", "https://[::1]:8443/mcp"),
        ("https://a.example", "https://a.example"),
        ("http:/me:pass@a.example/mcp", "http://a.example/mcp"),
        ("me@a.example/mcp", "a.example/mcp"),
        ("https://a.example:pass/mcp", "(not a URL)"),
        ("https://[bad", "(not a URL)"),
        ("mcp", "mcp"),
    ],
)
def test_scheme_host_port_and_path_are_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_only_addresses_of_the_host_lose_what_may_be_secret() -> None:
    text = "error '401' for url 'https://A.example/mcp?key=1', see https://docs.example/401?lang=en"
    told = "error '401' for url 'https://a.example/mcp', see https://docs.example/401?lang=en"
    assert without_secrets(text, "https://me:pass@a.example/mcp") == told
