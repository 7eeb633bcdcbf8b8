"""Building the image: what it is built on, and what it says where it can't be built. `make image` builds it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scripts import image
from scripts.image import BaseImage, Builder, ImageError, base_image

DOCKERFILE = image.ROOT / "Dockerfile"
BUILDAH = """#!/bin/sh
echo "$@" >> {notes}
case "$1" in
  pull) echo "Error: no such host" >&2; exit 125 ;;
  inspect) echo '{config}' ;;
  from) echo working ;;
  run) test "$4 $5" = "id -un" && echo {user}; exit 0 ;;
esac
"""
CONFIG = {
    "User": "stoplog",
    "Entrypoint": ["stoplog"],
    "Cmd": ["gate"],
    "Healthcheck": {"Test": ["CMD", "python", "-c", "pass"]},
}


def test_the_base_image_is_that_of_all_stages() -> None:
    base = base_image(DOCKERFILE.read_text("utf-8"))
    assert base == BaseImage("python:3.11-slim-bookworm", "3.11", "bookworm")
    assert base.full_name == "docker.io/library/python:3.11-slim-bookworm"
    other = "FROM python:3.11-slim-bookworm AS build\nFROM python:3.12-slim-trixie\n"
    for text, count in ((other, 2), ("FROM debian:bookworm\n", 0)):
        with pytest.raises(ImageError, match=f"has {count}$"):
            base_image(text)


def programs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, object] | None = None, user: str = "stoplog"
) -> Path:
    """A Buildah that notes what it is asked, and answers what an image without a registry would."""
    notes, program = folder / "notes", folder / "bin" / "buildah"
    program.parent.mkdir()
    text = json.dumps({"Docker": {"config": CONFIG if config is None else config}})
    program.write_text(BUILDAH.format(notes=notes, config=text, user=user))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.defpath}")
    return notes


def test_without_root_or_programs_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert image.main([]) == 1
    assert capsys.readouterr().err == "error: to build an image takes `buildah` (`apt-get install buildah`)\n"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert image.main([]) == 1
    assert capsys.readouterr().err == "error: to build an image takes the rights of root\n"


def test_a_base_image_that_can_be_neither_pulled_nor_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs(tmp_path, monkeypatch)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ImageError, match="takes `debootstrap`"):
        Builder(tmp_path).provide_base(base_image(DOCKERFILE.read_text("utf-8")))
    assert "`buildah pull` failed with status 125: Error: no such host" in capsys.readouterr().out


def test_the_image_is_started_with_its_own_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    notes = programs(tmp_path, monkeypatch)
    Builder(tmp_path).try_out()
    asked = notes.read_text()
    for part in ("run working -- stoplog --version", "stoplog demo --no-json", "sh python -c pass", "rm working"):
        assert part in asked


@pytest.mark.parametrize(
    ("changes", "user", "told"),
    [
        ({"Cmd": ["watch"]}, "stoplog", "doesn't run `stoplog gate`"),
        ({"Healthcheck": {"Test": ["NONE"]}}, "stoplog", "of the kind `NONE`"),
        ({"User": "root"}, "root", "runs as `root`"),
    ],
)
def test_an_image_that_is_not_what_it_should_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, object], user: str, told: str
) -> None:
    programs(tmp_path, monkeypatch, CONFIG | changes, user)
    with pytest.raises(ImageError, match=told):
        Builder(tmp_path).try_out()
