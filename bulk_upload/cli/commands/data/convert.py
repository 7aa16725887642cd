"""`bulk-upload convert`: write data in the shape that a purpose wants."""

from __future__ import annotations

from typing import Any

import click

from bulk_upload.cli.options.private import private_option
from bulk_upload.cli.options.schema import schema_option, schemas_of
from bulk_upload.cli.options.units import WORD
from bulk_upload.core.purposes import PURPOSES


@click.command("convert")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--purpose",
    type=WORD,
    metavar="P",
    help=f"Purpose whose shape the records get: {', '.join(PURPOSES)}, or one of --schema.",
)
@click.option(
    "-o",
    "--output",
    type=WORD,
    metavar="FILE",
    help="Where to write; - is standard output (default: NAME.converted.jsonl beside the file).",
)
@click.option(
    "--fix",
    is_flag=True,
    help="Also mend lines: commas after objects, JSON inside strings, several objects on a line, inner marks.",
)
@click.option(
    "--drop",
    type=WORD,
    multiple=True,
    metavar="PLACE",
    help="Leave out what stands at a place the purpose does not have, such as `messages[].content[].image_url`.",
)
@click.option("--lossy", is_flag=True, help="Leave out whatever the purpose has no place for; it is counted.")
@schema_option
@private_option
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text for people on standard error, or one JSON line per file on standard output.",
)
@click.option(
    "--quiet", is_flag=True, help="Print no progress, and the summary only where records were left."
)
def convert(paths: tuple[str, ...], **options: Any) -> int:
    """Write data FILEs in the shape that a purpose wants, each to a new file beside it.

    Knows Alpaca, ShareGPT, prompt and completion, TRL, HH-RLHF, UltraFeedback, OpenAI, Cohere, Gemini, Bedrock, verl and
    more; JSON Lines, JSON arrays, CSV, gzip, zstd, UTF-16. The original is only read. Values are moved, not rewritten:
    numbers keep every digit, and keys that are not needed stay. A record that cannot be converted without a guess or a
    loss goes to NAME.converted.jsonl.left, with its reason beside it; then the exit code is 10. Without --purpose
    the shape stays as it is.

    \b
    Examples:
      bulk-upload convert alpaca.json --purpose fine-tune
      bulk-upload convert pairs.jsonl.gz --purpose preference-fine-tune -o pairs.jsonl
      bulk-upload convert broken.jsonl --fix
      zcat big.jsonl.gz | bulk-upload convert - --purpose pre-train -o big.jsonl
    """
    from bulk_upload.cli.convert_files import FilesRequest, convert_and_report  # noqa: PLC0415 - help must not wait

    request = FilesRequest(
        paths=paths,
        purpose=options["purpose"],
        purposes=schemas_of(options["schema"]),
        output=options["output"],
        fix=options["fix"],
        lossy=options["lossy"],
        drop=options["drop"],
        private=options["private"],
        as_json=options["output_format"] == "json",
        quiet=options["quiet"],
        schema_file=options["schema"],
    )
    return convert_and_report(request)
