"""The page on the token service: its settings are accepted as they stand there, its lists are complete."""

from __future__ import annotations

import re
import tomllib

from streams.delegation.anchors import TrustAnchors
from streams.services.sts.request import GRANT_TYPE
from streams.services.sts.settings import StsSection
from streams.services.sts.sources import TokenType
from tests.unit.docs.pages import DOCS

PAGE = (DOCS / "how-to" / "run-the-token-service.md").read_text("utf-8")


def settings() -> dict[str, dict[str, object]]:
    """The settings of the page, put together."""
    blocks = re.findall(r"(?:^    .*\n|^\n)+", PAGE, re.MULTILINE)
    found = [block for block in blocks if re.search(r"^    \[(sts|gate)", block, re.MULTILINE)]
    return tomllib.loads("\n".join(re.sub("^    ", "", block, flags=re.MULTILINE) for block in found))


def test_the_settings_are_accepted() -> None:
    written = settings()
    section = StsSection.model_validate(written["sts"])
    assert section.agents["support"].tools[0].arguments[0].type == "ONE_OF"
    assert TrustAnchors.of(written["gate"]["trust_anchors"]).hmac_issuers == {section.issuer}


def test_what_can_be_sent_is_listed() -> None:
    assert GRANT_TYPE in PAGE
    for kind in TokenType:
        assert f"...:{kind.value.rpartition(':')[2]}" in PAGE or kind.value in PAGE
    for name in (
        "subject_proof",
        "grant",
        "expires_in",
        "max_depth",
        "attended",
        "purpose",
        "authorization_details",
        "model_name",
        "system_prompt_digest",
        "toolset_digest",
    ):
        assert f"`{name}`" in PAGE
