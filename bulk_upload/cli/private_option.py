"""`--private`, on every command that writes files."""

from __future__ import annotations

import click

private_option = click.option(
    "--private", is_flag=True, help="Make every file that is written readable by its owner alone (mode 0600)."
)
