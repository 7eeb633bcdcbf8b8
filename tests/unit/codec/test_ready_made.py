"""Functions of the codec that were compiled beforehand read, write and reject what those do that Python makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from bench.behaviour.measure import QUICK_PLAN
from scripts.codec_functions import READ, WRITTEN, module_text
from simulation.fleet.fleet import make_fleet
from simulation.fleet.records import audit_of, verdict_of
from streams.codec import source
from streams.codec.avro import Codec
from streams.codec.ready_made import MAKERS, Maker
from streams.codec.schemas import CommittedSchemas
from streams.model.errors import RecordError
from streams.model.topics import AUDIT, BEHAVIOUR, VERDICT
from streams.model.types import Record
from streams.processors.watch.features import Features, behaviour_of
from streams.processors.watch.seen import SEEN

ACTIVITY = make_fleet(101, QUICK_PLAN)[0].activity
RECORDS: Mapping[str, Record] = {
    VERDICT.name: verdict_of(ACTIVITY),
    AUDIT.name: audit_of(ACTIVITY),
    BEHAVIOUR.name: behaviour_of(Features(), verdict_of(ACTIVITY)),
}
"""What a watch reads and writes of a decision, by topic."""


def written_anew() -> Mapping[str, Maker]:
    """Return the functions as the compiler gets them."""
    names: dict[str, Any] = {}
    exec(module_text(), names)  # noqa: S102 - our own script has written it
    makers: Mapping[str, Maker] = names["MAKERS"]
    return makers


def codec_with(makers: Mapping[str, Maker], monkeypatch: pytest.MonkeyPatch) -> Codec:
    """Return the codec of a watch that has made its functions."""
    monkeypatch.setattr(source, "MAKERS", makers)
    codec = Codec(CommittedSchemas.load(), SEEN)
    for topic, record in RECORDS.items():
        codec.decode(topic, codec.encode(topic, record))
    return codec


def read_or_fault(codec: Codec, topic: str, value: bytes) -> object:
    try:
        return codec.decode(topic, value)
    except RecordError as error:
        return error.reason, str(error)


def wrong_values(value: bytes) -> Iterator[bytes]:
    """Yield a value that is cut off anywhere, and with each byte changed."""
    for at in range(5, len(value)):
        yield value[:at]
        for mask in (1, 2, 128, 255):
            yield value[:at] + bytes([value[at] ^ mask]) + value[at + 1 :]


# In a copy with compiled modules, those that are there are the compiled ones.
@pytest.mark.parametrize("makers", [written_anew(), MAKERS], ids=["written anew", "there"])
def test_records_are_read_written_and_rejected_alike(
    makers: Mapping[str, Maker], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, quick = codec_with({}, monkeypatch), codec_with(makers, monkeypatch)
    for topic, record in RECORDS.items():
        value = plain.encode(topic, record)
        assert quick.encode(topic, record) == value
        assert quick.decode(topic, value) == plain.decode(topic, value)
        for wrong in wrong_values(value):
            assert read_or_fault(quick, topic, wrong) == read_or_fault(plain, topic, wrong)


def test_they_are_for_what_a_watch_reads_and_writes_and_leave_none_of_it_to_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: Counter[str] = Counter()

    def refuse(*_args: object) -> object:
        raise AssertionError("a record that is right was left to the function that Python has made")

    def counted(text: str, maker: Maker) -> Maker:
        def make(names: Mapping[str, Any]) -> Callable[..., Any]:
            made[text.partition("\n")[0]] += 1
            return maker({**names, "compiled": refuse})

        return make

    codec_with({text: counted(text, maker) for text, maker in written_anew().items()}, monkeypatch)
    assert made == {"def compiled(b, p):": len(READ), "def compiled(r):": len(WRITTEN)}
