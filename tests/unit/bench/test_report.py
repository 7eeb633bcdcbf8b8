"""The page of the results: every committed result can be shown, or no measurement could be saved any more."""

from __future__ import annotations

from bench.report import RESULTS, page


def test_the_page_is_made_of_the_committed_results() -> None:
    assert (RESULTS / "README.md").read_text() == page(RESULTS)
