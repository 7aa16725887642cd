"""Conversion as one call, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.purposes import PURPOSES, purpose_remedy, unknown_purpose, unknown_to_us
from bulk_upload.edge.convert.conversion import Conversion, ConvertRequest, convert_file, default_output
from bulk_upload.edge.convert.source import STANDARD_INPUT
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bulk_upload.core.purposes import Purpose


def convert(
    path: str,
    purpose: str | None = None,
    *,
    output: str | None = None,
    fix: bool = False,
    lossy: bool = False,
    drop: Iterable[str] = (),
    purposes: Mapping[str, Purpose] = PURPOSES,
    private: bool = False,
) -> Conversion:
    """Write a data file in the shape that a purpose wants, to a new file beside it; blocks until that is durable.

    Args:
        path: the file; `-` is standard input.
        purpose: whose shape the records get; None leaves it as it is.
        output: where the lines go; None is `NAME.converted.jsonl` beside the file.
        fix: also mend lines that a writer spoiled.
        lossy: also convert records of which the purpose has no place for something.
        drop: the places of values that may be left out, such as `messages[].content[].image_url`.
        purposes: the purposes that are known, as `core.validation.schema_file.read_schemas` returns them.
        private: files that are written are readable by their owner only.

    Raises:
        UsageError: the purpose is unknown, the file cannot be read, or the new one cannot be written. Nothing is left
            behind then.
    """
    if purpose is not None and purpose not in purposes:
        raise UsageError(unknown_purpose(purpose), hint=purpose_remedy(purpose, tuple(purposes)))
    if output is None and path == STANDARD_INPUT:
        raise UsageError("standard input has no name to write beside", hint="name the new file")
    request = ConvertRequest(
        path=path,
        purpose=unknown_to_us("") if purpose is None else purposes[purpose],
        output=default_output(path) if output is None else output,
        fix=fix,
        lossy=lossy,
        drop=tuple(drop),
        known=tuple(purposes.values()),
        private=private,
    )
    return convert_file(request)
