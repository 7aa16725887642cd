from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulk_upload.edge.output import FileSet, OutputRefused, created, open_to_append, replaced, require_safe

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def _replace(path: Path, *, private: bool = False) -> None:
    with replaced(os.fspath(path), private=private) as stream:
        stream.write(b"new")


def _append(path: Path, *, private: bool = False) -> None:
    with open_to_append(os.fspath(path), private=private) as stream:
        stream.write(b"new")


def _write_set(path: Path, *, private: bool = False) -> None:
    files = FileSet(private=private)
    try:
        files.add(os.fspath(path)).write(b"new")
        files.commit()
    finally:
        files.drop()


def _create(path: Path, *, private: bool = False) -> None:
    with created(os.fspath(path), private=private) as name:
        Path(name).write_bytes(b"new")


WRITERS = [_replace, _append, _write_set]
Writer = Callable[..., None]


@pytest.fixture
def anybodys(tmp_path: Path) -> Path:
    """A folder like /tmp."""
    folder = tmp_path / "anybodys"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("write", [*WRITERS, _create])
@pytest.mark.parametrize("leads_to", ["file", "nothing"])
def test_a_link_where_anybody_may_lay_one_is_refused(
    anybodys: Path, tmp_path: Path, write: Writer, leads_to: str
) -> None:
    """What it leads to stays as it is, and nothing appears beside it."""
    target = tmp_path / "precious"
    if leads_to == "file":
        target.write_bytes(b"old")
    link = anybodys / "out"
    link.symlink_to(target)
    with pytest.raises(OutputRefused) as caught:
        write(link)
    assert "symbolic link" in str(caught.value.strerror)
    assert os.listdir(anybodys) == ["out"]
    assert (target.read_bytes() if leads_to == "file" else not target.exists()) in (b"old", True)


@pytest.mark.parametrize("write", WRITERS)
def test_links_of_ones_own_are_followed(anybodys: Path, tmp_path: Path, write: Writer) -> None:
    """In a folder that only we can write, a link is ours; what it leads to is looked at as any other output."""
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    (anybodys / "trap").symlink_to(tmp_path / "real")
    (tmp_path / "to trap").symlink_to(anybodys / "trap")
    with pytest.raises(OutputRefused):
        write(tmp_path / "to trap")


@as_root
@pytest.mark.parametrize("write", WRITERS)
def test_another_users_file_where_anybody_may_lay_one_is_refused(anybodys: Path, write: Writer) -> None:
    """Who owns the file would own what is written; in a folder of a team such a file is a colleague's."""
    path = anybodys / "out"
    path.write_bytes(b"theirs")
    os.chown(path, NOBODY, -1)
    with pytest.raises(OutputRefused) as caught:
        write(path)
    assert "another user's" in str(caught.value.strerror)
    assert path.read_bytes() == b"theirs"
    for mode in (0o755, 0o775):
        anybodys.chmod(mode)
        write(path)
        assert path.read_bytes().endswith(b"new")
    os.chown(path, NOBODY, -1)
    anybodys.chmod(0o1775)
    with pytest.raises(OutputRefused):
        write(path)


def test_a_second_name_of_our_own_file_is_no_trap(anybodys: Path, tmp_path: Path) -> None:
    """Adding to a hard link would add to the file behind it; replacing it leaves that file alone."""
    (tmp_path / "precious").write_bytes(b"old")
    os.link(tmp_path / "precious", anybodys / "out")
    with pytest.raises(OutputRefused):
        _append(anybodys / "out")
    with pytest.raises(OutputRefused):
        require_safe(os.fspath(anybodys / "out"))
    _replace(anybodys / "out")
    assert (tmp_path / "precious").read_bytes() == b"old"


@pytest.mark.parametrize("write", WRITERS)
def test_ones_own_file_in_a_folder_of_all_is_written(anybodys: Path, write: Writer) -> None:
    """People keep results in /tmp, and write them again."""
    for _ in range(2):
        write(anybodys / "out")
    assert (anybodys / "out").read_bytes().endswith(b"new")
    assert os.listdir(anybodys) == ["out"]


@pytest.mark.parametrize("write", [*WRITERS, _create])
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_new_files_follow_the_umask(tmp_path: Path, write: Writer, mask: int, mode: int) -> None:
    """An output is as private as the person's other files, and a private one is for its owner alone."""
    with umask(mask):
        write(tmp_path / "out")
        write(tmp_path / "secret", private=True)
    assert _mode(tmp_path / "out") == mode
    assert _mode(tmp_path / "secret") == 0o600


@pytest.mark.parametrize("write", WRITERS)
def test_old_files_keep_their_mode_unless_they_become_private(tmp_path: Path, write: Writer) -> None:
    """A person who opened a file for others, or closed it, did so on purpose."""
    for mode in (0o664, 0o640, 0o600):
        (tmp_path / "out").touch()
        (tmp_path / "out").chmod(mode)
        write(tmp_path / "out")
        assert _mode(tmp_path / "out") == mode
        (tmp_path / "out").unlink()
    (tmp_path / "out").touch()
    (tmp_path / "out").chmod(0o664)
    write(tmp_path / "out", private=True)
    assert _mode(tmp_path / "out") == 0o600


@as_root
@pytest.mark.parametrize("write", WRITERS)
def test_old_files_keep_their_owner(tmp_path: Path, write: Writer) -> None:
    """A container that runs as root leaves people's files theirs."""
    (tmp_path / "out").touch()
    os.chown(tmp_path / "out", NOBODY, NOBODY)
    write(tmp_path / "out")
    status = (tmp_path / "out").stat()
    assert (status.st_uid, status.st_gid) == (NOBODY, NOBODY)


STREAMS = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
_PROGRAM = """
import sys
from bulk_upload.edge.output import open_to_append, replaced
print("before", flush=True)
with replaced(sys.argv[1]) as stream:
    stream.write(b"replaced\\n")
with open_to_append(sys.argv[1]) as stream:
    stream.write(b"appended\\n")
print("after", flush=True)
"""


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("behind", ["pipe", "file"])
def test_streams_are_written_where_they_stand(tmp_path: Path, name: str, behind: str) -> None:
    """The aliases of standard output take text in turn with it, also where the shell sent it to a file."""
    if name.startswith("/proc") and not os.path.exists("/proc/self/fd"):
        pytest.skip("there is no /proc")
    command = [sys.executable, "-c", _PROGRAM, name]
    if behind == "pipe":
        output = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout
    else:
        (tmp_path / "out").write_bytes(b"kept\n")
        with (tmp_path / "out").open("ab") as file:
            subprocess.run(command, stdout=file, check=True, timeout=60)
        kept, _, output = (tmp_path / "out").read_bytes().partition(b"\n")
        assert kept == b"kept"
        assert os.listdir(tmp_path) == ["out"]
    assert output == b"before\nreplaced\nappended\nafter\n"


def test_a_descriptor_that_nobody_gave_us_is_refused(tmp_path: Path) -> None:
    """A number that happens to be the ledger's, or a connection's, is not written to; one that was given is."""
    with (tmp_path / "ours").open("wb") as file:
        with pytest.raises(OutputRefused):
            _replace(Path(f"/dev/fd/{file.fileno()}"))
        os.set_inheritable(file.fileno(), True)
        _replace(Path(f"/dev/fd/{file.fileno()}"))
    assert (tmp_path / "ours").read_bytes() == b"new"


@pytest.mark.parametrize("write", [*WRITERS, _create])
@pytest.mark.parametrize("folder", ["/dev", "/dev/fd", "/dev/pts", "/proc", "/proc/self"])
def test_no_file_is_made_among_devices(write: Writer, folder: str) -> None:
    """/dev and /proc are gone with the container, and the next run would begin anew."""
    path = Path(folder) / "bulk-upload-test"
    if not path.parent.exists():
        pytest.skip(f"there is no {folder}")
    with pytest.raises(OutputRefused, match="no files are made in"):
        write(path)
    assert not path.exists()


def test_devices_are_written_to() -> None:
    """`-o /dev/null` is a way to throw something away."""
    _replace(Path(os.devnull))
    _append(Path(os.devnull))


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="only Linux has it")
def test_shared_memory_holds_files() -> None:
    """/dev/shm is a disk in memory that people put data on."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        _replace(Path(folder) / "out")
        assert os.listdir(folder) == ["out"]


def test_a_file_that_is_created_never_replaces_one(tmp_path: Path) -> None:
    """Neither one that was there before, nor one that got the name meanwhile; nothing else is left."""
    path = tmp_path / "out"

    def lose_the_race() -> None:
        with created(os.fspath(path)) as name:
            Path(name).write_bytes(b"new")
            path.write_bytes(b"theirs")

    for attempt in (lose_the_race, lambda: _create(path)):
        with pytest.raises(FileExistsError):
            attempt()
        assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_is_created_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAT and some network file systems have none."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "no hard links")

    monkeypatch.setattr(os, "link", refuse)
    _create(tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]
