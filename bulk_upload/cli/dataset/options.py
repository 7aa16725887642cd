"""`--stats`, `--tokenizer`, `--max-tokens`, `--group`, `--scan` and `--report` of `validate`."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bulk_upload.cli.options.units import WORD
from bulk_upload.core.folder.groups import NO_GROUPS, Groups
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECRETS = "secrets"

_OPTIONS = (
    click.option(
        "--stats",
        is_flag=True,
        help="Also print what the data is: examples, turns, characters by role, the longest ones, and which are the same.",
    ),
    click.option(
        "--tokenizer",
        type=WORD,
        metavar="FILE",
        help="Count tokens by a tokenizer.json, too; with --stats or --max-tokens. Nothing is downloaded.",
    ),
    click.option(
        "--max-tokens",
        type=click.IntRange(1),
        metavar="N",
        help="Warn of examples with more tokens (too-many-tokens); needs --tokenizer.",
    ),
    click.option(
        "--group",
        "groups",
        metavar="NAME=PATTERN",
        multiple=True,
        help="Name the matching files as a group, such as train='train/**' and eval='eval/**'; warn of examples and "
        "prompts that groups have in common (train-eval-overlap).",
    ),
    click.option(
        "--scan",
        type=click.Choice([SECRETS]),
        help="Warn of texts with likely secrets or personal data. They are never printed.",
    ),
    click.option(
        "--report",
        "report_file",
        type=WORD,
        metavar="FILE",
        help="Write findings and statistics to an HTML page, too.",
    ),
)


def survey_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), command)


class SurveyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of the examples beside validation."""

    stats: bool = False
    tokenizer: str | None = None
    max_tokens: int | None = None
    groups: Groups = NO_GROUPS
    scans_secrets: bool = False
    report_file: str | None = None

    @property
    def counts(self) -> bool:
        """Whether statistics are made."""
        return self.stats or self.report_file is not None or self.max_tokens is not None

    @property
    def compares(self) -> bool:
        """Whether examples are compared with each other."""
        return self.stats or self.report_file is not None or bool(self.groups.names)


def survey_request(options: Mapping[str, Any]) -> SurveyRequest | None:
    """Return what the options ask for, None where they ask for nothing. Raises UsageError."""
    names = ("stats", "tokenizer", "max_tokens", "groups", "scan", "report_file")
    if not any(options[name] for name in names):
        return None
    if options["max_tokens"] and not options["tokenizer"]:
        raise UsageError(
            "--max-tokens needs a tokenizer",
            hint="give the tokenizer.json of the model that is trained: --tokenizer FILE",
        )
    request = SurveyRequest(
        stats=options["stats"],
        # Other processes use it, from other folders.
        tokenizer=os.path.abspath(options["tokenizer"]) if options["tokenizer"] else None,
        max_tokens=options["max_tokens"],
        groups=Groups.parse(options["groups"]) if options["groups"] else NO_GROUPS,
        scans_secrets=options["scan"] == SECRETS,
        report_file=options["report_file"],
    )
    if request.stats and options["output_format"] == "sarif":
        raise UsageError(
            "--stats prints text or JSON, and SARIF holds findings alone",
            hint="write the statistics to a page with --report FILE in place of --stats",
        )
    if request.tokenizer and not request.counts:
        raise UsageError(
            "--tokenizer counts tokens for --stats, --report or --max-tokens", hint="add one of them"
        )
    return request
