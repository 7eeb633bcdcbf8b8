"""Makes pages that need nothing else: no script, no font, no request.

What stands on them was written by agents, tools and strangers, so the pages' own policy forbids scripts and requests.
Whoever makes a page escapes every text.
"""

from __future__ import annotations

from html import escape

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --faint: #666; --good: #1a7f37; --held: #9a6700; --bad: #cf222e; }
@media (prefers-color-scheme: dark) {
  :root { --faint: #a0a0a0; --good: #3fb950; --held: #d29922; --bad: #ff7b72; }
}
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 2rem 1rem 4rem; max-width: 60rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
footer { margin-top: 2rem; font-size: .85rem; border-top: 1px solid var(--line); padding-top: .6rem;
  color: var(--faint); }
""".strip()
"""What all pages share. Each colour of text is readable on the background of its scheme."""


def html_page(title: str, style: str, body: str) -> str:
    """Return a page.

    Args:
        title: of the window, and the heading; escaped here.
        style: the page's own style sheet, behind the one that all pages share.
        body: what follows the heading, as HTML: its texts are escaped already.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n{style}\n</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )
