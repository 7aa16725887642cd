"""bulk-upload.toml: settings that a person would otherwise type each time, custom profiles, and named jobs."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bulk_upload.cli.config.sources import own_options, source_options, usual_options
from bulk_upload.core.api.profile import FLOW, Profile
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.toml_lines import line_of
from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.edge.profiles import BUILT_IN
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.objects.options import SourceOptions

Settings = dict[str, click.Option]
"""Options by their names in the file."""

FILE_NAME = "bulk-upload.toml"
_META_KEY = "bulk_upload.configuration"
_NO_PATHS = frozenset({"-", "none", "beside"})
"""Values of file options that do not name a file."""


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a settings file; `path` is None where none is read.

    `defaults` and each of `jobs` hold values by option, unchanged from the file; paths start from its folder. `sources`
    are its tables of stores, by bucket or host.
    """

    path: str | None = None
    text: str = ""
    defaults: Mapping[str, Any] = msgspec.field(default_factory=dict)
    jobs: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    profiles: Mapping[str, Profile] = msgspec.field(default_factory=lambda: BUILT_IN)

    def defaults_of(self, settings: Settings, job: str | None = None) -> dict[str, Any]:
        """Return click's default map for a command that has `settings`: values by parameter."""
        chosen = {**self.defaults, **({} if job is None else self.jobs[job])}
        found = {
            str(settings[key].name): self._value(settings[key], value)
            for key, value in chosen.items()
            if key in settings
        }
        if "manifest" in chosen:
            found["manifest"] = self._beneath(chosen["manifest"])
        return found

    def __repr__(self) -> str:
        return f"Configuration({self.path!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Leave out the values: a proxy's address may have a password."""
        return [("path", self.path)]

    def line_of(self, key: str, job: str | None = None) -> int:
        """Return the line of the effective value of `key`."""
        if job is not None and key in self.jobs[job]:
            return line_of(self.text, ("jobs", job, key))
        return line_of(self.text, ("defaults", key))

    def profile_of(self, key: str, job: str | None = None) -> str:
        """Return the profile of the table with the effective value of `key`: a key goes to no other profile."""
        table = self.jobs[job] if job is not None and key in self.jobs[job] else self.defaults
        return str(table.get("profile", self.defaults.get("profile", FLOW.name)))

    def source_options(self) -> tuple[SourceOptions, ...]:
        """Return how stores are reached. Raises UsageError for a variable that is not set."""
        found = [source_options(home, table, os.environ) for home, table in self.sources.items()]
        homes = {one.home.lower() for one in found}
        return (*found, *(one for one in usual_options(os.environ) if one.home not in homes))

    def own_source_options(self) -> tuple[SourceOptions, ...]:
        """Return how an agent reaches stores otherwise than its run does; a table whose variables are not set is the run's
        alone."""
        found = []
        for home, table in self.sources.items():
            with suppress(UsageError):
                found.append(source_options(home, table, os.environ))
        return (*found, *own_options(os.environ))

    def _value(self, option: click.Option, value: Any) -> Any:  # noqa: ANN401
        return self._beneath(value) if names_file(option) else typed_for(option, value)

    def _beneath(self, value: Any) -> Any:  # noqa: ANN401
        """Return a path resolved from the folder of the file: cron runs in any folder."""
        if not isinstance(value, str) or value in _NO_PATHS or not self.path:
            return value
        folder = os.path.dirname(self.path)
        return os.path.join(folder, value) if folder else value


def as_typed(value: Any) -> Any:  # noqa: ANN401
    """Return a value of the file as text of the command line: a number becomes its digits."""
    if isinstance(value, list):
        return [as_typed(one) for one in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def typed_for(option: click.Option, value: Any) -> Any:  # noqa: ANN401
    """Return a value of the file as the command line would give it: one value of a repeatable option needs no list."""
    typed = as_typed(value)
    return [typed] if option.multiple and not isinstance(typed, list) else typed


def names_file(option: click.Option) -> bool:
    """Whether the value of an option is a file or a folder, as its metavar shows; what may be a time is none."""
    words = frozenset((option.metavar or "").split("|"))
    return not words.isdisjoint(("FILE", "DIR")) and "TIME" not in words


def remember(ctx: click.Context, configuration: Configuration) -> None:
    """Store the configuration for the command that is about to run."""
    ctx.meta[_META_KEY] = configuration


def current_configuration() -> Configuration:
    """Return the configuration of the current command."""
    ctx = click.get_current_context(silent=True)
    found = None if ctx is None else ctx.meta.get(_META_KEY)
    return found if isinstance(found, Configuration) else Configuration()


def profile_named(name: str) -> Profile:
    """Return a profile, built in or from the file. Raises UsageError."""
    profiles = current_configuration().profiles
    if name not in profiles:
        raise UsageError(
            f"there is no profile {printable(name)!r}",
            hint=f"{did_you_mean(name, tuple(profiles))}Profiles: {', '.join(profiles)}; define "
            f"others in {FILE_NAME}",
        )
    return profiles[name]
