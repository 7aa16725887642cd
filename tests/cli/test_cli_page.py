"""docs/reference/cli.md is made of the help texts: `python tests/cli/test_cli_page.py` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from bulk_upload.cli.main import READER_LEFT, bulk_upload

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
COMMAND = "python tests/cli/test_cli_page.py"

_BEGINNING = f"""\
# The command line

<!-- Made by `{COMMAND}` from the help texts: change those, not this page. -->

Answers go to standard output, words for people to standard error; the exit code is the verdict
([all of them](exit-codes.md)). A command whose output nobody reads any more (`| head`) ends with {READER_LEFT}, like
other tools; a run goes on to its end instead.

Every error says what is wrong and where, and then, after `hint:`, what to do.

## Settings

Options win over environment variables, variables over [`bulk-upload.toml`](configuration.md), the file over
defaults. An empty variable counts as none.

| variable | is |
|---|---|
| `SEEKR_API_KEY` | the API key; `--api-key-file` wins. There is no option for the key itself: others can see a command line |
| `SEEKR_BASE_URL` | `--base-url` of `run`, `plan` and `doctor` |
| `SEEKR_TEAM_ID` | `--team` of `run`, `plan` and `doctor` |
| `BULK_UPLOAD_CONFIG` | `--config` of every command that has it |
| `BULK_UPLOAD_OPTION` | any option of `run`, `plan` and `doctor`: `BULK_UPLOAD_MAX_ATTEMPTS=3` is `--max-attempts 3`, `BULK_UPLOAD_QUIET=1` is `--quiet` |
| `BULK_UPLOAD_COMMAND_OPTION` | any option of another command: `BULK_UPLOAD_LEDGER_SHOW_LIMIT=20` |

A duration is a number with `ms`, `s`, `m`, `h` or `d`, several in a row (`1h30m`), or bare seconds.
"""


def page() -> str:
    """Return the page as it should be."""
    sections = [_BEGINNING]
    for path in [(), *_paths(bulk_upload)]:
        name = " ".join(("bulk-upload", *path))
        result = CliRunner().invoke(
            bulk_upload,
            [*path, "--help"],
            prog_name="bulk-upload",
            terminal_width=100,
            env={"COLUMNS": "100"},
        )
        assert result.exit_code == 0, result.output
        text = "\n".join(line.rstrip() for line in result.output.strip().splitlines())
        sections.append(f"## {name}\n\n```text\n{text}\n```\n")
    return "\n".join(sections)


def _paths(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*above, name)
        if isinstance(command, click.Group):
            arguments = (
                one.make_metavar(context) for one in command.params if isinstance(one, click.Argument)
            )
            yield from _paths(command, *above, name, *arguments)


def test_the_page_is_up_to_date() -> None:
    """The page shows the help texts as they are now."""
    assert PAGE.read_text("utf-8") == page(), f"run: {COMMAND}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
