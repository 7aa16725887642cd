"""`bulk-upload completion`: the script that lets a shell complete commands, options, files and jobs."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from bulk_upload.cli.options.completion import COMPLETE_VARIABLE
from bulk_upload.cli.output.streams import put

_SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a completion script for SHELL.

    \b
    bash, in ~/.bashrc (bash 4.4 or newer):
      eval "$(bulk-upload completion bash)"
    zsh, in ~/.zshrc, after compinit:
      eval "$(bulk-upload completion zsh)"
    fish, once:
      bulk-upload completion fish > ~/.config/fish/completions/bulk-upload.fish
    """
    made = _SHELLS[shell](ctx.find_root().command, {}, "bulk-upload", COMPLETE_VARIABLE)
    # Not `source()`: that starts bash to get its version, and prints errors to standard output.
    put(f"{(made.source_template % made.source_vars()).strip()}\n")
