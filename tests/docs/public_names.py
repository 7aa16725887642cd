"""Writes docs/reference/public-names.md from the names that the package exports and their docstrings.

PYTHONPATH=. python tests/docs/public_names.py
"""

from __future__ import annotations

import inspect
from pathlib import Path

import msgspec

import bulk_upload
from bulk_upload import BulkUploadError, Event, Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "public-names.md"
_HEAD = """# Public names

What `import bulk_upload` offers; the [library page](library.md) says how to use it. Every name is listed here, a test
compares the list with `bulk_upload.__all__`, and another one holds the types of what is called most. Modules of the
package are not public, except those named on the library page. [Stability](stability.md) says what later versions keep.

A name that is going to be removed works for at least one minor version more, with a `DeprecationWarning` that names its
replacement.
"""
_UNIONS = {
    "Event": (Event, "any of the events of a run"),
    "Outcome": (Outcome, "what one request ended with: any of the outcomes"),
}


def page() -> str:
    """Return the page."""
    names = [name for name in bulk_upload.__all__ if name != "__version__"]
    parts = [_HEAD]
    for title, kinds in _SECTIONS.items():
        rows = [f"| `{name}` | {said_of(name)} |" for name in names if section_of(name) == title]
        parts.append(f"## {title}\n\n{kinds}\n\n| name | |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


_SECTIONS = {
    "Functions": "Call them.",
    "Classes": "Make them, or get them from what you call.",
    "Values": "Immutable (`msgspec.Struct`, an enumeration or a named tuple); arguments are keywords unless the docstring "
    "shows otherwise. Fields may be added.",
    "Events": "What `on_event` is called with; the members of `Event`.",
    "Exceptions": "All have `hint` and `exit_status`.",
}


def section_of(name: str) -> str:
    """Return the title of the section that a name is in."""
    value = getattr(bulk_upload, name)
    if name in _UNIONS or not isinstance(value, type):
        return "Functions" if inspect.isfunction(value) else "Values"
    if issubclass(value, BulkUploadError):
        return "Exceptions"
    if value in Event.__args__:
        return "Events"
    is_value = issubclass(value, (msgspec.Struct, str, int, tuple))
    return "Values" if is_value else "Classes"


def said_of(name: str) -> str:
    """Return the first sentence of what a name says of itself."""
    if name in _UNIONS:
        return _UNIONS[name][1]
    value = getattr(bulk_upload, name)
    if not isinstance(value, type) and not inspect.isfunction(value):
        return f"a `{type(value).__name__}`: that of the Seekr Flow Files API"
    first = (inspect.getdoc(value) or "").partition("\n\n")[0]
    return " ".join(first.split()).rstrip(".:")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
