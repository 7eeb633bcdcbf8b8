"""The settings of the token service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from streams.model.errors import SettingsError
from streams.services.sts.errors import StsError
from streams.services.sts.service import RunningSts
from streams.services.sts.settings import StsSection
from streams.wiring.settings_loading import load_settings
from tests.unit.services.sts.house import ROOT_KEY, STS, TENANT, House, open_house


class TestSettings:
    def make(self, **changes: Any) -> StsSection:
        return StsSection.model_validate(changes)

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"host": "0.0.0.0"}, "in the clear"),  # noqa: S104 - it is refused
            ({"host": "sts.example"}, "in the clear"),
            ({"tls_key": "key.pem"}, "belong together"),
            ({"issuer": "sts"}, "must be a URL"),
            ({"issuer": "https://sts.example?x"}, "must be a URL"),
            ({"depth_max": 9}, "depth_max"),
            ({"nothing": 1}, "nothing"),
            (
                {"sources": {"a": {"issuer": "https://a", "jwks": "http://a/k", "gives": ["user"], "audience": ["x"]}}},
                "plain HTTP",
            ),
            ({"sources": {"a": {"issuer": "spiffe://a", "jwks": "k", "gives": ["user"], "audience": ["x"]}}}, "SPIFFE"),
            ({"sources": {"a": {"issuer": "https://a", "jwks": "k", "gives": ["user"], "audience": []}}}, "audience"),
            (
                {
                    "sources": {
                        n: {"issuer": f"https://{n}", "jwks": "k", "gives": ["user"], "audience": ["x"]} for n in "ab"
                    }
                },
                "subject_prefix",
            ),
            (
                {
                    "sources": {
                        n: {"issuer": "https://a", "jwks": "k", "gives": ["agent"], "audience": ["x"]} for n in "ab"
                    }
                },
                "named twice",
            ),
            ({"agents": {"a": {"issuer": "i", "sub": "s", "sources": ["b"]}}}, "does not exist"),
            ({"agents": {n: {"issuer": n, "sub": "s"} for n in "ab"}}, "listed twice"),
            (
                {
                    "sources": {
                        "a": {
                            "issuer": "https://a",
                            "jwks": "k",
                            "gives": ["user"],
                            "audience": ["x"],
                            "algorithms": ["HS256"],
                        }
                    }
                },
                "algorithms",
            ),
        ],
    )
    def test_that_are_refused(self, changes: dict[str, Any], match: str) -> None:
        with pytest.raises(ValueError, match=match):
            self.make(**changes)

    def test_another_address_on_the_command_line(self) -> None:
        at = load_settings({}).sts_at("127.0.0.1", 9_000)
        assert (at.port, at.issuer) == (9_000, "http://127.0.0.1:9000")
        named = load_settings({"sts": {"issuer": STS, "host": "localhost"}}).sts_at(None, 9_000)
        assert (named.host, named.port, named.issuer) == ("localhost", 9_000, STS)
        with pytest.raises(SettingsError, match="in the clear"):
            load_settings({}).sts_at("0.0.0.0", None)  # noqa: S104 - it is refused

    def test_off_loopback_with_tls(self) -> None:
        assert not self.make(host="0.0.0.0", behind_tls_proxy=True).on_loopback  # noqa: S104 - it is what is tested

    def test_names_of_users_that_begin_like_those_of_another_source(self, tmp_path: Path) -> None:
        far = {
            "issuer": "https://far.example",
            "jwks": "k",
            "gives": ["user"],
            "audience": [STS],
            "subject_prefix": "far:",
        }
        with open_house(tmp_path, more_sources={"far": far}) as house:
            assert house.refused(subject_token=house.users.token("far:alice")) == ("invalid_request", "claim_missing")

    def test_a_service_that_would_take_nothing(self, tmp_path: Path, house: House) -> None:
        with pytest.raises(StsError, match="no source or no agent is set"):
            RunningSts(StsSection(), house.transport, ROOT_KEY, tenant_uid=TENANT, folder=tmp_path)

    def test_an_issuer_for_development_is_for_this_machine(self, tmp_path: Path, house: House) -> None:
        for section in (
            self.make(host="0.0.0.0", behind_tls_proxy=True),  # noqa: S104 - it is refused
            self.make(behind_tls_proxy=True),
            self.make(issuer=STS),
            self.make(issuer="http://127.0.0.1.sts.example:8420"),
        ):
            with pytest.raises(StsError, match="anybody to anybody"):
                RunningSts(section, house.transport, ROOT_KEY, tenant_uid=TENANT, folder=tmp_path, dev_issuer=True)

    @pytest.mark.parametrize("path", ["/dev/token?kind=users&sub=ceo", "/jwks", "/healthz", "/dev/jwks"])
    def test_with_it_no_page_of_a_browser_is_answered(self, tmp_path: Path, house: House, path: str) -> None:
        """Nor one whose own name stands for this machine."""
        running = RunningSts(
            self.make(), house.transport, ROOT_KEY, tenant_uid=TENANT, folder=tmp_path, dev_issuer=True
        )

        async def ask(**headers: str) -> int:
            transport = httpx2.ASGITransport(running.application)
            async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420") as http:
                return (await http.get(path, headers=headers)).status_code

        with running:
            assert asyncio.run(ask()) == 200
            assert asyncio.run(ask(host="localhost:8420")) == 200
            assert asyncio.run(ask(host="[::1]:8420")) == 200
            assert asyncio.run(ask(host="evil.example:8420")) == 400
            assert asyncio.run(ask(host="127.0.0.1.evil.example")) == 400
            assert asyncio.run(ask(host="[::1")) == 400
            for site in ("cross-site", "same-site", "same-origin"):
                assert asyncio.run(ask(**{"sec-fetch-site": site})) == 400
            assert asyncio.run(ask(origin="http://localhost:8420")) == 400
