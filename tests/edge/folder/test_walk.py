"""Walking a folder: its files in order, and what is no file to upload."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_upload.core.folder.selection import Selection
from bulk_upload.core.folder.sightings import PassedOver, Skipped
from bulk_upload.edge.folder.place import FolderPlace, place_of
from bulk_upload.edge.folder.walk import Found, walk
from bulk_upload.errors import UsageError

ALL = Selection()


def place(root: Path, *within: str) -> FolderPlace:
    return FolderPlace(root=os.path.realpath(root), within=within)


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def paths(root: Path, *exclude: str, output: Path | None = None) -> list[str]:
    selection = Selection(exclude=exclude)
    sightings = walk(place(root), selection, output=str(output) if output else None)
    return [sighting.path for sighting in sightings if isinstance(sighting, Found)]


def test_order_is_that_of_path_bytes(tmp_path: Path) -> None:
    """Files come sorted by the bytes of their whole paths, folders where their files belong."""
    make(tmp_path, "a-b", "a/z", "a/b/c", "a/b.c", "a0", "B", "\u00e9", "\udcff", "z")
    found = paths(tmp_path)
    assert len(found) == 9
    assert found == sorted(found, key=os.fsencode)
    assert found[:3] == ["B", "a-b", "a/b.c"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(
        st.lists(st.text("a-0", min_size=1, max_size=2), min_size=1, max_size=3).map("/".join), max_size=8
    )
)
def test_any_tree_is_sorted_and_complete(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    """Every file of any tree is named once, in order."""
    root = tmp_path_factory.mktemp("tree")
    files = sorted(name for name in names if not any(other.startswith(f"{name}/") for other in names))
    make(root, *files)
    assert paths(root) == files


def test_passed_over(tmp_path: Path) -> None:
    """Hidden names and what is not wanted are passed over, and the manifest to be written is not even mentioned."""
    make(
        tmp_path,
        "data.jsonl",
        ".hidden",
        ".git/config",
        "x/.hidden/y",
        "manifest.jsonl",
        "x/manifest.jsonl",
    )
    output = tmp_path / "manifest.jsonl"
    assert paths(tmp_path, output=output) == ["data.jsonl", "x/manifest.jsonl"]
    found = list(walk(place(tmp_path), Selection(exclude=["x/m*"]), output=str(output)))
    passed = {one.path: one.is_unwanted for one in found if isinstance(one, PassedOver)}
    assert passed == {".git": False, ".hidden": False, "x/.hidden": False, "x/manifest.jsonl": True}


def test_exclude(tmp_path: Path) -> None:
    """Excluded files are passed over, and excluded folders with everything in them."""
    make(tmp_path, "a.jsonl", "a.tmp", "old/a.jsonl", "x/old/a.jsonl", "x/keep/a.jsonl", "x/keep/b.jsonl")
    assert paths(tmp_path, "*.tmp", "old", "x/*/b.jsonl") == ["a.jsonl", "x/keep/a.jsonl"]
    assert paths(tmp_path, "x/") == ["a.jsonl", "a.tmp", "old/a.jsonl"]


def test_excluded_folder_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is excluded or hidden costs nothing, however large it is."""
    make(tmp_path, "a", "old/b", ".git/c")
    read = []
    original = os.scandir

    def scandir(path: str) -> object:
        read.append(os.path.basename(path.rstrip("/")))
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert paths(tmp_path, "old") == ["a"]
    assert read == [tmp_path.name]


def test_symbolic_links(tmp_path: Path) -> None:
    """Links to files within the folder count; links to folders, out of it or to nothing are skipped and said."""
    root = tmp_path / "root"
    make(root, "folder/file")
    make(tmp_path, "outside/secret")
    for name, target in {
        "inside": "folder/file",
        "escape": "../outside/secret",
        "to-folder": "folder",
        "to-outside": "../outside",
        "dangling": "nothing",
        "loop": "loop",
        "up": "..",
    }.items():
        (root / name).symlink_to(target)
    sightings = list(walk(place(root), ALL))
    assert [sighting.path for sighting in sightings if isinstance(sighting, Found)] == [
        "folder/file",
        "inside",
    ]
    skipped = {sighting.path: sighting.reason for sighting in sightings if isinstance(sighting, Skipped)}
    may_be_data = {one.path for one in sightings if isinstance(one, Skipped) and one.may_be_data}
    assert may_be_data == {"dangling", "loop"}
    assert set(skipped) == {"escape", "to-folder", "to-outside", "dangling", "loop", "up"}
    assert "outside" in skipped["escape"]


def test_special_files(tmp_path: Path) -> None:
    """A named pipe is skipped and never opened."""
    os.mkfifo(tmp_path / "pipe")
    assert list(walk(place(tmp_path), ALL)) == [Skipped(path="pipe", reason="is not a regular file")]


def test_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be read is skipped and said; the rest is scanned."""
    make(tmp_path, "a", "closed/b", "z")
    original = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return original(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(walk(place(tmp_path), ALL))
    assert [sighting.path for sighting in found] == ["a", "closed", "z"]
    assert isinstance(found[1], Skipped)
    assert found[1].may_be_data


def test_what_vanishes_or_fails_while_scanning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is gone, or whose disk fails, may be data; the others are found."""
    make(tmp_path, "a.jsonl", "b.jsonl", "c.jsonl", "sub/d.jsonl")
    original = os.lstat
    failing = os.path.join(os.path.realpath(tmp_path), "b.jsonl")

    def lstat(path: str) -> os.stat_result:
        if path == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(path)

    monkeypatch.setattr(os, "lstat", lstat)
    sightings = walk(place(tmp_path), ALL)
    found = [next(sightings)]
    (tmp_path / "c.jsonl").unlink()
    (tmp_path / "sub/d.jsonl").unlink()
    (tmp_path / "sub").rmdir()
    found += sightings
    assert [(one.path, isinstance(one, Skipped) and one.may_be_data) for one in found] == [
        ("a.jsonl", False),
        ("b.jsonl", True),
        ("c.jsonl", True),
        ("sub", True),
    ]


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It belongs to the data, whoever may read it: the manifest has it, and it is known to be unreadable."""
    make(tmp_path, "a", "b")
    monkeypatch.setattr(os, "access", lambda path, *_, **__: not path.endswith("b"))
    found = [one for one in walk(place(tmp_path), ALL) if isinstance(one, Found)]
    assert [(one.path, one.is_readable) for one in found] == [("a", True), ("b", False)]


def test_deep_tree(tmp_path: Path) -> None:
    """Depth is bounded by the system, not by recursion."""
    folders = [f"{tmp_path}/d{'/d' * depth}" for depth in range(1200)]
    for folder in folders:
        os.mkdir(folder)
    file = f"{folders[-1]}/file"
    Path(file).touch()
    found = paths(tmp_path)
    os.unlink(file)
    # Not left to the clean-up of pytest, which does recurse.
    for folder in reversed(folders):
        os.rmdir(folder)
    assert found == [os.path.relpath(file, tmp_path)]


def test_scanning_is_lazy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are read when their turn comes."""
    make(tmp_path, "a/1", "b/2")
    sightings = walk(place(tmp_path), ALL)
    assert next(sightings) == Found(path="a/1", file_bytes=0, is_readable=True)
    make(tmp_path, "b/3")
    assert [sighting.path for sighting in sightings] == ["b/2", "b/3"]


def test_a_folder_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    """A root that is missing, or is a file, is a usage error that names it."""
    make(tmp_path, "file")
    for name in ("file", "nothing"):
        with pytest.raises(UsageError, match=f"scan.*{name}"):
            list(walk(place(tmp_path / name), ALL))


def test_age(tmp_path: Path) -> None:
    """Only files that were modified after a time are found; folders are entered whatever their age."""
    make(tmp_path, "old", "sub/new", "sub/same")
    for name, mtime_ns in {"old": 1, "sub/new": 3, "sub/same": 2, "sub": 0}.items():
        os.utime(tmp_path / name, ns=(mtime_ns, mtime_ns))
    found = walk(place(tmp_path), Selection(newer_than_ns=2))
    assert [one.path for one in found if isinstance(one, Found)] == ["sub/new"]


def test_parts_of_a_folder(tmp_path: Path) -> None:
    """Only the named files and folders are found, hidden ones too; patterns still apply to them."""
    make(tmp_path, "a", ".b", "c/d", "c/.e", "c/f.tmp", "g")
    found = walk(place(tmp_path, ".b", "a", "c"), Selection(exclude=["*.tmp"]))
    assert [one.path for one in found if isinstance(one, Found)] == [".b", "a", "c/d"]


def test_every_spelling_is_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is identified by its real path, however it is named and from wherever."""
    make(tmp_path, "x/data/a")
    (tmp_path / "link").symlink_to("x/data")
    monkeypatch.chdir(tmp_path / "x" / "data")
    root = os.path.realpath(tmp_path / "x" / "data")
    for name in (".", "../data/", "../../link", str(tmp_path / "link"), "../../x/../link/."):
        assert place_of([name]) == FolderPlace(root=root)


def test_files_and_folders_have_one_root(tmp_path: Path) -> None:
    """Several paths are parts of the nearest folder that holds them all, each of them once."""
    make(tmp_path, "x/a", "x/b/c", "x/b/d/e", "y")
    names = [str(tmp_path / name) for name in ("x/b/d", "x/a", "x/b/c", "x/a")]
    assert place_of(names) == place(tmp_path / "x", "a", "b/c", "b/d")
    assert place_of(names[1:2]) == place(tmp_path / "x", "a")
    assert place_of([*names, str(tmp_path / "x/b")]) == place(tmp_path / "x", "a", "b")
    assert place_of([*names, str(tmp_path / "x")]) == place(tmp_path / "x")
    assert place_of([*names, str(tmp_path / "y")]) == place(tmp_path, "x/a", "x/b/c", "x/b/d", "y")


@pytest.mark.parametrize("name", ["", "nothing", "pipe", "a\0b"])
def test_what_is_no_file_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is a usage error that names it."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with pytest.raises(UsageError, match="cannot upload"):
        place_of([name])
