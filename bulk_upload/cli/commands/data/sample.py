"""`bulk-upload sample`: look at examples of the data."""

from __future__ import annotations

import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.output.json_output import json_option

SIZE_MAX = 10_000
"""Examples are kept in memory until all were seen."""


@click.command("sample")
@click.argument("path", metavar="FILE|MANIFEST", shell_complete=file_names)
@click.option(
    "-n",
    "size",
    type=click.IntRange(1, SIZE_MAX),
    default=3,
    show_default=True,
    metavar="N",
    help="How many examples.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="S",
    help="Show the examples of this seed again (default: any others).",
)
@click.option(
    "--chars",
    "characters_max",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    metavar="N",
    help="Characters of a text that are shown; 0 shows all.",
)
@json_option("the examples themselves, one a line")
@click.option("--quiet", is_flag=True, help="Print no progress, and not what the examples were taken from.")
def sample(
    path: str, *, size: int, seed: int | None, characters_max: int, as_json: bool, quiet: bool
) -> None:
    """Show examples of a data FILE, or of all files of a MANIFEST, taken by chance; `-` is standard input.

    Every example has the same chance. Reads JSON Lines, arrays and CSV, gzip and zstd too, and Parquet. Turns are shown with
    their roles, answers after their prompts, tool calls with their arguments. Nothing is sent, and no file is modified.

    \b
    Examples:
      bulk-upload sample chat.jsonl
      bulk-upload sample manifest.jsonl -n 10 --seed 7
      bulk-upload sample big.jsonl.gz -n 100 --json > some.jsonl
    """
    from bulk_upload.cli.sample_files import SampleRequest, sample_and_show  # noqa: PLC0415 - help must not wait

    sample_and_show(
        SampleRequest(
            path=path, size=size, seed=seed, characters_max=characters_max, as_json=as_json, quiet=quiet
        )
    )
