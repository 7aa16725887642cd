"""Recognises documents that were cut off, and error pages in place of documents."""

from __future__ import annotations

import re

from bulk_upload.core.purposes import suffix_of
from bulk_upload.core.validation.rules import Complaint

TAIL_BYTES = 66 * 1024
"""The end of a document that shows whether it is whole: a ZIP directory's end may have a comment of 64 KiB."""

_PDF_END_WITHIN = 2048
_ZIP_DIRECTORY_END = b"PK\x05\x06"
_ZIP_START = b"PK\x03\x04"
_MARKUP = (".html", ".htm", ".xml")
_TEXTS = (".md", ".txt", ".rst", ".csv", ".json")
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(rb"<(?:title|h1)[^>]*>\s*([^<]{0,80})", re.IGNORECASE)
_REFUSAL = re.compile(
    rb"(?:error\s+)?[45]\d\d\b|(?:page |file )?not found|(?:access )?(?:denied|forbidden)|unauthorized|bad gateway"
    rb"|service unavailable|internal server error|gateway time-?out|too many requests|just a moment|sign in",
    re.IGNORECASE,
)


def content_complaint(path: str, head: bytes, tail: bytes) -> Complaint | None:
    """Return a complaint about a document by its first and its last bytes.

    Args:
        path: its name, which says what it should be.
        head: its first bytes.
        tail: its last `TAIL_BYTES`, or all of it.
    """
    suffix = suffix_of(path)
    if suffix in _TEXTS and _HTML.match(head):
        return Complaint(
            "document-mismatch",
            f"the name says {suffix}, but the file is an HTML page{_titled(head)}",
            remedy="It may be a page that says why a download failed: fetch the file again",
        )
    if suffix in _MARKUP and (title := _TITLE.search(head)) is not None and _REFUSAL.match(title[1].strip()):
        return Complaint(
            "document-mismatch",
            f"the file looks like a server's error page{_titled(head)}",
            remedy="Open it to see whether its download failed, and fetch it again",
        )
    missing = _missing_end(suffix, head, tail)
    return None if missing is None else Complaint("cut-document", f"the file was cut off: {missing}")


def _titled(head: bytes) -> str:
    title = _TITLE.search(head)
    text = "" if title is None else " ".join(title[1].decode("utf-8", "replace").split())
    return f' with the title "{text}"' if text else ""


def _missing_end(suffix: str, head: bytes, tail: bytes) -> str | None:
    ends = tail.rstrip(b" \t\r\n\0")
    if head.startswith(b"%PDF"):
        return None if b"%%EOF" in tail[-_PDF_END_WITHIN:] else "a PDF ends with %%EOF"
    if head.startswith(_ZIP_START):
        return None if _ZIP_DIRECTORY_END in tail else "the directory at the end of the archive is missing"
    if head.startswith(b"{\\rtf"):
        return None if ends.endswith(b"}") else "an RTF file ends with }"
    if suffix == ".json" and ends and not ends.endswith((b"}", b"]")):
        return "a JSON file ends with } or ]"
    if suffix == ".xml" and ends and not ends.endswith(b">"):
        return "an XML file ends with >"
    return None
