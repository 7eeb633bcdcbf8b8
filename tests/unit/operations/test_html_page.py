"""What all pages share: text in every colour can be read in light and in dark, and nothing is loaded."""

from __future__ import annotations

import re

import pytest

from streams.operations.html_page import html_page

CONTRAST_MIN = 4.5
"""Of text with its background, by WCAG 2.2 (success criterion 1.4.3)."""

CANVAS = {"light": "ffffff", "dark": "121212"}
"""The background that browsers give a page of either scheme."""


def luminance(colour: str) -> float:
    """The relative luminance of a colour in six hex digits, by WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(colour: str, other: str) -> float:
    darker, lighter = sorted((luminance(colour), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def colours(style: str) -> dict[str, str]:
    """The colours of text by name, each in six hex digits. What is transparent (four or eight digits) is a line."""
    found = re.findall(r"--(\w+): #([0-9a-f]{3}|[0-9a-f]{6});", style)
    return {name: digits if len(digits) == 6 else "".join(2 * digit for digit in digits) for name, digits in found}


@pytest.mark.parametrize("scheme", CANVAS)
def test_text_can_be_read_in_either_scheme(scheme: str) -> None:
    light, _, dark = html_page("t", "", "").partition("@media (prefers-color-scheme: dark)")
    shown = colours(light) | (colours(dark) if scheme == "dark" else {})
    assert set(shown) == {"faint", "good", "held", "bad"}
    faint = {name: contrast(colour, CANVAS[scheme]) for name, colour in shown.items()}
    assert {name: ratio for name, ratio in faint.items() if ratio < CONTRAST_MIN} == {}


def test_a_title_is_shown_and_not_obeyed() -> None:
    page = html_page("<script>alert(1)</script>", "", "<p>body</p>")
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_no_text_makes_a_page_wider_or_moves_what_stands_beside_it() -> None:
    """Names come from strangers: some have no space in a thousand letters, some are written from right to left."""
    style = html_page("t", "", "").partition("<style>")[2].partition("</style>")[0]
    (body,) = re.findall(r"^body \{([^}]*)\}", style, re.MULTILINE)
    assert "overflow-wrap: break-word" in body
    assert "span { unicode-bidi: isolate; }" in style
