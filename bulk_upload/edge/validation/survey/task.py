"""What is wanted of the examples of a file, beside validation."""

from __future__ import annotations

import msgspec


class SurveyTask(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted.

    Args:
        counts: whether to make statistics.
        digest_folder: a folder for the hashes of examples that are compared; None where none are.
        has_groups: whether prompts are compared, too.
        tokenizer: the path of a `tokenizer.json`.
        max_tokens: report examples with more.
        scans_secrets: look for secrets and personal data.
    """

    counts: bool = False
    digest_folder: str | None = None
    has_groups: bool = False
    tokenizer: str | None = None
    max_tokens: int | None = None
    scans_secrets: bool = False
