"""Manifests on disk and on standard input."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_upload.core.manifest.rules import LINE_BYTES_MAX
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.edge.manifest_file import ManifestFile, write_manifest
from bulk_upload.errors import ManifestInvalid, UsageError

P, *_ = PURPOSES
LINE = f'{{"path": "a", "purpose": "{P}"}}\n'.encode()


def test_lines_of_a_file(tmp_path: Path) -> None:
    """A file gives its lines with their ends, as often as asked, and two readers do not disturb each other."""
    name = str(tmp_path / "m.jsonl")
    Path(name).write_bytes(b"one\r\ntwo\n\nthree")
    with ManifestFile(name) as manifest:
        first, second = manifest.lines(), manifest.lines()
        pairs = list(zip(first, second, strict=True))
        assert pairs == [(line, line) for line in (b"one\r\n", b"two\n", b"\n", b"three")]
        assert list(manifest.lines()) == [line for line, _ in pairs]
        assert (manifest.name, manifest.base_folder, manifest.is_stream) == (name, str(tmp_path), False)


def test_folder_of_a_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without a folder lies in the current folder."""
    (tmp_path / "m.jsonl").write_bytes(LINE)
    monkeypatch.chdir(tmp_path)
    with ManifestFile("m.jsonl") as manifest:
        assert os.path.samefile(manifest.base_folder, tmp_path)
        assert os.path.isabs(manifest.base_folder)


def test_same_content_after_replacement(tmp_path: Path) -> None:
    """A manifest that is replaced while it is open keeps its lines for the run that reads it."""
    name = tmp_path / "m.jsonl"
    name.write_bytes(b"old\n")
    with ManifestFile(str(name)) as manifest:
        (tmp_path / "new").write_bytes(b"new\n")
        (tmp_path / "new").rename(name)
        assert list(manifest.lines()) == [b"old\n"]


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is copied to its end and can then be read twice; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    with ManifestFile("-", stdin=io.BytesIO(LINE * 3)) as manifest:
        assert list(manifest.lines()) == list(manifest.lines()) == [LINE] * 3
        assert manifest.is_stream
        assert manifest.name == "<stdin>"
        assert os.path.samefile(manifest.base_folder, tmp_path)


def test_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named pipe, such as the shell makes of `<(command)`, is treated like standard input."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(LINE * 2,))
    writer.start()
    with ManifestFile(str(pipe)) as manifest:
        writer.join()
        assert list(manifest.lines()) == list(manifest.lines()) == [LINE] * 2
        assert manifest.is_stream
        assert os.path.samefile(manifest.base_folder, elsewhere)


def test_long_line_is_cut(tmp_path: Path) -> None:
    """Of an endless line only one byte more than is allowed is read, and lines after it keep their numbers."""
    name = tmp_path / "m.jsonl"
    fits = b"b" * (LINE_BYTES_MAX - 1) + b"\n"
    by_one = b"c" * LINE_BYTES_MAX + b"\n"
    name.write_bytes(b"a" * (3 * LINE_BYTES_MAX) + b"\n" + fits + by_one + b"last")
    with ManifestFile(str(name)) as manifest:
        lengths = [len(line) for line in manifest.lines()]
    assert lengths == [LINE_BYTES_MAX + 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 4]


@pytest.mark.parametrize(
    "name", ["missing.jsonl", "missing/m.jsonl", ".", "/dev/null", "a\0b", "\ud800", "x" * 999]
)
def test_unusable_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is missing, a folder, a device or no name at all is a usage error that names it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="manifest"):
        ManifestFile(name)


def test_hints(tmp_path: Path) -> None:
    """A missing manifest and a folder are met with the command that makes a manifest."""
    for name in (str(tmp_path), str(tmp_path / "m.jsonl")):
        with pytest.raises(UsageError) as caught:
            ManifestFile(name)
        assert "bulk-upload scan" in (caught.value.hint or "")


def test_empty(tmp_path: Path) -> None:
    """A manifest without a byte is invalid, on disk and on standard input."""
    (tmp_path / "m.jsonl").touch()
    with pytest.raises(ManifestInvalid, match="empty"):
        ManifestFile(str(tmp_path / "m.jsonl"))
    with pytest.raises(ManifestInvalid, match="empty"):
        ManifestFile("-", stdin=io.BytesIO())


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Let permissions count where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_unreadable(as_nobody: None) -> None:
    """A manifest this user may not read is a usage error with the remedy."""
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "m.jsonl")
        Path(name).write_bytes(LINE)
        os.chmod(name, 0)
        with pytest.raises(UsageError, match="Permission denied") as caught:
            ManifestFile(name)
    assert "read" in (caught.value.hint or "")


def test_write_whole(tmp_path: Path) -> None:
    """A written manifest is complete, readable by whom the umask allows, and leaves nothing beside it."""
    name = tmp_path / "m.jsonl"
    write_manifest(str(name), [LINE, LINE])
    assert name.read_bytes() == LINE * 2
    umask = os.umask(0)
    os.umask(umask)
    assert name.stat().st_mode & 0o777 == 0o666 & ~umask
    assert os.listdir(tmp_path) == ["m.jsonl"]


def test_write_replaces_manifests_only(tmp_path: Path) -> None:
    """An older manifest and an empty file are replaced; training data never is."""
    manifest, data, empty = (tmp_path / name for name in ("m.jsonl", "train.jsonl", "empty"))
    manifest.write_bytes(b'{"path": "old", "purpose": "any"}\n')
    data.write_bytes(b'{"messages": []}\n')
    empty.touch()
    for name in (manifest, empty):
        write_manifest(str(name), [LINE])
        assert name.read_bytes() == LINE
    for target in (data, tmp_path, Path("/dev/null")):
        with pytest.raises(UsageError):
            write_manifest(str(target), [LINE])
    assert data.read_bytes() == b'{"messages": []}\n'


def test_write_through_a_link(tmp_path: Path) -> None:
    """A symbolic link stays one, and what it leads to is replaced."""
    (tmp_path / "real.jsonl").touch()
    (tmp_path / "m.jsonl").symlink_to("real.jsonl")
    write_manifest(str(tmp_path / "m.jsonl"), [LINE])
    assert (tmp_path / "m.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_bytes() == LINE


def test_failed_write_changes_nothing(tmp_path: Path) -> None:
    """When the lines end in an error, the old manifest stays and nothing is left behind."""
    name = tmp_path / "m.jsonl"
    name.write_bytes(LINE)

    def lines() -> Iterator[bytes]:
        yield b"new\n"
        raise UsageError("no more")

    with pytest.raises(UsageError, match="no more"):
        write_manifest(str(name), lines())
    assert name.read_bytes() == LINE
    assert os.listdir(tmp_path) == ["m.jsonl"]


def test_unwritable_place(tmp_path: Path) -> None:
    """A folder that is not there is a usage error that names the manifest."""
    with pytest.raises(UsageError, match="cannot write the manifest"):
        write_manifest(str(tmp_path / "no" / "m.jsonl"), [LINE])
