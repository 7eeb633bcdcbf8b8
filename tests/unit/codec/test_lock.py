"""No schema changes without a version, and no version that breaks a reader."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from streams.codec import lock
from streams.codec.avro import Codec
from streams.codec.schema_types import SchemaError
from streams.codec.schemas import CommittedSchemas, LockFile, content_digest, read_lock, schema_directory, subject_name
from streams.model.topics import DECLARED, Topic
from tests.records import INTENT

TOPIC = "agent.intent.v1"
PUBLISHED = lock.read_published(schema_directory())
WITHDRAWN_SHA256 = "117621caa227e9e146c8328e305bbe930ae60b07402c131823ecc4f147370a6d"


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    return Path(shutil.copytree(schema_directory(), tmp_path / "schemas"))


def edit(path: Path, change: dict[str, object]) -> None:
    schema = json.loads(path.read_text())
    next(field for field in schema["fields"] if field["name"] == change["name"]).update(change)
    path.write_text(json.dumps(schema))


def found(schemas: Path) -> list[str]:
    return [str(finding) for finding in lock.check(schemas)]


def in_order_of_ids(committed: LockFile) -> tuple[Topic, ...]:
    """The topics with a schema in the order in which they were added, as far as `first_subjects` names them."""
    first_ids = first_subjects(committed)
    with_schema = [topic for topic in DECLARED if topic.record is not None and subject_name(topic.name) in first_ids]
    return tuple(sorted(with_schema, key=lambda topic: first_ids[subject_name(topic.name)]))


def first_subjects(committed: LockFile) -> dict[str, int]:
    """The first ids of the subjects that were there before any subject had a second version.

    Later subjects have ids after those of second versions, which a first lock does not know.
    """
    second = min(version.id for subject in committed.subjects.values() for version in subject.versions[1:])
    ids = {name: subject.versions[0].id for name, subject in committed.subjects.items()}
    return {name: first for name, first in ids.items() if first < second}


def test_nothing_to_do(schemas: Path) -> None:
    before = (schemas / "ids.lock.json").read_bytes()
    assert found(schemas) == []
    assert lock.write(schemas) == []
    assert (schemas / "ids.lock.json").read_bytes() == before


def test_an_edit_without_a_version(schemas: Path) -> None:
    edit(schemas / "avro" / "intent.v2.avsc", {"name": "turn", "default": 1})
    assert found(schemas) == [
        "agent.intent.v1-value: Intent.turn: default is 1 in the schema, but 0 in the class",
        "agent.intent.v1-value: intent.v2.avsc: was edited after it was published: make it version 3",
    ]
    assert len(lock.write(schemas)) == 2


def test_docs_and_layout_may_be_edited(schemas: Path) -> None:
    path = schemas / "avro" / "intent.v2.avsc"
    schema = json.loads(path.read_text())
    path.write_text(json.dumps(schema | {"doc": "Better words."}))
    assert found(schemas) == []


def test_history_is_not_rewritten(schemas: Path) -> None:
    for folder in ("avro", "history"):
        edit(schemas / folder / "delegation.v1.avsc", {"name": "depth", "type": "int"})
    assert any("delegation.v1.avsc: is not what was published as version 1" in finding for finding in found(schemas))
    with pytest.raises(SchemaError, match="is not the one that was locked as version 1"):
        CommittedSchemas.load(schemas).current("agent.delegation.v1")


def test_an_old_version_is_read_when_a_record_is_of_it(schemas: Path) -> None:
    edit(schemas / "history" / "intent.v1.avsc", {"name": "turn", "default": 1})
    committed = CommittedSchemas.load(schemas)
    versions = read_lock(schemas).subjects[subject_name(TOPIC)].versions
    assert committed.current(TOPIC).id == versions[-1].id
    with pytest.raises(SchemaError, match="is not the one that was locked as version 1"):
        committed.by_id(TOPIC, versions[0].id)


def test_a_new_version_is_locked_once_it_is_compatible(schemas: Path) -> None:
    old, new = schemas / "avro" / "intent.v2.avsc", schemas / "avro" / "intent.v3.avsc"
    old.rename(new)
    edit(new, {"name": "turn", "doc": "counts from 0"})
    before = Codec(CommittedSchemas.load(schemas)).encode(TOPIC, INTENT)
    assert found(schemas) == ["ids.lock.json: a new version isn't locked yet: run `python -m streams.codec.lock`"]
    assert lock.write(schemas) == []
    assert found(schemas) == []
    after = CommittedSchemas.load(schemas)
    assert [version.version for version in after.versions(TOPIC)] == [1, 2, 3]
    known = CommittedSchemas.load()
    highest = max(version.id for topic in DECLARED if topic.record for version in known.versions(topic.name))
    assert after.current(TOPIC).id == highest + 1
    codec = Codec(after)
    assert codec.encode(TOPIC, INTENT)[:5] != before[:5]
    assert codec.decode(TOPIC, before) == codec.decode(TOPIC, codec.encode(TOPIC, INTENT)) == INTENT


def test_a_version_that_breaks_readers_is_refused(schemas: Path) -> None:
    old, new = schemas / "avro" / "intent.v2.avsc", schemas / "avro" / "intent.v3.avsc"
    old.rename(new)
    edit(new, {"name": "sub", "type": "long"})
    broken = "version 3 reading version 2: Intent.sub: writes `string`, but the reader wants `long`"
    assert f"agent.intent.v1-value: {broken}" in found(schemas)
    lock.write(schemas)
    assert not (schemas / "history" / "intent.v3.avsc").exists()


def test_versions_are_counted_one_by_one(schemas: Path) -> None:
    (schemas / "avro" / "intent.v2.avsc").rename(schemas / "avro" / "intent.v4.avsc")
    assert "agent.intent.v1-value: intent.v4.avsc: is not version 3, the one after the last that is locked" in found(
        schemas
    )


def test_one_file_is_todays(schemas: Path) -> None:
    shutil.copy(schemas / "avro" / "intent.v2.avsc", schemas / "avro" / "intent.v3.avsc")
    with pytest.raises(SchemaError, match=r"has 2 files `intent\.v<n>\.avsc`"):
        lock.check(schemas)


def back_to_first_versions(schemas: Path) -> None:
    """Leave the first version of each schema: later ones are locked one by one, each after the one before it.

    Schemas of later subjects are left out (`first_subjects`).
    """
    committed = read_lock(schemas)
    first = first_subjects(committed)
    later = {subject.versions[0].path for name, subject in committed.subjects.items() if name not in first}
    for path in (schemas / "avro").iterdir():
        if f"history/{path.name}" in later:
            path.unlink()
            continue
        stem, version = path.name.removesuffix(".avsc").split(".v")
        if version != "1":
            path.unlink()
            shutil.copy(schemas / "history" / f"{stem}.v1.avsc", schemas / "avro")
    published = schemas / "published.txt"
    lines = [
        line
        for line in published.read_text().splitlines()
        if line.startswith("#") or line.split()[1:2] == [] or (line.split()[0] in first and line.split()[1] == "1")
    ]
    published.write_text("\n".join(lines) + "\n")


def test_the_first_lock_is_made_from_nothing(schemas: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the topics in the order in which they were added, which is that of their ids."""
    committed = read_lock(schemas)
    monkeypatch.setattr(lock, "DECLARED", in_order_of_ids(committed))
    monkeypatch.setattr(lock, "differences", lambda record, shape: [])  # the classes are those of the newest versions
    back_to_first_versions(schemas)
    (schemas / "ids.lock.json").unlink()
    shutil.rmtree(schemas / "history")
    assert lock.write(schemas) == []
    first = {name: committed.subjects[name].versions[:1] for name in first_subjects(committed)}
    assert {name: subject.versions for name, subject in read_lock(schemas).subjects.items()} == first


class TestWhatWasPublished:
    """Who deletes the lock file and the history can lock anything; the list of what was published remembers."""

    @staticmethod
    def lock_anew(schemas: Path) -> list[str]:
        back_to_first_versions(schemas)
        shutil.rmtree(schemas / "history")
        committed = read_lock(schemas)
        (schemas / "ids.lock.json").unlink()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lock, "DECLARED", in_order_of_ids(committed))
            return [str(finding) for finding in lock.write(schemas)]

    def test_content_does_not_change_under_a_version(self, schemas: Path) -> None:
        path = schemas / "avro" / "delegation.v1.avsc"
        schema = json.loads(path.read_text())
        schema["fields"] = [field for field in schema["fields"] if field["name"] != "purpose"]
        path.write_text(json.dumps(schema))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lock, "differences", lambda record, shape: [])  # whoever does this changes the class, too
            (finding,) = self.lock_anew(schemas)
        (line,) = (each for each in PUBLISHED if each.subject == "agent.delegation.v1-value" and not each.withdrawn)
        assert finding.startswith(
            f"agent.delegation.v1-value version 1: was published with id {line.id} and digest {line.sha256}, "
            f"but has id {line.id} and digest {content_digest(path.read_text())}: "
        )

    def test_an_id_stays_that_of_its_version(self, schemas: Path) -> None:
        path = schemas / "ids.lock.json"
        path.write_text(path.read_text().replace("2000000009", "2000000099"))
        assert any("was published with id 2000000009" in finding for finding in found(schemas))

    def test_a_version_does_not_vanish(self, schemas: Path) -> None:
        with (schemas / "published.txt").open("a") as published:
            published.write(f"agent.intent.v1-value 3 2000000100 {'0' * 64}\n")
        (finding,) = found(schemas)
        assert finding.startswith("agent.intent.v1-value version 3: ")
        assert "but is missing" in finding

    def test_what_was_withdrawn_does_not_come_back(self, schemas: Path) -> None:
        path = schemas / "published.txt"
        digest = read_lock(schemas).subjects["agent.alert.v1-value"].versions[0].sha256
        path.write_text(path.read_text().replace(digest, f"{digest} withdrawn"))
        assert found(schemas) == ["agent.alert.v1-value version 1: is what was withdrawn: make it a new version"]

    def test_a_new_version_is_added_to_the_list(self, schemas: Path) -> None:
        before = (schemas / "published.txt").read_text()
        (schemas / "avro" / "intent.v2.avsc").rename(schemas / "avro" / "intent.v3.avsc")
        edit(schemas / "avro" / "intent.v3.avsc", {"name": "turn", "doc": "counts from 0"})
        assert lock.write(schemas) == []
        after = (schemas / "published.txt").read_text()
        newest = read_lock(schemas).subjects["agent.intent.v1-value"].versions[2]
        assert after == f"{before}agent.intent.v1-value 3 {newest.id} {newest.sha256}\n"
        assert found(schemas) == []

    def test_a_version_that_is_not_on_the_list(self, schemas: Path) -> None:
        path = schemas / "published.txt"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        assert found(schemas) == ["ids.lock.json: a new version isn't locked yet: run `python -m streams.codec.lock`"]

    @pytest.mark.parametrize("line", ["x", "a 1 2", "a 1 2 c gone", "a one 2 c", "a 1 2 c withdrawn too"])
    def test_a_malformed_line(self, schemas: Path, line: str) -> None:
        (schemas / "published.txt").write_text(line)
        with pytest.raises(SchemaError, match=f"has the malformed line `{line}`"):
            lock.check(schemas)

    def test_nothing_more_is_withdrawn(self) -> None:
        withdrawn = "\n".join(str(each) for each in PUBLISHED if each.withdrawn)
        assert hashlib.sha256(withdrawn.encode()).hexdigest() == WITHDRAWN_SHA256


class TestTheCommitsThatAreThere:
    """The list could be changed along with everything else: commits could not. A shallow clone has fewer of them."""

    def test_every_lock_file_agrees_with_the_list(self) -> None:
        assert rewritten(Path(__file__).parents[3], PUBLISHED) == []

    def test_a_rewritten_version_is_found(self, tmp_path: Path, schemas: Path) -> None:
        git(tmp_path, "init", "--quiet")
        commit(tmp_path, "what is published")
        assert rewritten(tmp_path, PUBLISHED) == []
        digest = read_lock(schemas).subjects["agent.alert.v1-value"].versions[0].sha256
        for name in ("ids.lock.json", "published.txt"):
            path = schemas / name
            path.write_text(path.read_text().replace(digest, "0" * 64))
        commit(tmp_path, "the same version, rewritten everywhere")
        assert [each.sha256 for each in rewritten(tmp_path, lock.read_published(schemas))] == [digest]

    def test_without_git_there_are_none(self, tmp_path: Path) -> None:
        assert rewritten(tmp_path, []) == []


def rewritten(root: Path, published: list[lock.Published]) -> list[lock.Published]:
    """The versions that a commit has locked, and that the list does not know as they were then."""
    if not (root / ".git").exists():
        return []
    path = "schemas/ids.lock.json"
    commits = git(root, "log", "--diff-filter=AM", "--format=%H", "--", path).split()
    known = {each._replace(withdrawn=False) for each in published}
    locks = (msgspec.json.decode(git(root, "show", f"{each}:{path}"), type=LockFile) for each in commits)
    return sorted({each for found in locks for each in lock.locked_versions(found)} - known)


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-c", "safe.directory=*", *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    who = ("-c", "user.name=a test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    git(root, *who, "commit", "--quiet", "--no-verify", "-m", message)


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
