"""Options whose environment variable is the one that the chosen profile names: flow's are for flow alone."""

from __future__ import annotations

import os
from typing import Any

import click

from bulk_upload.cli.config.file import current_configuration


class ProfileVariableOption(click.Option):
    """An option that is read from a variable of the profile, where the command line does not give it.

    Args:
        variable: the field of a profile that names the variable.
    """

    def __init__(self, *args: Any, variable: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._variable = variable

    def variable(self, ctx: click.Context) -> str | None:
        """Return the variable's name. `--profile` is eager, so that it is known here."""
        profile = current_configuration().profiles.get(str(ctx.params.get("profile")))
        name = None if profile is None else getattr(profile, self._variable)
        return name if isinstance(name, str) else None

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value of the profile's variable, else of BULK_UPLOAD_OPTION, as of any other option."""
        variable = self.variable(ctx)
        return (variable and os.environ.get(variable)) or super().resolve_envvar_value(ctx)
