"""Recognises a file's type by its first bytes."""

from __future__ import annotations

from bulk_upload.core.purposes import suffix_of
from bulk_upload.core.shapes.command import PLAIN
from bulk_upload.core.text.text_bytes import BOM, wide_json
from bulk_upload.core.validation.rules import Complaint

HEAD_BYTES = 512
"""How many bytes are enough to recognise a file type."""


PARQUET_MAGIC = b"PAR1"
ZIP_MAGIC = b"PK\x03\x04"

_OFFICE = b"[Content_Types].xml"
"""The first member of an archive that is an Office file."""
_COMPRESSED = (
    (b"\x1f\x8b", "gzip", None),
    (ZIP_MAGIC, "a ZIP archive", "unzip it"),
    (b"\x28\xb5\x2f\xfd", "Zstandard", None),
    (b"BZh", "bzip2", None),
    (b"\xfd7zXZ\x00", "xz", None),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
    (b"\x04\x22\x4d\x18", "LZ4", "lz4 -d it"),
)
PACKED = tuple(name for _, name, _ in _COMPRESSED)
"""What compressed files and archives are called."""
_BINARY = (
    (PARQUET_MAGIC, "a Parquet file", "Give it the suffix .parquet if the purpose takes such files, or export its rows as JSON Lines"),
    (b"%PDF", "a PDF", "Give it the suffix .pdf, or extract its text"),
    (b"\xd0\xcf\x11\xe0", "an old Microsoft Office file", "Export the data as JSON Lines"),
    (b"SQLite format 3", "an SQLite database", "Export the data as JSON Lines"),
    (b"ARROW1", "an Arrow file", "Convert it to JSON Lines"),
    (b"\xff\xff\xff\xff", "an Arrow stream, as `datasets` keeps its data", "Export the data as JSON Lines"),
    (b"FEA1", "a Feather file", "Export the data as JSON Lines"),
    (b"ORC", "an ORC file", "Export the data as JSON Lines"),
    (b"Obj\x01", "an Avro file", "Export the data as JSON Lines"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "Export the data as JSON Lines"),
    (b"GGUF", "the weights of a model (GGUF)", "Name the file with the data"),
    (b"\x93NUMPY", "a NumPy array", "Convert it to JSON Lines"),
    (b"\x80\x02", "a Python pickle", "Write the data as JSON Lines"),
    (b"\x80\x04", "a Python pickle", "Write the data as JSON Lines"),
    (b"\x80\x05", "a Python pickle", "Write the data as JSON Lines"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file", "Fetch the file: git lfs pull"),
)  # fmt: skip
_MAGIC = tuple(magic for magic, *_ in (*_COMPRESSED, *_BINARY))
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_TAR, _TAR_AT = b"ustar", 257
_SAFETENSORS_HEADER_BYTES_MAX = 100_000_000
"""Of huggingface/safetensors: a header that claims to be longer is refused."""
_OLE = b"\xd0\xcf\x11\xe0"
_DOCUMENT_MAGIC = {
    ".pdf": (b"%PDF",),
    ".docx": (ZIP_MAGIC,),
    ".pptx": (ZIP_MAGIC,),
    # Word also writes RTF and ZIP files under the old names.
    ".doc": (_OLE, b"{\\rtf", ZIP_MAGIC),
    ".ppt": (_OLE, ZIP_MAGIC),
    ".rtf": (b"{\\rtf",),
}
# A PDF may have a few bytes before its mark, and readers look for it in the first kilobyte.
_PDF_MARK_WITHIN = 512


def not_json_lines(head: bytes) -> Complaint | None:
    """Return why a file that should be JSON Lines is not, by its first bytes; None where they show nothing."""
    other = other_format(head)
    if other is not None:
        return other
    if head.startswith(_WIDE_MARKS) or _looks_wide(head):
        return Complaint("utf-16", "the text is UTF-16 or UTF-32, not UTF-8")
    return None


def other_format(head: bytes) -> Complaint | None:
    """Return what a file is that is no text, by its first bytes; None for text."""
    if head.startswith(_MAGIC):
        return _other_format(head)
    if head.startswith(_TAR, _TAR_AT):
        return Complaint(
            "compressed",
            "the file is a tar archive, not JSON Lines",
            remedy="Unpack it, and name the files in it",
        )
    if _are_weights(head):
        return Complaint(
            "not-json-lines",
            "the file is the weights of a model (safetensors), not JSON Lines",
            remedy="Name the file with the data",
        )
    return None


def _are_weights(head: bytes) -> bool:
    """Whether a file begins as safetensors do: the length of a header in eight bytes, and the header, an object."""
    return head[8:10] == b'{"' and int.from_bytes(head[:8], "little") <= _SAFETENSORS_HEADER_BYTES_MAX


def _other_format(head: bytes) -> Complaint | None:
    if head.startswith(ZIP_MAGIC) and _OFFICE in head:
        return Complaint(
            "not-json-lines",
            "the file is an Office file (.xlsx, .docx), not JSON Lines",
            remedy="Export the data as JSON Lines or CSV",
        )
    for magic, name, remedy in _COMPRESSED:
        if head.startswith(magic):
            found = f"the file is {name}, not JSON Lines"
            if remedy is None:
                return Complaint("compressed", found, remedy="Write an unpacked copy", convert=PLAIN)
            return Complaint("compressed", found, remedy=f"Decompress it: {remedy}")
    for magic, name, remedy in _BINARY:
        if head.startswith(magic):
            return Complaint("not-json-lines", f"the file is {name}, not JSON Lines", remedy=remedy)
    return None


def is_marked_document(suffix: str) -> bool:
    """Whether documents with this suffix have a type that shows in their first bytes."""
    return suffix in _DOCUMENT_MAGIC


def document_complaint(path: str, head: bytes) -> Complaint | None:
    """Return a complaint about a document whose first bytes are not those of its suffix."""
    suffix = suffix_of(path)
    magic = _DOCUMENT_MAGIC.get(suffix)
    if magic is None:
        return _text_complaint(suffix, head)
    if suffix == ".pdf" and b"%PDF" in head[:_PDF_MARK_WITHIN]:
        return None
    if head.startswith(magic):
        return None
    return Complaint("document-mismatch", f"the name says {suffix}, but {_what(head)}")


def torch_complaint(head: bytes) -> Complaint:
    """Return the finding about a PyTorch file: nothing in it is ever loaded."""
    if head.startswith(ZIP_MAGIC):
        return Complaint("torch-unread", "a ZIP container, as torch.save writes it; it was not loaded")
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return Complaint(
            "torch-unread", "a pickle, as old versions of torch.save wrote it; it was not loaded"
        )
    return Complaint("bad-torch", f"the name says PyTorch, but {_what(head)}")


def _text_complaint(suffix: str, head: bytes) -> Complaint | None:
    if b"\0" in head and not head.startswith(_WIDE_MARKS):
        return Complaint("document-mismatch", f"the name says {suffix or 'text'}, but {_what(head)}")
    if suffix == ".json" and head.lstrip()[:1] not in (b"{", b"[") and not head.startswith(BOM):
        return Complaint("document-mismatch", "the name says .json, but it begins neither with { nor with [")
    return None


def _what(head: bytes) -> str:
    for magic, name, _ in (*_COMPRESSED, *_BINARY):
        if head.startswith(magic):
            return f"the file is {name}"
    if head.lstrip()[:1] == b"<":
        return "the file is HTML or XML, such as a page that says why a download failed"
    if b"\0" in head:
        return "the file is binary data of another kind"
    return "it begins like plain text"


def _looks_wide(head: bytes) -> bool:
    """Whether every other byte of the beginning is zero, as in UTF-16 of plain English, or of JSON in any language."""
    sample = head[:64]
    if len(sample) < 8 or not any(sample):
        return False
    return not any(sample[1::2]) or not any(sample[::2]) or wide_json(head) is not None
