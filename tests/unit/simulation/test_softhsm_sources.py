"""Where the tests take SoftHSM from, and when they may go without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.softhsm import LIBRARY_VARIABLE, UTILITY_VARIABLE, FetchError, NoAptError, SoftHsm, find_softhsm

APT = """#!/bin/sh
echo "apt $@" >> "$NOTES"
[ "$1" = download ] || exit 1
shift
for name; do echo "$name" > "$name.deb"; done
"""
DPKG = """#!/bin/sh
mkdir -p "$3/usr/bin" "$3/usr/lib/some-arch/softhsm"
case "$2" in
  softhsm2*) touch "$3/usr/bin/softhsm2-util" ;;
  lib*) touch "$3/usr/lib/some-arch/softhsm/libsofthsm2.so" ;;
esac
"""
SHELL = "/bin:/usr/bin"


@pytest.fixture(autouse=True)
def nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither variable is set."""
    for name in (LIBRARY_VARIABLE, UTILITY_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def test_apt_fetches_it_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    notes, cache, system = _programs(monkeypatch, tmp_path, APT), tmp_path / "cache" / "softhsm", tmp_path / "system"
    expected = SoftHsm(cache / "usr/lib/some-arch/softhsm/libsofthsm2.so", cache / "usr/bin/softhsm2-util")
    assert find_softhsm(cache, system) == expected
    assert find_softhsm(cache, system) == expected
    assert notes.read_text() == "apt download softhsm2 libsofthsm2\n"
    assert [each.name for each in cache.parent.iterdir()] == ["softhsm"]


def test_one_that_is_installed_or_named_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    system, library = tmp_path / "system", tmp_path / "system/usr/lib/softhsm/libsofthsm2.so"
    utility = system / "usr/bin/softhsm2-util"
    for file in (library, utility):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_softhsm(tmp_path / "cache", system) == SoftHsm(library, utility)
    monkeypatch.setenv(LIBRARY_VARIABLE, "/named.so")
    monkeypatch.setenv(UTILITY_VARIABLE, "/named-util")
    assert find_softhsm(tmp_path / "cache", system) == SoftHsm(Path("/named.so"), Path("/named-util"))


def test_only_a_system_without_apt_may_go_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cache, system = tmp_path / "cache" / "softhsm", tmp_path / "system"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoAptError, match=f"no `apt-get`.*{LIBRARY_VARIABLE}"):
        find_softhsm(cache, system)
    _programs(monkeypatch, tmp_path, "#!/bin/sh\necho no such package >&2\nexit 100\n")
    with pytest.raises(FetchError, match=r"(?s)apt-get update.*no such package"):
        find_softhsm(cache, system)
    assert not cache.exists()


def _programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, apt: str) -> Path:
    """Put an apt and a dpkg first on the path; returns the file in which apt notes how it was called."""
    programs, notes = tmp_path / "bin", tmp_path / "notes"
    programs.mkdir()
    for name, text in (("apt-get", apt), ("dpkg", DPKG)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{SHELL}")
    monkeypatch.setenv("NOTES", str(notes))
    return notes
