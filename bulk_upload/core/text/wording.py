"""Wording of messages: quotes what was found, and suggests the nearest valid word."""

from __future__ import annotations

from functools import lru_cache

from bulk_upload.core.text.printable import human_seconds

_SHOWN_CHARACTERS_MAX = 120
# Comparison takes quadratic time, and no valid name is near a long word.
_COMPARED_CHARACTERS_MAX = 64


def quoted(text: str) -> str:
    """Return `text` in double quotes, its middle left out when it is long."""
    if len(text) > _SHOWN_CHARACTERS_MAX:
        half = _SHOWN_CHARACTERS_MAX // 2
        text = f"{text[:half]} ... {text[-half:]}"
    return f'"{text}"'


def many(count: int, word: str) -> str:
    """Return a count with its word: `1 file`, `1,200 files`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def clock_step_words(step_s: float) -> str:
    """Return how this machine's clock was set, by seconds forward, or back where negative."""
    if step_s < 0:
        return f"this machine's clock was set back by {human_seconds(-step_s)}"
    return f"this machine's clock was set forward by, or it slept for, {human_seconds(step_s)}"


def dropped_words(count: int, *, in_folder: bool = False) -> str:
    """Return how many entries of the ledger the manifest, or the folder, does not have, as a sentence without its end."""
    entries = "1 entry of the ledger is" if count == 1 else f"{count:,} entries of the ledger are"
    return f"{entries} not {'among these files' if in_folder else 'in this manifest'} (dropped)"


def did_you_mean(word: str, choices: tuple[str, ...]) -> str:
    """Return `Did you mean "..."? ` with the nearest of `choices`, or nothing where none is near."""
    near = nearest(word, choices)
    return "" if near is None else f"Did you mean {quoted(near)}? "


@lru_cache(maxsize=256)
def nearest(word: str, choices: tuple[str, ...]) -> str | None:
    """Return the one of `choices` (lower case) that `word` most probably means."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

    if len(word) > _COMPARED_CHARACTERS_MAX:
        return None
    folded = word.strip().lower().replace("_", "-")
    by_spelling = {choice.replace("_", "-"): choice for choice in choices}
    matches = get_close_matches(folded, by_spelling, n=1, cutoff=0.6)
    return by_spelling[matches[0]] if matches else None
