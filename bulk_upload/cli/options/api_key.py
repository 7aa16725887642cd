"""Where the API key of a profile comes from, and what cannot be one."""

from __future__ import annotations

import os
import re
import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.core import ParameterSource

from bulk_upload.cli.config.file import FILE_NAME, current_configuration
from bulk_upload.cli.options.key_file import bytes_in
from bulk_upload.cli.output.streams import hide
from bulk_upload.core.api.profile import FLOW, Profile, variable_for_key
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.text_bytes import text_in
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# `NAME=VALUE`, with or without `export`; the `=` at the end of base64 has no value after it.
_ASSIGNMENT = re.compile(r"(export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=\s*[^\s=]", re.ASCII)


class KeySource(msgspec.Struct, frozen=True, kw_only=True):
    """Where a key comes from: a file, a command or a variable, or none of them."""

    file: str | None = None
    command: str | None = None
    variable: str | None = None


def key_source_of(options: Mapping[str, Any], profile: Profile) -> KeySource:
    """Return where the key of a profile comes from, whether there is one or not. Raises UsageError for two sources."""
    path, command = (
        None if _is_of_another_profile(name, profile) else options[name]
        for name in ("api_key_file", "api_key_command")
    )
    if path is not None and command is not None:
        raise UsageError(
            "two sources are given for the API key", hint="pass --api-key-file or --api-key-command, not both"
        )
    if path is not None or command is not None:
        return KeySource(file=path, command=command)
    return KeySource(variable=profile.key_variable)


def api_key_of(options: Mapping[str, Any], profile: Profile) -> str | Callable[[], str]:
    """Return the key of a profile, or how to read it; no other profile's key is ever read.

    From here on the process leaves no core dump, which would have the key in it. Raises UsageError when there is no
    key, or when the value cannot be one; the key itself is never shown.
    """
    _forbid_core_dumps()
    source = key_source_of(options, profile)
    path, command = source.file, source.command
    if path is not None:
        return lambda: _checked_key(bytes_in(path), f"in {printable(path)}")
    if command is not None:
        from bulk_upload.cli.options.key_command import printed_by  # noqa: PLC0415 - most keys come from elsewhere

        return lambda: _checked_key(printed_by(command), "printed by --api-key-command")
    key = os.environ.get(source.variable, "") if source.variable is not None else ""
    if not key.strip():
        raise _no_key(profile)
    return _checked_key(os.fsencode(key), f"in {source.variable}")


def _is_of_another_profile(name: str, profile: Profile) -> bool:
    """Whether an option comes from a table of bulk-upload.toml that is for another profile."""
    ctx = click.get_current_context()
    if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT_MAP:
        return False
    job = ctx.params.get("job")
    key = name.replace("_", "-")
    return current_configuration().profile_of(key, job if isinstance(job, str) else None) != profile.name


def _no_key(profile: Profile) -> UsageError:
    whose = "" if profile.name == FLOW.name else f" for the profile {profile.name}"
    if profile.key_variable is not None:
        return UsageError(
            f"no API key is set{whose}",
            hint=f"set {profile.key_variable}, or pass --api-key-file FILE; never put a key on the command line",
        )
    line = f'key-variable = "{variable_for_key(profile.name)}"'
    return UsageError(
        f"no API key is set{whose}, which names no variable for it ({FLOW.key_variable} is for {FLOW.name} alone)",
        hint=f"add the line {line} to [profiles.{profile.name}] in "
        f"{printable(current_configuration().path or FILE_NAME)}, or pass --api-key-file FILE",
    )


def _forbid_core_dumps() -> None:
    # The soft limit is enough, and children inherit it; it can still be raised for debugging.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _checked_key(data: bytes, where: str) -> str:
    try:
        key = text_in(data).strip()
    except ValueError as error:
        raise UsageError(f"the API key {where} cannot be read: it is {error}", hint=_ONE_LINE) from None
    hide(key)
    what_and_hint = _what_is_wrong(key)
    if what_and_hint is None:
        return key
    what, hint = what_and_hint
    raise UsageError(f"the API key {where} {what}", hint=hint)


_ONE_LINE = "write only the key there, on one line"


def _what_is_wrong(key: str) -> tuple[str, str] | None:
    if not key:
        return "is empty", _ONE_LINE
    if any(_ASSIGNMENT.match(line.strip()) for line in key.splitlines()):
        return (
            "is a line NAME=VALUE, as in a .env file",
            "leave only the part after the =, without quotes",
        )
    if key[0] in "{[":
        return "is JSON", "leave only the key itself, without quotes"
    if key.split(maxsplit=1)[0].rstrip(":").lower() == "bearer":
        return "starts with `Bearer`", "remove that word: write only the key"
    if key[0] in "'\"" or key[-1] in "'\"":
        return "is in quotes", "remove the quotes: write only the key"
    if len(key.splitlines()) > 1:
        return "has several lines", "leave only the line with the key"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "contains invalid characters", "copy it again: one line without spaces"
    return None
