"""How alike two names are: one that was sent, and one that a server shows in its place."""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum
from urllib.parse import unquote

_SIGNS = re.compile(r"[^a-z0-9]+", re.ASCII)


class Likeness(IntEnum):
    """How alike two names are, the least alike first."""

    UNLIKE = 0
    CUT = 1
    """One contains the other, or letters were lost: `café 1` and `caf_1`, `report` and `1712-report`."""

    RESPELT = 2
    """They differ in case, signs, Unicode form, percent-encoding or a folder: `f 1` and `up/F_1`."""

    SAME = 3


def twin_form(name: str) -> str:
    """Return a form that names have in common if a server may make one name of them without losing a letter.

    Runs of signs are one dash, capitals are small, percent-encoding is undone, and Unicode has one form.
    """
    if "%" in name:
        name = unquote(name)
    if name.isascii():
        return _SIGNS.sub("-", name.lower())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(_pieces(folded, sign="-"))


def stored_forms(name: str) -> frozenset[str]:
    """Return the twin forms of a stored name, also without the folder that a server may have put before it."""
    return frozenset({twin_form(name), twin_form(_base(unquote(_base(name))))})


def likeness(sent: str, stored: str) -> Likeness:
    """Return how alike a sent name and a stored one are."""
    if sent == stored:
        return Likeness.SAME
    if twin_form(sent) in stored_forms(stored):
        return Likeness.RESPELT
    base = _base(unquote(_base(stored)))
    ours, theirs = _letters(sent) | {sent}, _letters(base) | {base}
    if any(one and other and (one in other or other in one) for one in ours for other in theirs):
        return Likeness.CUT
    return Likeness.UNLIKE


def same_letters(sent: str, stored: str) -> bool:
    """Whether two names have the same letters and digits, in the same order, whatever the case, signs and accents."""
    return _bare(sent) == _bare(stored) != ""


def respellings(sent: str, stored: str) -> frozenset[str]:
    """Return the kinds of change between two names that are at least RESPELT, in words."""
    kinds = set()
    plain = _base(stored)
    if plain != stored:
        kinds.add("in a folder")
    if unquote(plain) != plain and unquote(sent) == sent:
        kinds.add("percent-encoded")
        plain = unquote(plain)
    ours, theirs = unicodedata.normalize("NFC", sent), unicodedata.normalize("NFC", plain)
    if theirs != plain:
        kinds.add("in another Unicode form")
    if "".join(_pieces(ours)) != "".join(_pieces(theirs)):
        is_case = "".join(_pieces(ours)).casefold() == "".join(_pieces(theirs)).casefold()
        kinds.add("in another case" if is_case else "in another Unicode form")
    for run, other in zip(_sign_runs(ours), _sign_runs(theirs), strict=False):
        if run != other:
            kinds.add(f"{run!r} as {other!r}")
    return frozenset(kinds)


def _base(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _bare(name: str) -> str:
    return "".join(_pieces(unicodedata.normalize("NFKD", name).casefold()))


def _letters(name: str) -> set[str]:
    """Return the letters and digits of a name, also without those that are not ASCII, and without accents."""
    if name.isascii():
        return {_SIGNS.sub("", name.lower())}
    folded = unicodedata.normalize("NFKC", name).casefold()
    return {"".join(_pieces(folded)), _SIGNS.sub("", folded), _SIGNS.sub("", _bare(name))}


def _pieces(name: str, sign: str = "") -> list[str]:
    """Return letters and digits, and `sign` for each run of anything else."""
    pieces: list[str] = []
    in_signs = False
    for one in name:
        if one.isalnum():
            pieces.append(one)
        elif not in_signs:
            pieces.append(sign)
        in_signs = not one.isalnum()
    return pieces


def _sign_runs(name: str) -> list[str]:
    runs: list[str] = []
    in_signs = False
    for one in name:
        if one.isalnum():
            in_signs = False
        elif in_signs:
            runs[-1] += one
        else:
            runs.append(one)
            in_signs = True
    return runs
