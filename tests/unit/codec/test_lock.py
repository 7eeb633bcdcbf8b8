"""No schema changes without a version, and no version that breaks a reader."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from streams.codec import lock
from streams.codec.avro import Codec
from streams.codec.schema_types import SchemaError
from streams.codec.schemas import CommittedSchemas, read_lock, schema_directory, subject_name
from streams.model.topics import DECLARED
from tests.records import INTENT

TOPIC = "agent.intent.v1"


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    return Path(shutil.copytree(schema_directory(), tmp_path / "schemas"))


def edit(path: Path, change: dict[str, object]) -> None:
    schema = json.loads(path.read_text())
    next(field for field in schema["fields"] if field["name"] == change["name"]).update(change)
    path.write_text(json.dumps(schema))


def found(schemas: Path) -> list[str]:
    return [str(finding) for finding in lock.check(schemas)]


def test_nothing_to_do(schemas: Path) -> None:
    before = (schemas / "ids.lock.json").read_bytes()
    assert found(schemas) == []
    assert lock.write(schemas) == []
    assert (schemas / "ids.lock.json").read_bytes() == before


def test_an_edit_without_a_version(schemas: Path) -> None:
    edit(schemas / "avro" / "intent.v1.avsc", {"name": "turn", "default": 1})
    assert found(schemas) == [
        "agent.intent.v1-value: Intent.turn: default is 1 in the schema, but 0 in the class",
        "agent.intent.v1-value: intent.v1.avsc: was edited after it was published: make it version 2",
    ]
    assert len(lock.write(schemas)) == 2


def test_docs_and_layout_may_be_edited(schemas: Path) -> None:
    path = schemas / "avro" / "intent.v1.avsc"
    schema = json.loads(path.read_text())
    path.write_text(json.dumps(schema | {"doc": "Better words."}))
    assert found(schemas) == []


def test_history_is_not_rewritten(schemas: Path) -> None:
    for folder in ("avro", "history"):
        edit(schemas / folder / "verdict.v1.avsc", {"name": "baseline_version", "default": 7})
    assert any("verdict.v1.avsc: is not what was published as version 1" in finding for finding in found(schemas))
    with pytest.raises(SchemaError, match="is not the one that was locked as version 1"):
        CommittedSchemas.load(schemas).current("agent.verdict.v1")


def test_a_new_version_is_locked_once_it_is_compatible(schemas: Path) -> None:
    old, new = schemas / "avro" / "intent.v1.avsc", schemas / "avro" / "intent.v2.avsc"
    old.rename(new)
    edit(new, {"name": "turn", "doc": "counts from 0"})
    before = Codec(CommittedSchemas.load(schemas)).encode(TOPIC, INTENT)
    assert found(schemas) == ["ids.lock.json: a new version isn't locked yet: run `python -m streams.codec.lock`"]
    assert lock.write(schemas) == []
    assert found(schemas) == []
    after = CommittedSchemas.load(schemas)
    assert [version.version for version in after.versions(TOPIC)] == [1, 2]
    known = CommittedSchemas.load()
    highest = max(version.id for topic in DECLARED if topic.record for version in known.versions(topic.name))
    assert after.current(TOPIC).id == highest + 1
    codec = Codec(after)
    assert codec.encode(TOPIC, INTENT)[:5] != before[:5]
    assert codec.decode(TOPIC, before) == codec.decode(TOPIC, codec.encode(TOPIC, INTENT)) == INTENT


def test_a_version_that_breaks_readers_is_refused(schemas: Path) -> None:
    old, new = schemas / "avro" / "intent.v1.avsc", schemas / "avro" / "intent.v2.avsc"
    old.rename(new)
    edit(new, {"name": "sub", "type": "long"})
    broken = "version 2 reading version 1: Intent.sub: writes `string`, but the reader wants `long`"
    assert f"agent.intent.v1-value: {broken}" in found(schemas)
    lock.write(schemas)
    assert not (schemas / "history" / "intent.v2.avsc").exists()


def test_versions_are_counted_one_by_one(schemas: Path) -> None:
    (schemas / "avro" / "intent.v1.avsc").rename(schemas / "avro" / "intent.v3.avsc")
    assert "agent.intent.v1-value: intent.v3.avsc: is not version 2, the one after the last that is locked" in found(
        schemas
    )


def test_one_file_is_todays(schemas: Path) -> None:
    shutil.copy(schemas / "avro" / "intent.v1.avsc", schemas / "avro" / "intent.v2.avsc")
    with pytest.raises(SchemaError, match=r"has 2 files `intent\.v<n>\.avsc`"):
        lock.check(schemas)


def test_the_first_lock_is_made_from_nothing(schemas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the topics in the order in which they were added, which is that of their ids."""
    committed = read_lock(schemas)
    first_ids = {name: subject.versions[0].id for name, subject in committed.subjects.items()}
    with_schema = [topic for topic in DECLARED if topic.record is not None]
    in_order = sorted(with_schema, key=lambda topic: first_ids[subject_name(topic.name)])
    monkeypatch.setattr(lock, "DECLARED", tuple(in_order))
    (schemas / "ids.lock.json").unlink()
    shutil.rmtree(schemas / "history")
    assert lock.write(schemas) == []
    assert read_lock(schemas) == committed


@pytest.mark.parametrize("content", ["", "{}", '{"subjects": {"x": 1}}', '{"subjects": {}, "more": 1}'])
def test_a_broken_lock_file(schemas: Path, content: str) -> None:
    (schemas / "ids.lock.json").write_text(content)
    with pytest.raises(SchemaError, match="is broken"):
        CommittedSchemas.load(schemas)


def test_a_missing_lock_file(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="cannot be read"):
        CommittedSchemas.load(tmp_path)


def test_a_topic_without_a_schema(schemas: Path) -> None:
    (schemas / "ids.lock.json").write_text('{"subjects": {}}')
    with pytest.raises(SchemaError, match=r"topic `agent\.intent\.v1` has no schema"):
        CommittedSchemas.load(schemas).current(TOPIC)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert lock.main(["--check"]) == 0
    assert lock.main(["--help"]) == 2
    assert "usage" in capsys.readouterr().err
