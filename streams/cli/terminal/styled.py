"""A text with styles, for a person.

It has what commands use of the text of `rich`, which takes 9 ms to load. `Screen` makes one of that library of it where
something is shown: a program that reads the output never needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Loaded where something is shown to a person.
    from rich.text import Text as RichText


class Text:
    """A text, and how each of its parts is shown.

    Args:
        text: its beginning.
        style: the style of the whole text, in the words of `rich`.
    """

    __slots__ = ("_parts", "_style")

    def __init__(self, text: str = "", style: str = "") -> None:
        self._style = style
        self._parts = [(text, "")]

    @classmethod
    def assemble(cls, *parts: str | tuple[str, str]) -> Text:
        """Return the parts as one text; each is a text, or a text and its style."""
        made = cls()
        for part in parts:
            made.append(*((part,) if isinstance(part, str) else part))
        return made

    def append(self, text: str, style: str = "") -> None:
        """Add a part at the end."""
        self._parts.append((text, style))

    def join(self, texts: Iterable[Text]) -> Text:
        """Return the texts as one, with this one between them."""
        made = Text()
        for number, each in enumerate(texts):
            for source in (self, each) if number else (each,):
                for text, style in source._parts:
                    made.append(text, f"{source._style} {style}".strip())
        return made

    @property
    def plain(self) -> str:
        """Return it without styles."""
        return "".join(text for text, _ in self._parts)

    def __len__(self) -> int:
        """Return the number of characters."""
        return len(self.plain)

    def rich(self) -> RichText:
        """Return the text of the library, which shows it."""
        from rich.text import Text as RichText  # noqa: PLC0415 - see above

        made = RichText(style=self._style)
        for text, style in self._parts:
            made.append(text, style or None)
        return made
