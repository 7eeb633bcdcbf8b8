"""Writes what is usual for an agent as one page. Names of tools and destinations come from strangers, so every text is
escaped. Bars are widths of boxes: they are read aloud as the numbers beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from streams.operations.behaviour.changes import percent
from streams.operations.behaviour.portrait import Bar, Portrait, share_text
from streams.operations.html_page import as_html, html_page

BARS_SHOWN_MAX = 12
"""How many bars are drawn at once. The others, most of them of 1% or less, unfold at a click."""

_STYLE = """
:root { --bar: #3b82c4; }
h2 { font-size: 1.05rem; margin: 2rem 0 .6rem; }
p { margin: 0; overflow-wrap: anywhere; }
.faint, .axis { color: var(--faint); }
ul { margin: 0; padding-left: 1.2rem; } li { margin: .2rem 0; overflow-wrap: anywhere; }
.changes { border-left: 3px solid var(--bad); padding: .1rem 0 .1rem 1rem; margin-top: 1.5rem; }
.changes.none { border-color: var(--line); }
.changes h2 { margin-top: 0; }
.bars { display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr minmax(9rem, max-content); gap: .3rem .8rem; }
.bars .row { display: contents; }
.bars .name { overflow-wrap: anywhere; }
.bars .share { font-variant-numeric: tabular-nums; color: var(--faint); }
.track { align-self: center; height: .8rem; position: relative; }
.track i { display: block; height: 100%; background: var(--bar); border-radius: 2px; min-width: 2px; }
.track b { position: absolute; top: -.15rem; bottom: -.15rem; width: 2px; background: currentColor; opacity: .6; }
.clock { display: grid; grid-template-columns: repeat(24, 1fr); gap: 2px; align-items: end; height: 6rem; }
.clock i { display: block; background: var(--bar); border-radius: 2px 2px 0 0; }
.axis { display: grid; grid-template-columns: repeat(4, 1fr); font-size: .8rem; font-variant-numeric: tabular-nums;
  border-top: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .2rem .8rem .2rem 0; }
td { border-top: 1px solid var(--line); overflow-wrap: anywhere; vertical-align: top; }
.epochs td + td { white-space: nowrap; }
@media (max-width: 36rem) {
  .bars { display: block; }
  .bars .row { display: grid; grid-template-columns: 1fr max-content; gap: .1rem .8rem; margin-bottom: .6rem; }
  .bars .share { grid-area: 1 / 2; } .bars .track { grid-column: 1 / -1; }
  .epochs tr { display: grid; grid-template-columns: 1fr 6.5rem 6.5rem; border-top: 1px solid var(--line); }
  .epochs td { border: 0; } .epochs :first-child:is(td, th) { grid-column: 1 / -1; }
}
""".strip()


def portrait_page(portrait: Portrait, made: str) -> str:
    """Return the page.

    Args:
        portrait: what to draw.
        made: when the page was made.
    """
    parts = [
        _changes(portrait),
        _section("Tools", _bars(portrait.tools), "It has called no tool."),
        _section(f"Rhythm: mostly {portrait.busy} UTC", _clock(portrait.hours), "It has done nothing."),
        _section("Destinations", _bars(portrait.destinations), "It sends data nowhere that the watch knows of."),
        _section("Amounts", _amounts(portrait), "Its tools move no amounts that the watch knows of."),
        _section("Epochs", _epochs(portrait), ""),
    ]
    body = (
        f'<p>{as_html(portrait.epoch)}</p>\n<p class="faint">learned from {as_html(portrait.learned)}</p>\n'
        + "\n".join(parts)
        + f"\n<footer><p>Published by the watch at {as_html(portrait.published)}, drawn at {as_html(made)}. Only "
        "allowed calls of sessions without an alert are learned.</p></footer>"
    )
    return html_page(f"What is usual for {portrait.agent}", _STYLE, body)


def _section(title: str, body: str, empty: str) -> str:
    shown = body or f'<p class="faint">{as_html(empty)}</p>'
    return f"<h2>{as_html(title)}</h2>\n{shown}"


def _changes(portrait: Portrait) -> str:
    if not portrait.since:
        return '<div class="changes none"><p class="faint">There is no other epoch to compare with.</p></div>'
    lines = "".join(f"<li>{as_html(change.text)}</li>" for change in portrait.changes)
    body = f"<ul>{lines}</ul>" if lines else "<p>It behaves as before, as far as chance can tell.</p>"
    heading = portrait.heading[0].upper() + portrait.heading[1:]
    return f'<div class="changes{"" if lines else " none"}"><h2>{as_html(heading)}</h2>{body}</div>'


def _bars(bars: Iterable[Bar]) -> str:
    bars = list(bars)
    widest = max((max(bar.share, bar.before or 0.0) for bar in bars), default=0.0) or 1.0
    rows = []
    for bar in bars:
        was = "" if not bar.before else f'<b style="left:{100 * bar.before / widest:.1f}%"></b>'
        rows.append(
            f'<div class="row"><div class="name">{as_html(bar.name)}</div>'
            f'<div class="track"><i style="width:{100 * bar.share / widest:.1f}%"></i>{was}</div>'
            f'<div class="share">{as_html(share_text(bar))}</div></div>'
        )
    legend = '<p class="faint">The line is the share before.</p>' if any(bar.before for bar in bars) else ""
    shown, folded = _grid(rows[:BARS_SHOWN_MAX]), _grid(rows[BARS_SHOWN_MAX:])
    if folded:
        share = percent(sum(bar.share for bar in bars[BARS_SHOWN_MAX:]))
        folded = (
            f"<details><summary>and {len(rows) - BARS_SHOWN_MAX:,} more, {share} together</summary>{folded}</details>"
        )
    return f"{shown}{folded}{legend}"


def _grid(rows: Sequence[str]) -> str:
    return f'<div class="bars">{"".join(rows)}</div>' if rows else ""


def _clock(hours: Iterable[int]) -> str:
    counts = list(hours)
    highest = max(counts)
    if not highest:
        return ""
    bars = "".join(
        f'<i style="height:{100 * count / highest:.0f}%" title="{hour:02d}:00: {count:,} calls"></i>'
        for hour, count in enumerate(counts)
    )
    axis = "".join(f"<span>{hour:02d}:00</span>" for hour in (0, 6, 12, 18))
    return f'<div class="clock">{bars}</div><div class="axis">{axis}</div>'


def _amounts(portrait: Portrait) -> str:
    return _table(("tool", "usual amount"), [(each.tool, each.text) for each in portrait.amounts])


def _epochs(portrait: Portrait) -> str:
    rows = [(each.name, f"{each.calls:,}", each.first, each.last) for each in portrait.epochs]
    return _table(("epoch", "calls", "first", "last"), rows, "epochs")


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], style: str = "") -> str:
    lines = ["".join(f"<td>{as_html(cell)}</td>" for cell in row) for row in rows]
    if not lines:
        return ""
    head = "".join(f"<th>{as_html(name)}</th>" for name in heads)
    return f'<table class="{style}"><tr>{head}</tr>{"".join(f"<tr>{line}</tr>" for line in lines)}</table>'
