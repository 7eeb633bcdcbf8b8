"""Writes the timeline of a session as one page. Everything on it was written by agents, tools and strangers, so every
text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.codec.instants import format_instant
from streams.operations.html_page import as_html, html_page
from streams.operations.timeline.entries import Entry, Tone, Who

_CHARS_OPEN_MAX = 600
"""A longer detail is folded."""

_CHARS_FOLDED = 120
"""The beginning of a folded detail, which is shown."""

_STYLE = """
.state { font-weight: 600; }
dl.head { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 1rem 0 1.5rem; }
dl.head dt, .time, .name, dl.more dt, .place { color: var(--faint); }
dl.head dd, dl.more dd { margin: 0; overflow-wrap: anywhere; }
ol { list-style: none; margin: 0; padding: 0; }
li { border-left: 3px solid var(--line); padding: .35rem 0 .6rem 1rem; }
li.good { border-color: var(--good); } li.held { border-color: var(--held); } li.bad { border-color: var(--bad); }
.day { border: 0; padding: 1.2rem 0 .3rem; font-weight: 600; }
.time { font-variant-numeric: tabular-nums; margin-right: .6rem; }
.who { font-weight: 600; margin-right: .35rem; }
.good .who { color: var(--good); } .held .who { color: var(--held); } .bad .who { color: var(--bad); }
.what { overflow-wrap: anywhere; }
dl.more { display: grid; grid-template-columns: max-content 1fr; gap: 0 .8rem; margin: .2rem 0 0; font-size: .87rem; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .85rem/1.4 ui-monospace, monospace; }
summary { cursor: pointer; color: var(--faint); }
.place { font-size: .78rem; }
@media print { details::details-content { content-visibility: visible; block-size: auto; } }
""".strip()


def page_of(
    title: str, state: str, head: Sequence[tuple[str, str]], entries: Iterable[Entry], notes: Sequence[str]
) -> str:
    """Return the page.

    Args:
        title: the session.
        state: its state, in words.
        head: what is known of the session as a whole, each with its name.
        entries: the timeline.
        notes: what the reader must know of the page: what is missing, when it was made.
    """
    rows = "".join(f"<dt>{as_html(name)}</dt><dd>{as_html(text)}</dd>" for name, text in head if text)
    lines = "\n".join(_lines(entries))
    told = "".join(f"<p>{as_html(note)}</p>" for note in notes)
    body = (
        f'<p class="state">{as_html(state)}</p>\n<dl class="head">{rows}</dl>\n'
        f"<ol>\n{lines}\n</ol>\n<footer>{told}</footer>"
    )
    return html_page(title, _STYLE, body)


def _lines(entries: Iterable[Entry]) -> Iterable[str]:
    day = ""
    for entry in entries:
        date, _, time = format_instant(entry.time_ms).rstrip("Z").partition("T")
        if date != day:
            day = date
            yield f'<li class="day">{as_html(date)}, UTC</li>'
        yield _line(entry, time)


def _line(entry: Entry, time: str) -> str:
    who = entry.who.value if not entry.name else entry.name
    kind = (
        "" if not entry.name or entry.who in (Who.GATE,) else f' <span class="name">({as_html(entry.who.value)})</span>'
    )
    tone = "" if entry.tone is Tone.PLAIN else f' class="{entry.tone.value}"'
    details = "".join(_detail(name, text) for name, text in entry.details)
    more = f'<dl class="more">{details}</dl>' if details else ""
    intent = "" if entry.intent_id is None else f"intent {as_html(entry.intent_id)}, "
    return (
        f'<li{tone}><span class="time">{as_html(time)}</span><span class="who">{as_html(who)}{kind}</span>'
        f'<span class="what">{as_html(entry.what)}</span>{more}'
        f'<div class="place">{intent}{as_html(entry.place)}</div></li>'
    )


def _detail(name: str, text: str) -> str:
    shown = f"<pre>{as_html(text)}</pre>" if name == "arguments" or len(text) > _CHARS_OPEN_MAX else as_html(text)
    if len(text) > _CHARS_OPEN_MAX:
        begun = f"{text[:_CHARS_FOLDED]}… ({len(text):,} characters)"
        shown = f"<details><summary>{as_html(begun)}</summary>{shown}</details>"
    return f"<dt>{as_html(name)}</dt><dd>{shown}</dd>"
