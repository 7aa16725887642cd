"""`bulk-upload config show`: each setting of a command, and where its value comes from."""

from __future__ import annotations

import copy
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.core import ParameterSource
from msgspec.structs import asdict

from bulk_upload.cli.config.file import current_configuration, profile_named
from bulk_upload.cli.options.api_key import key_source_of
from bulk_upload.cli.options.profile_variables import ProfileVariableOption
from bulk_upload.cli.options.sections import ServerCommand, file_key
from bulk_upload.cli.options.suggestions import SuggestingGroup
from bulk_upload.cli.output.json_output import json_option
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.redaction import shown_notify, shown_proxy, without_logins
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import BulkUploadError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk_upload.core.api.profile import Profile

_LEFT_OUT = frozenset({"config"})


class Setting(msgspec.Struct, frozen=True):
    """One setting: its value as a text, None where nothing sets it, and where that comes from."""

    name: str
    value: str | None
    source: str


@click.group("config", cls=SuggestingGroup)
def config() -> None:
    """Show the settings a command would run with."""


@config.command(
    "show",
    short_help="Show each setting and where it comes from.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option("--all", "every", is_flag=True, help="Also show settings without a value.")
@json_option("a JSON object per setting")
@click.argument("words", metavar="[COMMAND [OPTION]...]", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def show(ctx: click.Context, words: tuple[str, ...], *, every: bool, as_json: bool) -> None:
    """Show each setting of COMMAND (default: run) and where its value comes from.

    Options after COMMAND are applied as it would apply them. The API key itself is never shown.

    \b
    Examples:
      bulk-upload config show
      bulk-upload config show run --job nightly --deadline 2h
      bulk-upload config show --json resolve reconcile
    """
    with _context_of(ctx.find_root(), words or ("run",)) as inner:
        settings = [*_settings(inner), *([_key(inner.params)] if "api_key_file" in inner.params else [])]
        shown = [one for one in settings if every or one.value is not None]
        path = current_configuration().path
    if as_json:
        put("".join(f"{json.dumps(asdict(one))}\n" for one in shown))
        return
    texts = [printable(one.value or "-") for one in shown]
    widths = max(len(one.name) for one in shown), max(map(len, texts))
    for one, text in zip(shown, texts, strict=True):
        put(f"{one.name:<{widths[0]}}  {text:<{widths[1]}}  {printable(one.source)}\n")
    tell(f"Read: {printable(path)}" if path else "Read: no bulk-upload.toml")


def _context_of(root: click.Context, words: Sequence[str]) -> click.Context:
    """Return the context that a command would run in, without its arguments."""
    parent, command, name = root, root.command, ""
    rest = list(words)
    while isinstance(command, click.Group):
        if name:
            parent = click.Context(command, parent=parent, info_name=name)
        # Its own error about an unknown command suggests the intended one.
        found, inner, rest = command.resolve_command(parent, rest or [""])
        if inner is None:
            break
        name, command = found or "", inner
    if not isinstance(command, ServerCommand):
        raise UsageError(
            f"`{printable(' '.join(words))}` takes no settings from a file",
            hint="try run, plan, validate, verify, undo or resolve reconcile",
        )
    command = copy.copy(command)
    command.params = [_optional(param) for param in command.params]
    return command.make_context(name, rest, parent=parent)


def _optional(param: click.Parameter) -> click.Parameter:
    if isinstance(param, click.Argument):
        param = copy.copy(param)
        param.required = False
    return param


def _settings(ctx: click.Context) -> Iterator[Setting]:
    for param in ctx.command.params:
        name = str(param.name)
        if name in _LEFT_OUT or (isinstance(param, click.Argument) and ctx.params.get(name) is None):
            continue
        value, source = _value_and_source(ctx, param)
        key = file_key(param) if isinstance(param, click.Option) else name
        yield Setting(key, None if value is None else _shown(name, value), source)


def _value_and_source(ctx: click.Context, param: click.Parameter) -> tuple[Any, str]:
    name = str(param.name)
    source = ctx.get_parameter_source(name)
    if source is ParameterSource.ENVIRONMENT:
        own = param.variable(ctx) if isinstance(param, ProfileVariableOption) else None
        variables = [own or "", f"{ctx.auto_envvar_prefix}_{name.upper()}"]
        variable = next(one for one in variables if one and os.environ.get(one))
        return os.environ[variable], f"environment {variable}"
    if source is ParameterSource.DEFAULT_MAP:
        configuration = current_configuration()
        job = ctx.params.get("job")
        key = file_key(param) if isinstance(param, click.Option) else name
        line = configuration.line_of(key, job if isinstance(job, str) else None)
        return (ctx.default_map or {})[name], f"{configuration.path}, line {line}"
    if source is ParameterSource.COMMANDLINE:
        return ctx.params.get(name), "command line"
    return param.to_info_dict()["default"], "default"


def _shown(name: str, value: Any) -> str:  # noqa: ANN401
    """Return a value as text, without secrets."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ",".join(_words(value))
    if name == "api_key_command":
        program, _, arguments = text.strip().partition(" ")
        return f"{program} ..." if arguments else program
    if name == "notify":
        return shown_notify(text)
    return shown_proxy(text) if name == "proxy" else without_logins(text)


def _words(value: Any) -> Iterator[str]:  # noqa: ANN401
    """Yield the texts of a value; that of a repeatable option has several."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from _words(one)
    else:
        yield str(value)


def _key(params: Mapping[str, Any]) -> Setting:
    source = key_source_of(params, _profile(params))
    if source.file is not None:
        return Setting("api-key", "(not shown)", "the file given as api-key-file")
    if source.command is not None:
        return Setting("api-key", "(not shown)", "the output of api-key-command")
    if source.variable is None:
        return Setting("api-key", None, "the profile names no variable for it")
    is_set = bool(os.environ.get(source.variable, "").strip())
    return Setting("api-key", "(not shown)" if is_set else None, f"environment {source.variable}")


def _profile(params: Mapping[str, Any]) -> Profile:
    """Return the profile whose key a command would use: its ledger's, where it has one."""
    if isinstance(name := params.get("profile"), str):
        return profile_named(name)
    from bulk_upload.job_ledger import facts_of  # noqa: PLC0415 - help must not wait for an HTTP library

    with suppress(BulkUploadError):
        if isinstance(ledger := params.get("ledger"), str):
            return profile_named(facts_of(ledger).profile)
    return FLOW
