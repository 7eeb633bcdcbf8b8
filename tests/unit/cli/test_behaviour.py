"""`stoplog behaviour show`: what a watch has published about an agent, on an embedded log."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from streams.cli.main import run
from streams.model.topics import BASELINE
from streams.ports import Outgoing
from streams.wiring.codecs import build_codec
from streams.wiring.logs import open_log
from streams.wiring.settings_loading import load_settings
from tests.unit.cli.conftest import Result, Stoplog
from tests.unit.operations.behaviour.portraits import AGENT, published

WAIT_MS = 30_000


@pytest.fixture
def site(home: Path) -> None:
    """An embedded log with the baselines of two agents of the tenant `acme`."""
    run(["topics", "apply", "--json"])
    settings = load_settings()
    codec = build_codec(settings)
    log = open_log(settings, create=False)
    with log:
        publisher = log.publisher()
        for read in published(home):
            publisher.publish(Outgoing(BASELINE.name, 0, read.key, codec.encode(BASELINE.name, read.record)))
        publisher.flush(WAIT_MS)
        publisher.close()


def shown(stoplog: Stoplog, *args: str) -> str:
    result = stoplog("behaviour", "show", f"acme|{AGENT}", "--no-json", *args)
    assert result.status == 0, result.err
    return result.out


def test_its_help_prints_no_markup(stoplog: Stoplog) -> None:
    text = stoplog("behaviour", "show", "--help").out
    assert "role soc" in " ".join(text.split())
    assert "`" not in text


@pytest.mark.usefixtures("site")
def test_it_shows_what_is_usual_and_what_the_new_model_has_changed(stoplog: Stoplog) -> None:
    text = shown(stoplog)
    assert f"what is usual for acme|{AGENT}" in text
    assert "model example/model-2" in text
    assert "since the model changed from example/model-1 to example/model-2:" in text
    assert re.search(r"- pay\.refund is used \d\.?\d? times as often: \d+% of its calls before, \d+% now", text)
    assert re.search(r"- docs\.read is used no longer: it was \d+% of its calls", text)
    assert re.search(r"- the usual amount of pay\.refund is [\d.]+ times what it was: 2\d\.?\d* before, 7", text)
    assert "x<b>parcel</b>.example is written to for the first time" in text
    assert "its calls fall into hours at which it hardly worked before: " in text
    assert re.search(r"rhythm: mostly \d\d:00-[^U]*2\d:00 UTC", text)
    assert re.search(r"pay\.refund +█+ +\d+% \(\d+% before\)", text)
    assert re.search(r"pay\.refund +about \d+\.?\d*, mostly \d+\.?\d* to \d+", text)
    assert max(len(line) for line in text.splitlines()) <= 160


@pytest.mark.usefixtures("site")
def test_an_epoch_can_be_named_and_compared_with_another(stoplog: Stoplog) -> None:
    assert "there is no other epoch to compare with" in shown(stoplog, "--epoch", "model-1")
    back = shown(stoplog, "--epoch", "model-1", "--against", "model-2")
    assert "since the model changed from example/model-2 to example/model-1:" in back
    unknown = stoplog("behaviour", "show", f"acme|{AGENT}", "--epoch", "model")
    assert unknown.status == 1
    assert "`--epoch model` names 2 epochs of the agent. Its epochs are: model example/model-2; " in unknown.err


@pytest.mark.usefixtures("site")
def test_an_agent_that_nothing_is_known_of_is_named_with_those_it_could_be(stoplog: Stoplog) -> None:
    missing = stoplog("behaviour", "show", "acme|support-refund")
    assert missing.status == 1
    assert "no watch has published what is usual for agent `support-refund` of tenant `acme`" in missing.err
    assert f"did you mean `{AGENT}`" in missing.err
    assert f"; another tenant has such an agent: `acme|{AGENT}`" in stoplog("behaviour", "show", AGENT).err
    nothing = stoplog("behaviour", "show", "elsewhere|x").err
    assert "at most once in `watch.publish_ms`" in nothing
    assert "(for another tenant, say `TENANT|x`)" in nothing


@pytest.mark.usefixtures("site")
def test_programs_get_everything(stoplog: Stoplog) -> None:
    (record,) = stoplog("behaviour", "show", f"acme|{AGENT}").records
    assert (record["record"], record["agent"], len(record["epochs"])) == ("behaviour", f"acme|{AGENT}", 2)
    assert sum(bar["calls"] for bar in record["tools"]) == record["epochs"][0]["calls"] == sum(record["hours"])
    assert {change["kind"] for change in record["changes"]} >= {"tool", "destination", "amount", "hours"}


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.usefixtures("site")
def test_the_page_needs_nothing_else_and_escapes_what_strangers_have_named(stoplog: Stoplog, home: Path) -> None:
    result = stoplog("behaviour", "show", f"acme|{AGENT}", "--html", "page.html")
    assert json.loads(result.out)["record"] == "behaviour"
    page = Page()
    written = (home / "page.html").read_text("utf-8")
    page.feed(written)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.links == []
    assert page.tags.count("b") == written.count('<b style="left:'), "no tag comes from a name"
    assert "x<b>parcel</b>.example" in page.text
    assert "Since the model changed from example/model-1 to example/model-2" in page.text
    assert "default-src 'none'" in written


@pytest.mark.usefixtures("site")
def test_it_shows_what_is_announced_of_the_agent(stoplog: Stoplog, home: Path) -> None:
    with (home / "stoplog.toml").open("a") as settings:
        settings.write("\n[alerts]\nallow_unsigned = true\n")
    work = ("--tool", "crm.delete", "--calls", "50", "--until", "2h", "--why", "CHG-881")
    made = stoplog("behaviour", "announce", f"acme|{AGENT}", "acme|another", *work)
    assert made.status == 0, made.err
    text = shown(stoplog)
    assert f"{AGENT}: up to 50 calls of crm.delete" in text
    assert "another" not in text


@pytest.mark.usefixtures("site")
def test_it_says_so_if_what_is_announced_cannot_be_read(stoplog: Stoplog, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> Result:
        return stoplog("behaviour", "show", f"acme|{AGENT}", "--json")

    assert [each["announced"] for each in asked().records] == [[]]
    hidden = "streams.operations.behaviour.announcements.hidden_topics"
    monkeypatch.setattr(hidden, lambda _log, names: list(names))
    assert [each["announced"] for each in asked().records] == [None]
    assert "what is announced can't be read here" in shown(stoplog)
