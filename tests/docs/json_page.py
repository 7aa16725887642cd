"""docs/reference/json.md is made of the types of `--json`: `python tests/docs/json_page.py` writes it anew."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bulk_upload.core.report.json_shapes import SHAPES, SINGLE

FILE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
COMMAND = "python tests/docs/json_page.py"
_HEAD = """# JSON output

Every command that prints data prints it as JSON with `--json`, on standard output and in ASCII; messages for people stay on
standard error. Where a command prints several objects, each is on a line of its own. A byte of a file name that is not
UTF-8 is the escape `\\udcXX`, as in manifests and exports. `--format json`, where a command has it, is the same.

Keys may be added within a version; those that are here keep their meaning.

| command | prints |
|---|---|
"""
_OTHERS = """| `run` | a [row](exports.md) per entry, as it is settled (`--results -`) |
| `ledger show`, `ledger export` | a [row](exports.md) per entry |
| `sample` | the examples themselves, one a line |
| `control` | one object, [the state of the run](../how-to/control.md) |
"""


def meanings(shape: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """Yield each key of an object and what it means."""
    for name, hint in typing.get_type_hints(shape, include_extras=True).items():
        (meta,) = hint.__metadata__
        yield name, str(meta.description)


def text() -> str:
    """Return the page as it should be."""
    lines = [_HEAD]
    for command, shape in SHAPES.items():
        amount = "one object" if command in SINGLE else "an object per line"
        anchor = shape.__name__.lower()
        lines.append(f"| `{command.replace('|', '`, `')}` | {amount}, [{shape.__name__}](#{anchor}) |\n")
    lines.append(_OTHERS)
    for shape in dict.fromkeys(SHAPES.values()):
        lines.append(
            f"\n## {shape.__name__}\n\n{inspect.cleandoc(shape.__doc__ or '')}\n\n| key | meaning |\n|---|---|\n"
        )
        lines += [f"| `{name}` | {words.replace('|', chr(92) + '|')} |\n" for name, words in meanings(shape)]
    return "".join(lines)


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
