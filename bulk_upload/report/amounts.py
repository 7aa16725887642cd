"""Amounts as text, for the report."""

from __future__ import annotations

from bulk_upload.core.text.printable import human_bytes, human_seconds


def brief_seconds(seconds: float) -> str:
    """Return a duration as `213 ms`, `5.2 s`, `3 min 05 s`."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else human_seconds(seconds)


def byte_rate(bytes_per_s: float) -> str:
    """Return a rate as `77.1 MB/s`."""
    return f"{human_bytes(bytes_per_s)}/s"


def file_rate(rate: float) -> str:
    """Return a rate as `49 files/s`."""
    return f"{rounded(rate)} files/s"


def rounded(number: float) -> str:
    """Return a number rounded to the digits worth showing."""
    if number >= 20:
        return f"{number:,.0f}"
    return f"{number:.1f}".removesuffix(".0") if number >= 0.1 else f"{number:.2g}"
