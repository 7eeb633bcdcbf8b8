"""The page of the results is generated."""

from __future__ import annotations

from bench.harness.report import RESULTS, page


def test_the_page_has_the_committed_results() -> None:
    assert (RESULTS / "README.md").read_text() == page(RESULTS)
