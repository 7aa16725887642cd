"""Records as text to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import is_text
from bulk_upload.core.shapes.names import TEXT_KEYS, shape_name
from bulk_upload.core.shapes.target import TEXT, CannotConvert

if TYPE_CHECKING:
    from bulk_upload.core.shapes.reading import Reading
    from bulk_upload.core.shapes.target import Mapped


def as_text(reading: Reading) -> Mapped | None:
    """Return a record as a text, None where it is not known as one. Raises CannotConvert."""
    record = reading.record
    if is_text(record.get(TEXT, b"")):
        return reading.made({TEXT: reading.take(TEXT)}, shape_name(reading.keys))
    if TEXT in record:
        return None
    names = [name for name in TEXT_KEYS if is_text(record.get(name, b"")) and reading.has(name)]
    if not names:
        return None
    if len(names) > 1:
        raise CannotConvert(f"has several texts: {', '.join(names)}")
    shape = shape_name(reading.keys)
    return reading.made({TEXT: reading.take(names[0])}, shape)
