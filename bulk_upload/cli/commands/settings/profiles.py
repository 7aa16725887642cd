"""`bulk-upload profiles`: the APIs that are known, what is proven of each, and a profile to start one's own from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from bulk_upload.cli.config.file import FILE_NAME
from bulk_upload.cli.config.reading import configuration_for
from bulk_upload.cli.options.completion import file_names, profile_names
from bulk_upload.cli.options.suggestions import SuggestingGroup
from bulk_upload.cli.output.json_output import json_option, put_json
from bulk_upload.cli.output.streams import put
from bulk_upload.core.api.profile import BUILT_IN_NAMES, FLOW
from bulk_upload.core.report.json_shapes import KnownProfile
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.edge.profiles import preset
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk_upload.cli.config.file import Configuration
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.report.proof import Proof

_CONFIG = click.option(
    "--config",
    envvar="BULK_UPLOAD_CONFIG",
    metavar="FILE|none",
    shell_complete=file_names,
    help="Read your own profiles from FILE (default: ./bulk-upload.toml, if it exists).",
)


@click.group("profiles", cls=SuggestingGroup, invoke_without_command=True)
@_CONFIG
@json_option("a JSON object per profile")
@click.pass_context
def profiles(ctx: click.Context, *, config: str | None, as_json: bool) -> None:
    """List the profiles that --profile takes, and what is proven of each, and how.

    "vendor's SDK": it works with the sandbox's dialect, as the vendor's own SDK does. "real server": it was run against a server that
    others wrote. "description": it does what the vendor's documents say. "unproven live": little is known. "no": it cannot
    be done. None of them was run against the vendor's live service.

    \b
    Examples:
      bulk-upload profiles
      bulk-upload profiles show openai
    """
    if ctx.invoked_subcommand is not None:
        return
    known = list(_known(_configuration(config)))
    if as_json:
        for one in known:
            put_json(one)
    else:
        put("".join(f"{line}\n" for line in _table(known)))


@profiles.command("show", short_help="Print a built-in profile as TOML, to start your own from.")
@click.argument("name", shell_complete=profile_names)
def show(name: str) -> None:
    """Print the built-in profile NAME as TOML, to start your own from.

    \b
    Examples:
      bulk-upload profiles show openai >> bulk-upload.toml
    """
    if name not in BUILT_IN_NAMES:
        raise UsageError(
            f"there is no built-in profile {printable(name)!r}",
            hint=f"{did_you_mean(name, BUILT_IN_NAMES)}Built in: {', '.join(BUILT_IN_NAMES)}; your own are in {FILE_NAME}",
        )
    known = preset(name)
    text = known.text
    if name == FLOW.name:
        # No other profile may name these.
        text = text.replace('"SEEKR_', '"MY_FLOW_')
    put(
        f"# {known.summary}: a copy of the built-in profile {name}. docs/reference/profiles.md explains each key.\n"
        f"[profiles.my-{name}]\n{text}"
    )


def _configuration(named: str | None) -> Configuration:
    from bulk_upload.cli.commands.run import run  # noqa: PLC0415 - it has the options that a file may set

    return configuration_for(named, run.settings)


def _known(configuration: Configuration) -> Iterator[KnownProfile]:
    for name, profile in configuration.profiles.items():
        found = preset(name) if name in BUILT_IN_NAMES else None
        if found is not None and found.profile == profile:
            yield _described(profile, found.summary, found.proof)
        else:
            yield _described(profile, f"your own, from {configuration.path}", None)


def _described(profile: Profile, summary: str, proof: Proof | None) -> KnownProfile:
    return KnownProfile(
        name=profile.name,
        summary=summary,
        base_url=profile.base_url,
        purposes=profile.purposes,
        key_variable=profile.key_variable,
        proof=None if proof is None else msgspec.to_builtins(proof),
    )


def _table(known: Sequence[KnownProfile]) -> Iterator[str]:
    """Yield a line for each profile, and below it one for each kind of evidence."""
    width = max(len(one.name) for one in known)
    for one in known:
        yield f"{one.name:<{width}}  {printable(one.summary)}  {one.base_url}  ${one.key_variable or '(no key variable)'}"
        by_evidence: dict[str, list[str]] = {}
        for thing, evidence in (one.proof or {}).items():
            by_evidence.setdefault(evidence, []).append(thing)
        for evidence, things in by_evidence.items():
            yield f"{'':<{width}}    {evidence}: {', '.join(things)}"
