"""`--schema FILE`: purposes described by the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bulk_upload.cli.options.units import WORD
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.purposes import Purpose

_FILE_BYTES_MAX = 1024 * 1024

schema_option = click.option(
    "--schema",
    type=WORD,
    metavar="FILE",
    help="TOML or JSON file that adds purposes or overrides built-in ones (docs/how-to/validation.md).",
)


def schemas_of(name: str | None) -> Mapping[str, Purpose]:
    """Return the rules of all purposes. Raises UsageError for a file that cannot be used."""
    if name is None:
        return PURPOSES
    from bulk_upload.core.validation.schema_file import read_schemas  # noqa: PLC0415 - help must not wait for msgspec

    try:
        with open(name, "rb") as file:
            text = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the schema file {printable(name)}: {error.strerror}", hint="check --schema"
        ) from None
    if len(text) > _FILE_BYTES_MAX:
        raise UsageError(f"{printable(name)} is too large for a schema file", hint="check --schema")
    return read_schemas(text, name=name)
