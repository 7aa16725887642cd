"""Files as they lie on disk, read in the way that fits what they are."""

from __future__ import annotations

import errno
import io
import os
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_upload.core.purposes import PURPOSES, Format, Purpose
from bulk_upload.core.validation.report import FileReport
from bulk_upload.edge.validation.reading import CheckTask, check_content, check_file

CHAT, *_, PRETRAIN, ALIGNMENT = PURPOSES.values()
KNOWN = tuple(PURPOSES.values())


def look(path: Path, purpose: Purpose) -> FileReport:
    """Check a file on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return check_file(descriptor, CheckTask(path=path.name, purpose=purpose, known=KNOWN))
    finally:
        os.close(descriptor)


def rules(path: Path, purpose: Purpose) -> list[str]:
    """Return the rules that have something against a file."""
    return [one.rule for one in look(path, purpose).findings]


def write(folder: Path, name: str, data: bytes) -> Path:
    """Write a file."""
    path = folder / name
    path.write_bytes(data)
    return path


def zipped(*names: str) -> bytes:
    """Return an archive, as office documents and torch.save make them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), "x")
    return buffer.getvalue()


def test_lines_are_read_in_pieces_to_the_end(tmp_path: Path) -> None:
    """All of a file larger than one read is looked at, and counted."""
    line = b'{"text": "%s %d"}\n'
    data = b"".join(line % (b"x" * 1000, number) for number in range(3000)) + b'{"text": 3}\n'
    path = write(tmp_path, "a.jsonl", data)
    heard: list[int] = []
    descriptor = os.open(path, os.O_RDONLY)
    report = check_file(
        descriptor, CheckTask(path="a.jsonl", purpose=PRETRAIN, known=KNOWN), on_bytes=heard.append
    )
    os.close(descriptor)
    assert [(one.rule, one.line_no, one.where) for one in report.findings] == [
        ("wrong-type", 3001, "a.jsonl")
    ]
    assert (report.line_count, report.byte_count) == (3001, len(data))
    assert sum(heard) == len(data)


def test_the_name_decides_what_a_file_is() -> None:
    """Lines, Parquet, PyTorch or a document, for every purpose."""
    for purpose in KNOWN:
        assert purpose.format_of("x/a.PARQUET") is Format.PARQUET
        assert purpose.format_of("a.pt") is Format.TORCH
        assert purpose.format_of("a.jsonl") is Format.JSON_LINES
    assert ALIGNMENT.format_of("a.pdf") is Format.DOCUMENT
    assert CHAT.format_of("a.pdf") is Format.JSON_LINES
    assert CHAT.format_of(".jsonl/plain") is Format.JSON_LINES


def test_a_name_that_is_unusual_for_the_purpose(tmp_path: Path) -> None:
    """A warning, beside what the content says."""
    assert rules(write(tmp_path, "a.csv", b"a,b\n1,2\n"), CHAT) == ["unusual-suffix", "not-json-lines"]
    assert rules(write(tmp_path, "a.json", b'{"text": "a"}\n'), PRETRAIN) == ["unusual-suffix"]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.pdf", b"%PDF-1.7\n...\n%%EOF\n", []),
        ("a.pdf", b"\n\n%PDF-1.7\n...\n%%EOF", []),
        ("a.pdf", b"<html>not found</html>", ["document-mismatch"]),
        ("a.pdf", b"plain", ["document-mismatch"]),
        ("a.pdf", b"", ["empty-document"]),
        ("a.docx", zipped("word/document.xml"), []),
        ("a.docx", b"\xd0\xcf\x11\xe0old", ["document-mismatch"]),
        ("a.doc", b"\xd0\xcf\x11\xe0old", []),
        ("a.pptx", b"%PDF-1.7", ["document-mismatch"]),
        ("a.rtf", b"{\\rtf1 x}", []),
        ("a.md", "# Gr\u00fc\u00dfe\n".encode(), []),
        ("a.txt", "wide".encode("utf-16"), []),
        ("a.txt", b"bin\x00ary", ["document-mismatch"]),
        ("a.json", b'{"label": "a"}', []),
        ("a.json", b"\x1f\x8b\x08\x00", ["document-mismatch"]),
        ("a.html", b"<p>", []),
        ("a.exe", b"MZ", ["unusual-suffix"]),
        ("a.pdf", b"%PDF-1.7\n...", ["cut-document"]),
        ("a.docx", zipped("word/document.xml")[:-30], ["cut-document"]),
        ("a.rtf", b"{\\rtf1 x", ["cut-document"]),
        ("a.json", b'{"label": ["a", ', ["cut-document"]),
        ("a.xml", b"<a><b", ["cut-document"]),
        ("a.md", b"<!DOCTYPE html>\n<html><title>404 Not Found</title>", ["document-mismatch"]),
        ("a.csv", b"\n<html lang=en>", ["document-mismatch"]),
        ("a.html", b"<html><head><title>503 Service Unavailable</title>", ["document-mismatch"]),
        ("a.html", b"<html><head><title>Four hundred years of printing</title>", []),
        ("a.md", b"# How to write <html> by hand\n", []),
    ],
)
def test_documents_are_recognised(tmp_path: Path, name: str, data: bytes, expected: list[str]) -> None:
    """A document that is not what its name says is a warning: the service may know better."""
    report = look(write(tmp_path, name, data), ALIGNMENT)
    assert [one.rule for one in report.findings] == expected
    assert report.is_valid


def test_a_disk_that_fails_makes_no_bad_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the file system says of a read says nothing about the content."""
    parquet = pytest.importorskip("pyarrow.parquet")

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = write(tmp_path, "a.parquet", b"PAR1" + b"x" * 100 + (50).to_bytes(4, "little") + b"PAR1")
    assert rules(path, CHAT) == ["bad-parquet"]
    monkeypatch.setattr(parquet, "ParquetFile", fails)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        look(path, CHAT)


def test_parquet_footer(tmp_path: Path) -> None:
    """Columns and rows come from the footer; a missing column is a warning, no rows an error."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def written(name: str, table: Any) -> Path:
        parquet.write_table(table, tmp_path / name)
        return tmp_path / name

    talk = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]]
    assert rules(written("a.parquet", pa.table({"messages": talk, "id": [1]})), CHAT) == []
    report = look(written("b.parquet", pa.table({"input_ids": [1]})), CHAT)
    assert [one.rule for one in report.findings] == ["parquet-columns"]
    assert "input_ids" in report.findings[0].found
    assert report.is_valid
    assert rules(written("c.parquet", pa.table({"messages": pa.array([], pa.string())})), CHAT) == [
        "empty-file"
    ]
    whole = (tmp_path / "a.parquet").read_bytes()
    assert rules(write(tmp_path, "d.parquet", whole[:-20]), CHAT) == ["bad-parquet"]
    assert rules(write(tmp_path, "e.parquet", whole[:4] + whole[-40:]), CHAT) == ["bad-parquet"]
    broken = whole[:-60] + b"\x00" * 40 + whole[-20:]
    assert rules(write(tmp_path, "f.parquet", broken), CHAT) == ["bad-parquet"]
    assert rules(write(tmp_path, "g.parquet", b'{"messages": []}'), CHAT) == ["bad-parquet"]
    assert rules(write(tmp_path, "h.parquet", zipped("a")), CHAT) == ["bad-parquet"]


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the magic bytes are looked at, and a note says so."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    data = b"PAR1" + b"\0" * 50 + (20).to_bytes(4, "little") + b"PAR1"
    assert rules(write(tmp_path, "a.parquet", data), CHAT) == ["parquet-unread"]
    assert rules(write(tmp_path, "a.parquet", data[:-1]), CHAT) == ["bad-parquet"]


class _Bomb:
    """What runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_is_not_executed(tmp_path: Path, protocol: int) -> None:
    """A PyTorch file is recognised and not loaded, bare pickle or archive."""
    trap = tmp_path / "trap"
    bomb = pickle.dumps(_Bomb(trap), protocol=protocol)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", bomb)
    for data in (bomb, buffer.getvalue()):
        for purpose in KNOWN:
            report = look(write(tmp_path, "model.pt", data), purpose)
            assert "torch-unread" in [one.rule for one in report.findings]
            assert report.is_valid
    assert not trap.exists()
    pickle.loads(bomb)
    assert trap.exists(), "the trap works"
    assert "bad-torch" in rules(write(tmp_path, "model.pt", b"hello"), CHAT)


def test_an_archive_that_torch_did_not_write(tmp_path: Path) -> None:
    """Its directory has no data.pkl, or is missing: whatever begins like a ZIP archive is no PyTorch file yet."""
    whole = zipped("model/data.pkl", "model/data/0", "model/data/1", "model/version")
    report = look(write(tmp_path, "a.pt", whole), CHAT)
    assert "torch-unread" in report.counts
    assert "2 tensors" in next(one.found for one in report.findings if one.rule == "torch-unread")
    for bad in (
        zipped("word/document.xml"),
        zipped("a/b/data.pkl"),
        whole[:-30],
        b"PK\x03\x04",
        b"PK\x03\x04" * 50,
    ):
        for content in (bad, b""):
            path = write(tmp_path, "a.pt", bad + content)
            assert "bad-torch" in rules(path, CHAT)
            assert not look(path, CHAT).is_valid


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["a.jsonl", "a.pt", "a.parquet", "a.pdf", "a.json", "a", "a.docx"]),
    st.sampled_from(KNOWN),
    st.sampled_from([b"", b"PAR1", b"PK\x03\x04", b"%PDF", b"\x80\x04", b"{"]),
    st.binary(max_size=64),
)
def test_any_bytes_get_a_report_whatever_the_name(
    tmp_path: Path, name: str, purpose: Purpose, head: bytes, rest: bytes
) -> None:
    """No content makes a check raise, whatever the name promises: the file is valid, or a finding says why not."""
    report = look(write(tmp_path, name, head + rest + head), purpose)
    assert report.is_valid or report.findings


_PIECES = st.sampled_from(
    [
        b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}',
        b'{"text": "a"}', b"\n", b"\r\n", b"{", b"[", b"%PDF-1.4", b"PK\x03\x04", b"\x00", b"\xff", b"{\\rtf", b"x" * 600,
    ]
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(_PIECES, max_size=12),
    suffix=st.sampled_from([".jsonl", ".txt", ".pdf", ".json", ".pt", ".docx", ""]),
    purpose=st.sampled_from(KNOWN),
)
def test_a_content_in_memory_is_judged_as_the_file_is(
    tmp_path: Path, pieces: list[bytes], suffix: str, purpose: Purpose
) -> None:
    """A small file that was read to be sent has the same findings as one that is opened to be looked into."""
    path = write(tmp_path, f"a{suffix}", b"".join(pieces))
    task = CheckTask(path=path.name, purpose=purpose, known=KNOWN)
    assert check_content(path.read_bytes(), task) == look(path, purpose)
