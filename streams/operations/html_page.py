"""Makes pages that need nothing else: no script, no font, no request.

What stands on them was written by agents, tools and strangers, so the pages' own policy forbids scripts and requests.
Whoever makes a page shows every text with `as_html`.
"""

from __future__ import annotations

from html import escape

from streams.model.visible import code_point, visible

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: #666; --good: #1a7f37; --held: #9a6700; --bad: #cf222e; }
@media (prefers-color-scheme: dark) {
  :root { --faint: #a0a0a0; --good: #3fb950; --held: #d29922; --bad: #ff7b72; }
}
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem;
  overflow-wrap: break-word; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
span { unicode-bidi: isolate; }
footer { margin-top: 2rem; font-size: .85rem; border-top: 1px solid var(--line); padding-top: .6rem;
  color: var(--faint); }
""".strip()
"""What all pages share. Each colour of text is readable on the background of its scheme.

A text in a `span` that is written from right to left moves nothing that stands beside it. A name without spaces is
broken where it would make the page wider than the window.
"""


def as_html(text: str) -> str:
    """Return a text as HTML, in which nothing of it has a meaning.

    Characters that turn round or hide what stands beside them are shown by their numbers: otherwise a name could make
    the line that it stands on read like another one.
    """
    return escape(visible(text, code_point, "\n\t"))


def html_page(title: str, style: str, body: str) -> str:
    """Return a page.

    Args:
        title: of the window, and the heading; as it is.
        style: the page's own style sheet, behind the one that all pages share.
        body: what follows the heading, as HTML: its texts are escaped already.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{as_html(title)}</title>\n<style>\n{_STYLE}\n{style}\n</style>\n</head>\n<body>\n"
        f"<h1>{as_html(title)}</h1>\n{body}\n</body>\n</html>\n"
    )
