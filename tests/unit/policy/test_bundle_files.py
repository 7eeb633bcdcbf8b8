"""Bundles on disk and on the topic."""

import hashlib
from pathlib import Path

import pytest

from streams.policy import (
    BundleReadError,
    bundle_from_files,
    check_bundle,
    compile_bundle,
    load_bundle,
    run_case_files,
)
from streams.policy.language.bundle import FILE_BYTES_MAX, FILES_MAX
from tests.unit.policy.rulefiles import HEAD, PERMIT, files


def lay(root: Path, contents: dict[str, str]) -> Path:
    for path, text in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def test_what_is_read_from_disk_is_what_travels(tmp_path: Path) -> None:
    lay(tmp_path, files() | {"p/p.tests.yaml": "tests: x", "fixtures/a.json": "{}", "README.md": "# rules"})
    loaded = load_bundle(tmp_path)
    assert dict(loaded.files) == files()
    assert loaded == bundle_from_files(files())
    assert compile_bundle(loaded).digest == loaded.digest


def test_the_digest_depends_on_paths_and_contents_only() -> None:
    digest = bundle_from_files(files()).digest
    assert bundle_from_files(dict(reversed(files().items()))).digest == digest
    changed = [
        files(PERMIT + "# x\n"),
        {"bundle.yaml": HEAD, "q/p.rules.yaml": files()["p/p.rules.yaml"]},
        {"bundle.yaml": HEAD},
        {"a": "bc", "d": ""},
        {"a": "b", "cd": ""},
        {"ab": "c", "d": ""},
    ]
    assert len({digest, *(bundle_from_files(other).digest for other in changed)}) == 1 + len(changed)


def test_a_digest_is_computed_as_documented() -> None:
    digest = hashlib.sha256()
    for part in (b"a", b"1", b"b", "ü".encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    assert bundle_from_files({"b": "ü", "a": "1"}).digest == digest.digest()


def test_sources_are_immutable() -> None:
    contents = files()
    made = bundle_from_files(contents)
    contents["bundle.yaml"] = ""
    assert made.files["bundle.yaml"] == HEAD
    with pytest.raises(TypeError):
        made.files["bundle.yaml"] = ""


def test_a_folder_without_a_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleReadError, match=r"contains no `bundle\.yaml`"):
        load_bundle(tmp_path)
    with pytest.raises(BundleReadError, match=r"there is no folder `.*nowhere`: name the one"):
        load_bundle(tmp_path / "nowhere")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bundle.yaml").write_text(HEAD)
    with pytest.raises(BundleReadError, match=r"contains no `bundle\.yaml`, but `.*/rules` does: name that folder"):
        load_bundle(tmp_path)
    (tmp_path / "bundle.yaml").write_text(HEAD)
    with pytest.raises(BundleReadError, match="is a file: name the folder that contains"):
        load_bundle(tmp_path / "bundle.yaml")


def test_the_error_about_a_pack_names_the_bundle_that_it_belongs_to(tmp_path: Path) -> None:
    lay(tmp_path / "rules", files())
    pack = tmp_path / "rules" / "payments"
    pack.mkdir(exist_ok=True)
    with pytest.raises(BundleReadError, match="name that folder") as raised:
        load_bundle(pack)
    assert f"`{tmp_path / 'rules'}`" in str(raised.value)
    alone = tmp_path / "alone"
    alone.mkdir()
    with pytest.raises(BundleReadError, match="`stoplog rules new PACK` begins one"):
        load_bundle(alone)


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("secret: true")
    root = lay(tmp_path / "rules", files())
    (root / "p" / "x.rules.yaml").symlink_to(outside)
    with pytest.raises(BundleReadError, match="symbolic link"):
        load_bundle(root)


def test_files_must_be_text_of_bounded_size(tmp_path: Path) -> None:
    root = lay(tmp_path, files())
    (root / "p" / "x.rules.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(BundleReadError, match="can't be read"):
        load_bundle(root)
    (root / "p" / "x.rules.yaml").write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(BundleReadError, match="larger than"):
        load_bundle(root)


def test_there_is_a_bound_on_files(tmp_path: Path) -> None:
    root = lay(tmp_path, files() | {f"p/{number}.rules.yaml": "" for number in range(FILES_MAX)})
    with pytest.raises(BundleReadError, match="the limit is"):
        load_bundle(root)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("p/more.rules.yml", "more.rules.yaml"),
        ("p/more.Rules.YAML", "more.rules.yaml"),
        ("p/more.RULES.yaml", "more.rules.yaml"),
        ("p/more.rule.yaml", "more.rules.yaml"),
        ("q/more.rules.yml", "more.rules.yaml"),
        ("p/deep/more.rules.YML", "more.rules.yaml"),
        ("p/more.tests.yml", "more.tests.yaml"),
        ("p/more.Attacks.yaml", "more.attacks.yaml"),
        ("p/more.scenario.yaml", "more.scenarios.yaml"),
        ("p/more.scenarios.YML", "more.scenarios.yaml"),
        ("q/more.yaml", "more.rules.yaml"),
        ("q/more.YML", "more.rules.yaml"),
        ("more.rules.yml", "more.rules.yaml"),
        ("bundle.yml", "bundle.yaml"),
        ("Bundle.yaml", "bundle.yaml"),
    ],
)
def test_a_file_that_would_be_ignored_is_an_error(tmp_path: Path, path: str, wanted: str) -> None:
    lay(tmp_path, files() | {path: "apiVersion: rules/v1\npack: q\nrules: []\n"})
    with pytest.raises(BundleReadError) as caught:
        load_bundle(tmp_path)
    assert str(caught.value) == f"`{tmp_path}` contains files that would be ignored: `{path}` must be named `{wanted}`"


def test_other_files_may_lie_beside_rules(tmp_path: Path) -> None:
    others = {"p/notes.yaml": "a: b", "p/README.md": "rules:", "schema.json": "{}", "q/data.yml": "x: [rules]"}
    assert dict(load_bundle(lay(tmp_path, files() | others)).files) == files()


def test_only_some_of_many_files_are_named(tmp_path: Path) -> None:
    lay(tmp_path, files() | {f"p/{number}.rules.yml": "" for number in range(9)})
    with pytest.raises(BundleReadError, match=r"`4\.rules\.yaml`, and 4 more$"):
        load_bundle(tmp_path)


def test_a_bundle_without_rules_is_an_error(tmp_path: Path) -> None:
    lay(tmp_path, {"bundle.yaml": HEAD})
    (finding,) = check_bundle(load_bundle(tmp_path)).findings
    assert str(finding) == (
        "bundle.yaml:1:1: error: the bundle has no file with rules (write rules in `PACK/NAME.rules.yaml`) [no_rules]"
    )
    assert not run_case_files(tmp_path).passed
