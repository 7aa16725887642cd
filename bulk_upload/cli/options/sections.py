"""The options of a job in groups: as help shows them, and which of them bulk-upload.toml may set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bulk_upload.cli.config.file import remember
from bulk_upload.cli.config.reading import configuration_for
from bulk_upload.cli.options.completion import file_names, job_names
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from bulk_upload.cli.config.file import Configuration, Settings

SERVER_SECTIONS = {
    "Authentication": ("api_key_file", "api_key_command", "allow_plain_http"),
    "Connection": ("proxy", "ca_file", "client_cert", "client_key", "insecure", "stall"),
}
"""Options of every command that talks to a server."""

JOB_SECTIONS = {
    "Input": (
        "purpose",
        "mappings",
        "include",
        "exclude",
        "newer_than",
        "root",
        "follow_symlinks",
        "allow_outside",
        "strict_paths",
        "files_removed",
        "name_template",
        "validate",
        "schema",
        "ignore",
        "error",
        "strict",
        "retry",
        "send_again",
        "force",
        "ignore_ctime",
        "moved_root",
    ),
    "Confirmation": ("dry_run", "yes"),
    "Destination": ("base_url", "profile", "team"),
    **SERVER_SECTIONS,
    "Agents": ("processes", "listen", "token_file", "agent_root", "agent_certificate", "agent_ttl", "dask"),
    "Rate limits": ("concurrency", "max_concurrency", "rate", "bandwidth", "min_rate", "bundle"),
    "Time limits": ("answer", "max_attempts", "patience", "deadline", "max_errors"),
    "Lost answers": ("in_doubt", "settle", "compare_max", "confirm"),
    "Output": (
        "ledger",
        "ledger_dir",
        "hash_",
        "results",
        "as_json",
        "metrics_file",
        "notify",
        "bell",
        "serve",
        "control",
        "private",
        "no_progress",
        "quiet",
        "verbose",
        "log_format",
        "log_file",
    ),
}
"""Options of `run`, and of `plan` as far as it has them."""


_NEVER_IN_FILE = frozenset({"as_json"})
"""What a program asks for in one call would change what all others print."""


class ServerCommand(click.Command):
    """A command whose help has its options in groups, and whose settings may come from bulk-upload.toml."""

    sections: Mapping[str, tuple[str, ...]] = SERVER_SECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._config = click.Option(
            ["--config"],
            envvar="BULK_UPLOAD_CONFIG",
            metavar="FILE|none",
            shell_complete=file_names,
            expose_value=False,
            help="Read settings from FILE (default: ./bulk-upload.toml, if it exists).",
        )
        self.params.append(self._config)

    def settings(self) -> Settings:
        """Return the options that the file may set, by their names in it."""
        names = {name for group in self.sections.values() for name in group} - _NEVER_IN_FILE
        return {
            file_key(param): param
            for param in self.params
            if isinstance(param, click.Option) and param.name in names
        }

    def _settings_of_run(self, ctx: click.Context) -> Settings:
        """Return the options that the file may set for any command: those of `run`, which has them all."""
        root = ctx.find_root()
        run = root.command.get_command(root, "run") if isinstance(root.command, click.Group) else None
        return run.settings() if isinstance(run, ServerCommand) else self.settings()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the file before the options: its values are their defaults."""
        if not ctx.resilient_parsing:
            given, _, _ = self.make_parser(ctx).parse_args(args=list(args))
            asks_help = self.get_help_option(ctx)
            # Help works even if the file is invalid.
            if asks_help is None or given.get(str(asks_help.name)) is not True:
                configuration = configuration_for(
                    self._early(ctx, given, self._config), lambda: self._settings_of_run(ctx)
                )
                remember(ctx, configuration)
                ctx.default_map = self._defaults(ctx, given, configuration)
        return super().parse_args(ctx, args)

    def _defaults(
        self, ctx: click.Context, given: Mapping[str, Any], configuration: Configuration
    ) -> dict[str, Any]:
        del ctx, given
        return configuration.defaults_of(self.settings())

    def _early(self, ctx: click.Context, given: Mapping[str, Any], option: click.Option) -> str | None:
        value = given.get(str(option.name))
        if not isinstance(value, str):
            value = option.value_from_envvar(ctx)
        return value if isinstance(value, str) else None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options group by group; those of this command alone come first."""
        records = {
            str(param.name): record
            for param in self.get_params(ctx)
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None
        }
        grouped = {name for group in self.sections.values() for name in group}
        groups = {"Options": tuple(name for name in records if name not in grouped), **self.sections}
        for title, names in groups.items():
            shown = [records[name] for name in names if name in records]
            if shown:
                with formatter.section(title):
                    formatter.write_dl(shown)


class JobCommand(ServerCommand):
    """A command that works on a manifest, or on a job that bulk-upload.toml names."""

    sections = JOB_SECTIONS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._job = click.Option(
            ["--job"],
            metavar="NAME",
            shell_complete=job_names,
            help="Read MANIFEST and settings from the table [jobs.NAME] of that file.",
        )
        self.params.append(self._job)

    def _defaults(
        self, ctx: click.Context, given: Mapping[str, Any], configuration: Configuration
    ) -> dict[str, Any]:
        job = self._early(ctx, given, self._job)
        if job is None:
            return super()._defaults(ctx, given, configuration)
        if _is_given(given.get("manifest")):
            raise UsageError(
                f"both MANIFEST and --job {printable(job)} are given",
                hint="give one of them; a job has its manifest in the file",
            )
        if job not in configuration.jobs:
            known = tuple(configuration.jobs)
            where = printable(configuration.path) if configuration.path else "no bulk-upload.toml was read"
            raise UsageError(
                f"there is no job {printable(job)} ({where})",
                hint=f"{did_you_mean(job, known)}Known jobs: {', '.join(known) or 'none'}",
            )
        return configuration.defaults_of(self.settings(), job)


def _is_given(value: object) -> bool:
    """Whether an argument was typed; click has a value of its own for one that was not."""
    return isinstance(value, str) or (isinstance(value, tuple | list) and any(map(_is_given, value)))


def file_key(option: click.Option) -> str:
    """Return how the file spells an option: as the command line does, without the dashes in front."""
    return max(option.opts, key=len).lstrip("-")
