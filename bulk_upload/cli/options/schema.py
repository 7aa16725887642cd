"""How files are validated: `--schema FILE`, purposes described by the user, and `--ignore`, `--error`, `--strict`."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.options.units import WORD
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.core.validation.rules import NEVER_IGNORED, RULES, RuleChoice
from bulk_upload.core.vendor_purposes import purposes_of
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.purposes import Purpose

_FILE_BYTES_MAX = 1024 * 1024


class _Rules(click.ParamType[tuple[str, ...]]):
    """Names of rules of validation, with commas between them."""

    name = "rules"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the names. Fails for one that is no rule."""
        if isinstance(value, tuple):
            return value
        names = tuple(one.strip() for one in str(value).split(",") if one.strip())
        for name in names:
            if name in NEVER_IGNORED and param is not None and param.name == "ignore":
                self.fail(f"{name} cannot be ignored: what cannot be read cannot be sent", param, ctx)
            if name not in RULES:
                near = did_you_mean(name, tuple(RULES))
                self.fail(
                    f"{printable(name)!r} is not a rule. {near}docs/how-to/validation.md lists them",
                    param,
                    ctx,
                )
        return names


_error_option = click.option(
    "--error",
    type=_Rules(),
    metavar="RULE",
    multiple=True,
    help="Treat the findings of a rule as errors, such as role-order; repeatable. --ignore takes precedence.",
)
_strict_option = click.option("--strict", is_flag=True, help="Treat every warning about data as an error.")

ignore_option = click.option(
    "--ignore",
    type=_Rules(),
    metavar="RULE",
    multiple=True,
    help="Do not apply a rule of validation, such as last-role; repeatable (docs/how-to/validation.md lists them).",
)


def rules_chosen(
    ignored: Iterable[tuple[str, ...]], errors: Iterable[tuple[str, ...]] = (), *, is_strict: bool = False
) -> RuleChoice:
    """Return the rules that apply, by the values of `--ignore`, `--error` and `--strict`."""
    return RuleChoice(
        ignored=frozenset(chain.from_iterable(ignored)),
        errors=frozenset(chain.from_iterable(errors)),
        is_strict=is_strict,
    )


schema_option = click.option(
    "--schema",
    type=WORD,
    metavar="FILE",
    help="TOML or JSON file that adds purposes or overrides built-in ones (docs/how-to/validation.md).",
)

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    help="Files checked in parallel (default: one per processor).",
)


def rules_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say by which rules files are validated."""
    return schema_option(ignore_option(_error_option(_strict_option(command))))


def schemas_of(name: str | None, profile: Profile = FLOW) -> Mapping[str, Purpose]:
    """Return the rules of all purposes of a profile. Raises UsageError for a file that cannot be used."""
    purposes = purposes_of(profile.name)
    if name is None:
        return purposes
    from bulk_upload.core.validation.schema_file import read_schemas  # noqa: PLC0415 - help must not wait for msgspec

    try:
        with open(name, "rb") as file:
            text = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read the schema file {printable(name)}: {error.strerror}", hint="check --schema"
        ) from None
    if len(text) > _FILE_BYTES_MAX:
        raise UsageError(f"{printable(name)} is too large for a schema file", hint="check --schema")
    return read_schemas(text, name=name, purposes=purposes)
