"""`--private`, on every command that writes files."""

from __future__ import annotations

import click

private_option = click.option(
    "--private", is_flag=True, help="Make all written files readable by their owner only (mode 0600)."
)
