"""Which name of a folder a manifest most probably means by a name that is not there."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.text.printable import escaped
from bulk_upload.core.text.wording import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

NAMES_COMPARED_MAX = 1000
"""In larger folders only names that differ in form are found, no typing errors: comparing takes too long."""

COMPARISONS_MAX = 100
"""How many names are searched for typing errors in one folder: a manifest of another folder has a million of them."""

_NAME_CHARACTERS_COMPARED_MAX = 100
_CLOSE_ENOUGH = 0.8
_DIGITS = re.compile(r"\d+")
_LEGACY_ENCODING = "cp1252"
"""What spreadsheets and archives made on Windows write names in."""

_LOOK_ALIKES = {
    ord(other): same
    for same, others in {
        "'": "\u2018\u2019\u201b\u2032\u02bc`\u00b4",
        '"': "\u201c\u201d\u201f\u2033\u00ab\u00bb",
        "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212_",
        # Cyrillic and Greek letters that look like Latin ones (Unicode TR 39, confusables).
        "a": "\u0430\u03b1",
        "c": "\u0441",
        "e": "\u0435",
        "i": "\u0456\u0131",
        "j": "\u0458",
        "o": "\u043e\u03bf",
        "p": "\u0440\u03c1",
        "s": "\u0455",
        "x": "\u0445",
        "y": "\u0443",
        "B": "\u0412\u0392",
        "H": "\u041d\u0397",
        "K": "\u041a\u039a",
        "M": "\u041c\u039c",
        "T": "\u0422\u03a4",
    }.items()
    for other in others
}


class SimilarName(msgspec.Struct, frozen=True, kw_only=True):
    """A name that is there, and how it differs from the one that is not."""

    name: str
    difference: str

    def words(self, kind: str) -> str:
        """Return it for people; `kind` is what has the name. What looks alike is spelled out."""
        return f"there is a {kind} {self.difference}: {quoted(escaped(self.name))}"


class FolderNames:
    """The names in one folder, ready to be compared with many that are not."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names)
        self._by_form: dict[str, dict[str, list[str]]] = {}
        self._comparisons_left = COMPARISONS_MAX

    def nearest(self, name: str) -> SimilarName | None:
        """Return the name that `name` most probably stands for, None where none is near.

        Where several differ from it in the same way, it is the first of them.
        """
        if name in self._by_form_of(*_FORMS[0]).get(_normalised(name), ()):
            return None
        for difference, form in _FORMS:
            found = self._by_form_of(difference, form).get(form(name))
            if found:
                count = f" (one of {len(found)})" if len(found) > 1 else ""
                return SimilarName(name=found[0], difference=difference + count)
        return self._typing_error(name)

    def _by_form_of(self, difference: str, form: Callable[[str], str]) -> dict[str, list[str]]:
        by_form = self._by_form.get(difference)
        if by_form is None:
            by_form = self._by_form[difference] = {}
            for one in self._names:
                by_form.setdefault(form(one), []).append(one)
        return by_form

    def _typing_error(self, name: str) -> SimilarName | None:
        from difflib import get_close_matches  # noqa: PLC0415 - only a mistake needs it

        if (
            not self._comparisons_left
            or len(self._names) > NAMES_COMPARED_MAX
            or len(name) > _NAME_CHARACTERS_COMPARED_MAX
        ):
            return None
        self._comparisons_left -= 1
        near = get_close_matches(name, self._names, n=1, cutoff=_CLOSE_ENOUGH)
        # One part of a set is no typing error of another: part-07 of part-08.
        if not near or _DIGITS.sub("0", near[0]) == _DIGITS.sub("0", name):
            return None
        return SimilarName(name=near[0], difference="with a name much like it")


def _as_text(name: str) -> str:
    """Return a name with the letters that its bytes mean where they are not UTF-8."""
    if not any("\udc80" <= one <= "\udcff" for one in name):
        return _normalised(name)
    content = name.encode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", content.decode(_LEGACY_ENCODING, "replace"))


def _normalised(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _caseless(name: str) -> str:
    return _normalised(_normalised(name).casefold())


def _visible(name: str) -> str:
    """Return what of a name can be told apart on a screen."""
    text = unicodedata.normalize("NFKC", name.translate(_LOOK_ALIKES)).translate(_LOOK_ALIKES)
    seen = "".join(one for one in text if unicodedata.category(one) not in ("Cf", "Cc") or one.isspace())
    return " ".join(seen.split()).casefold()


_FORMS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("of that name in another Unicode form", _normalised),
    ("that differs only in upper and lower case", _caseless),
    ("of that name in another encoding, for the manifest or the folder is not UTF-8", _as_text),
    ("that differs only in spaces, or in characters that look alike or are not seen", _visible),
)
"""Each way in which two names can be the same for a person, and what they then have in common; the closest first."""
