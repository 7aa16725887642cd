"""Files beneath a root: what is refused when they are looked at, and when they are opened."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.edge import source_tree
from bulk_upload.edge.source_tree import NotRegular, OutsideRoot, SourceTree
from bulk_upload.errors import UsageError

SECRET = b"not yours"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one of everything, and a foreign file beside it."""
    root = tmp_path / "root"
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "file").write_bytes(b"mine")
    (root / "folder" / "deep" / "file").write_bytes(b"deep")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (root / "link").symlink_to("../outside/secret")
    (root / "absolute-link").symlink_to(outside / "secret")
    (root / "chain").symlink_to("link")
    (root / "folder-link").symlink_to("../outside")
    (root / "back").symlink_to(f"../{root.name}/file")
    (root / "inner-folder").symlink_to("folder/deep")
    (root / "dangling").symlink_to("nothing")
    (root / "loop").symlink_to("loop")
    (root / "device-link").symlink_to("/dev/zero")
    (root / "folder" / "up").symlink_to("../..")
    os.mkfifo(root / "pipe")
    return root


def read(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


ATTACKS = [
    ("/etc/passwd", "outside-root", OutsideRoot),
    ("/dev/null", "outside-root", OutsideRoot),
    ("../outside/secret", "outside-root", OutsideRoot),
    ("folder/../../outside/secret", "outside-root", OutsideRoot),
    ("folder/up/outside/secret", "symlink-outside-root", OutsideRoot),
    ("link", "symlink-outside-root", OutsideRoot),
    ("absolute-link", "symlink-outside-root", OutsideRoot),
    ("chain", "symlink-outside-root", OutsideRoot),
    ("folder-link/secret", "symlink-outside-root", OutsideRoot),
    ("folder-link/nothing", "symlink-outside-root", FileNotFoundError),
    ("folder-link", "symlink-outside-root", NotRegular),
    ("device-link", "symlink-outside-root", NotRegular),
    ("pipe", "not-a-file", NotRegular),
    ("folder", "not-a-file", NotRegular),
    ("inner-folder", "not-a-file", NotRegular),
    ("", "not-a-file", NotRegular),
    ("file\0.jsonl", "nul-in-path", OSError),
    ("file\0/../../outside/secret", "nul-in-path", OSError),
    ("\ud800", "unencodable-path", OSError),
    ("nothing", "missing-file", FileNotFoundError),
    ("file/below", "missing-file", NotADirectoryError),
    ("dangling", "missing-file", FileNotFoundError),
    ("loop", "unreadable-file", OSError),
    ("x" * 300, "unreadable-file", OSError),
]


@pytest.mark.parametrize(("path", "rule", "error"), ATTACKS)
def test_refused(root: Path, path: str, rule: str, error: type[OSError]) -> None:
    """Whatever is not a regular file beneath the root is refused by name, and cannot be opened either."""
    tree = SourceTree(str(root))
    complaint = tree.inspect(path)
    assert isinstance(complaint, PathComplaint)
    assert complaint.rule == rule
    assert complaint.remedy
    with pytest.raises(error) as caught:
        tree.open_regular(path)
    assert caught.value.strerror


@pytest.mark.parametrize(("path", "_rule", "_error"), ATTACKS)
def test_refusal_leaks_no_descriptor(root: Path, path: str, _rule: str, _error: type[OSError]) -> None:
    """A refused file is closed again."""
    tree = SourceTree(str(root))
    lowest = os.dup(0)
    os.close(lowest)
    with pytest.raises(OSError):
        tree.open_regular(path)
    again = os.dup(0)
    os.close(again)
    assert again == lowest


@pytest.mark.parametrize(
    ("there", "path", "words"),
    [
        ("caf\u00e9", "cafe\u0301", r'a file of that name in another Unicode form: "caf\u00e9"'),
        ("cafe\u0301", "caf\u00e9", r'in another Unicode form: "cafe\u0301"'),
        ("\uac00/x", "\u1100\u1161/x", r'a folder of that name in another Unicode form: "\uac00"'),
        ("Train.jsonl", "train.jsonl", 'upper and lower case: "Train.jsonl"'),
        ("a.jsonl", "a.jsonl ", 'spaces, or in characters that look alike or are not seen: "a.jsonl"'),
        ("a b", "a\u00a0b", 'are not seen: "a b"'),
        ("a\u00a0b", "a b", r'are not seen: "a\u00a0b"'),
        ("it's", "it\u2019s", 'look alike or are not seen: "it\'s"'),
        ("a-b", "a\u2013b", 'look alike or are not seen: "a-b"'),
        ("ab", "a\u200bb", 'are not seen: "ab"'),
        ("\ufeffab", "ab", r'are not seen: "\ufeffab"'),
        ("data", "d\u0430ta", 'look alike or are not seen: "data"'),
        ("caf\u00e9", "caf\udce9", r'is not UTF-8: "caf\u00e9"'),
        ("caf\udce9", "caf\u00e9", r'is not UTF-8: "caf\xe9"'),
        ("data/training.jsonl", "data/trainning.jsonl", 'a file with a name much like it: "training.jsonl"'),
        ("training/x", "trainning/x", 'a folder with a name much like it: "training"'),
    ],
)
def test_a_missing_file_is_told_from_one_that_looks_like_it(
    tmp_path: Path, there: str, path: str, words: str
) -> None:
    """Where a name is there that the missing one may mean, it is named so that the difference shows."""
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    if (tmp_path / path).exists():
        pytest.skip("this file system takes both for the same name")
    complaint = SourceTree(str(tmp_path)).inspect(path)
    assert isinstance(complaint, PathComplaint)
    assert complaint.rule == "missing-file"
    assert words in complaint.found
    assert path.isascii() or "(spelled " in complaint.found
    assert "scan" in complaint.remedy


def test_what_is_not_meant_is_not_named(tmp_path: Path) -> None:
    """Another part of the same set, or a name far from it, is no suggestion; a link says where it leads."""
    (tmp_path / "part-07.jsonl").touch()
    (tmp_path / "dangling").symlink_to("gone")
    tree = SourceTree(str(tmp_path))
    for path in ("part-08.jsonl", "quite different", "part-07.jsonl/x", "none/part-07.jsonl"):
        complaint = tree.inspect(path)
        assert isinstance(complaint, PathComplaint)
        assert complaint.found == f'there is no file "{path}"'
    complaint = tree.inspect("dangling")
    assert isinstance(complaint, PathComplaint)
    assert complaint.found == '"dangling" is a symbolic link to "gone", which is not there'


def test_names_outside_the_root_are_not_read(root: Path) -> None:
    """A missing file beyond a link that leads out is refused; nothing says what is there."""
    complaint = SourceTree(str(root)).inspect("folder-link/Secret")
    assert isinstance(complaint, PathComplaint)
    assert complaint.rule == "symlink-outside-root"
    assert '"secret"' not in complaint.found


def test_names_alike_are_counted(tmp_path: Path) -> None:
    """Where several files differ in the same way, the first is named, with their number."""
    for name in ("AB", "Ab"):
        (tmp_path / name).touch()
    complaint = SourceTree(str(tmp_path)).inspect("ab")
    assert isinstance(complaint, PathComplaint)
    assert complaint.found.endswith('upper and lower case (one of 2): "AB"')


@pytest.mark.parametrize("kind", ["socket", "device"])
def test_sockets_and_devices(kind: str) -> None:
    """A socket is refused, and so is a device, where the root holds one."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.join(folder, "socket"))
        tree, name = (SourceTree("/dev"), "null") if kind == "device" else (SourceTree(folder), "socket")
        complaint = tree.inspect(name)
        assert isinstance(complaint, PathComplaint)
        assert kind in complaint.found
        with pytest.raises(OSError):
            tree.open_regular(name)


@pytest.mark.parametrize("path", ["file", "back", "folder/deep/file", "inner-folder/file"])
def test_files_beneath_the_root(root: Path, path: str) -> None:
    """Regular files are accepted, through symbolic links too as long as these stay beneath the root."""
    tree = SourceTree(str(root))
    found = tree.inspect(path)
    assert isinstance(found, os.stat_result)
    assert found == os.stat(root / path)
    assert found.st_size == 4
    assert read(tree.open_regular(path)) == (root / path).read_bytes()


def test_following_links(root: Path) -> None:
    """With leave to follow, links may lead out, but names still may not."""
    tree = SourceTree(str(root), follow_symlinks=True)
    for path in ("link", "folder-link/secret"):
        assert isinstance(tree.inspect(path), os.stat_result)
        assert read(tree.open_regular(path)) == SECRET
    for path in ("../outside/secret", "/etc/passwd"):
        assert isinstance(tree.inspect(path), PathComplaint)
        with pytest.raises(OutsideRoot):
            tree.open_regular(path)


def test_names_outside(root: Path) -> None:
    """With leave to name files elsewhere, absolute paths work, but links out of the root still do not."""
    tree = SourceTree(str(root), allow_outside=True)
    outside = str(root.parent / "outside" / "secret")
    assert isinstance(tree.inspect(outside), os.stat_result)
    assert read(tree.open_regular(outside)) == SECRET
    assert isinstance(tree.inspect("link"), PathComplaint)
    with pytest.raises(OutsideRoot):
        tree.open_regular("link")


def swap_file(root: Path) -> None:
    (root / "file").unlink()
    (root / "file").symlink_to("../outside/secret")


def swap_folder(root: Path) -> None:
    (root / "folder").rename(root / "old")
    (root.parent / "outside" / "file").write_bytes(SECRET)
    (root / "folder").symlink_to("../outside")


def swap_pipe(root: Path) -> None:
    (root / "file").unlink()
    os.mkfifo(root / "file")


@pytest.mark.parametrize(
    ("path", "swap", "error"),
    [
        ("file", swap_file, OutsideRoot),
        ("folder/file", swap_folder, OutsideRoot),
        ("file", swap_pipe, NotRegular),
    ],
)
def test_swapped_after_inspection(
    root: Path, path: str, swap: Callable[[Path], None], error: type[OSError]
) -> None:
    """What took a file's place after the plan is caught on the open descriptor, in no time."""
    (root / "folder" / "file").write_bytes(b"mine")
    tree = SourceTree(str(root))
    assert isinstance(tree.inspect(path), os.stat_result)
    swap(root)
    with pytest.raises(error):
        tree.open_regular(path)


def test_proof_without_proc(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system cannot tell the path of an open file, its real path must still name it."""
    tree = SourceTree(str(root))

    def refuse(path: str) -> str:
        raise FileNotFoundError(errno.ENOENT, "no /proc", path)

    monkeypatch.setattr(os, "readlink", refuse)
    assert read(tree.open_regular("file")) == b"mine"
    moved = os.open(root / "folder" / "deep" / "file", os.O_RDONLY)
    try:
        assert source_tree._path_by_name(moved, str(root / "file")) == ""
    finally:
        os.close(moved)


def test_renamed_while_open(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is moved out of the root between open and proof is refused: the proof is on the file."""
    tree = SourceTree(str(root))
    original = os.fstat

    def move_first(descriptor: int) -> os.stat_result:
        if (root / "file").exists():
            (root / "file").rename(root.parent / "outside" / "moved")
        return original(descriptor)

    monkeypatch.setattr(os, "fstat", move_first)
    with pytest.raises(OutsideRoot):
        tree.open_regular("file")


@pytest.mark.parametrize(
    "name", [b"\xff\xfe.jsonl", "caf\u00e9 \u202e.jsonl".encode(), b"new\nline", b"\\", b" "]
)
def test_names_of_any_bytes(root: Path, name: bytes) -> None:
    """Names that are not UTF-8, or odd, work like any other."""
    with open(os.path.join(os.fsencode(root), name), "wb") as file:
        file.write(name)
    tree = SourceTree(str(root))
    path = os.fsdecode(name)
    assert isinstance(tree.inspect(path), os.stat_result)
    assert read(tree.open_regular(path)) == name


def test_backslashes_get_a_hint(root: Path) -> None:
    """A missing path with backslashes is met with the slash."""
    complaint = SourceTree(str(root)).inspect("folder\\file")
    assert isinstance(complaint, PathComplaint)
    assert '"/"' in complaint.remedy


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Let permissions count where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_unreadable(as_nobody: None, closed: str) -> None:
    """A file this user may not read is refused before anything is sent, as is one in a closed folder."""
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(os.path.join(root, "folder"))
        path = "folder/file" if closed == "folder" else "file"
        full = os.path.join(root, path)
        Path(full).write_bytes(b"x")
        os.chmod(os.path.join(root, closed), 0)
        try:
            complaint = SourceTree(root).inspect(path)
        finally:
            os.chmod(os.path.join(root, closed), 0o700)
    assert isinstance(complaint, PathComplaint)
    assert complaint.rule == "unreadable-file"


def test_a_mount_that_fails_is_what_is_to_be_checked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with a path whose file system fails."""
    (root / "a").write_bytes(b"x")
    tree = SourceTree(str(root))

    def fails(*_: object) -> os.stat_result:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "lstat", fails)
    complaint = tree.inspect("a")
    monkeypatch.undo()
    assert isinstance(complaint, PathComplaint)
    assert complaint.rule == "unreadable-file"
    assert "mount" in complaint.remedy


def test_root_through_a_link(root: Path) -> None:
    """The root may be named through a symbolic link; both spellings of it are known."""
    (root.parent / "alias").symlink_to("root")
    tree = SourceTree(str(root.parent / "alias"))
    assert tree.root == os.path.realpath(root)
    assert tree.root_as_typed == str(root.parent / "alias")
    assert tree.absolute("file") == f"{tree.root}/file"
    assert isinstance(tree.inspect("file"), os.stat_result)
    assert read(tree.open_regular("file")) == b"mine"


def test_misleading_spelling_of_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`link/..` is not where it looks to be, so its short spelling is not taken for the root."""
    monkeypatch.chdir(root)
    tree = SourceTree("folder-link/..")
    assert tree.root == os.path.realpath(root.parent)
    assert tree.root_as_typed is None


@pytest.mark.parametrize("name", ["", "nothing", "file", "a\0b"])
def test_unusable_root(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A root that is missing, a file or no name is a usage error that names it."""
    monkeypatch.chdir(root)
    with pytest.raises(UsageError, match="root"):
        SourceTree(name)


def test_root_of_the_system() -> None:
    """The root may be `/`, in which everything lies."""
    tree = SourceTree("/")
    assert isinstance(tree.inspect("etc/passwd"), os.stat_result)
    os.close(tree.open_regular("etc/passwd"))
