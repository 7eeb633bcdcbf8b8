"""Styled texts: what is shown is what the library shows that they become a text of."""

import pytest
from rich.console import Console
from rich.text import Text as RichText

from streams.cli.terminal.styled import Text


def shown(text: RichText) -> str:
    """What a terminal with colors gets."""
    console = Console(force_terminal=True, color_system="standard", width=80)
    with console.capture() as written:
        console.print(text)
    return written.get()


def appended(text: Text) -> Text:
    text.append(" more", "dim")
    return text


@pytest.mark.parametrize(
    ("made", "same"),
    [
        (Text("plain"), RichText("plain")),
        (Text("whole", "bold"), RichText("whole", style="bold")),
        (Text.assemble("a ", ("b", "red"), " c"), RichText.assemble("a ", ("b", "red"), " c")),
        (appended(Text("whole", "bold")), RichText("whole", style="bold").append(" more", "dim")),
        (
            Text("; ").join(Text(word, "yellow") for word in ("a", "b")),
            RichText("; ").join(RichText(word, style="yellow") for word in ("a", "b")),
        ),
        (Text("[bold]no markup[/bold]"), RichText("[bold]no markup[/bold]")),
    ],
)
def test_it_is_shown_as_a_text_of_the_library(made: Text, same: RichText) -> None:
    assert shown(made.rich()) == shown(same)
    assert (made.plain, len(made)) == (same.plain, len(same))
