"""`join` is a semilattice with `CLEAN` as its neutral and `WORST` as its absorbing element."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.model.labels import CLEAN, WORST, Confidentiality, Integrity, Label, join, join_all

# Readers are a set: joins keep them sorted, each once.
READERS = st.none() | st.sets(st.sampled_from("abcd")).map(lambda readers: tuple(sorted(readers)))
LABELS = st.builds(
    Label, integrity=st.sampled_from(Integrity), confidentiality=st.sampled_from(Confidentiality), readers=READERS
)


@given(LABELS, LABELS, LABELS)
def test_order_and_repetition_do_not_matter(left: Label, middle: Label, right: Label) -> None:
    assert join(left, right) == join(right, left)
    assert join(join(left, middle), right) == join(left, join(middle, right))
    assert join(left, left) == left


@given(LABELS)
def test_bounds(label: Label) -> None:
    assert join(label, CLEAN) == label
    assert join(label, WORST) == WORST


@given(LABELS, LABELS)
def test_nothing_is_gained_by_reading_more(left: Label, right: Label) -> None:
    joined = join(left, right)
    assert joined.integrity is Integrity.UNTRUSTED or Integrity.UNTRUSTED not in (left.integrity, right.integrity)
    order = [Confidentiality.PUBLIC, Confidentiality.PRIVATE, Confidentiality.USER_IDENTITY]
    assert order.index(joined.confidentiality) == max(map(order.index, (left.confidentiality, right.confidentiality)))
    for label in (left, right):
        if label.readers is not None:
            assert joined.readers is not None
            assert set(joined.readers) <= set(label.readers)


@given(st.lists(LABELS, max_size=5))
def test_joining_all(labels: list[Label]) -> None:
    expected = CLEAN
    for label in labels:
        expected = join(expected, label)
    assert join_all(labels) == expected
    assert join_all(reversed(labels)) == expected


def test_an_unset_label_is_close_to_the_worst() -> None:
    assert Label().integrity is WORST.integrity
    assert Label().confidentiality is WORST.confidentiality
