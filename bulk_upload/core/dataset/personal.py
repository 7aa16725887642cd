"""Finds what is likely personal data in a text, and says of a secret no more than what tells it from others."""

from __future__ import annotations

import re
from string import ascii_uppercase, digits
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.dataset.runs import form_of, run_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN_MAX = 4
_SHOWN_SHARE = 5
"""At most a fifth of a secret is shown: short ones are as good as told by four characters."""


class Sighting(NamedTuple):
    """A kind of secret or personal data, and its first characters; never more of it."""

    kind: str
    shown: str

    def __str__(self) -> str:
        return f"{self.kind}, {self.shown}..." if self.shown else self.kind


def sighting(kind: str, text: str) -> Sighting:
    """Return what may be shown of a secret."""
    return Sighting(kind, text[: min(SHOWN_MAX, len(text) // _SHOWN_SHARE)])


_LOCAL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
# RFC 2606 and 6761: nobody has such an address.
_NOBODYS = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$", re.IGNORECASE)
_INTERNATIONAL = re.compile(r"\+[1-9][0-9]{0,2}(?:[ ./-]?\(?[0-9]{1,5}\)?){2,5}(?![0-9])")
_NEVER_BEFORE = ("_", "+")
_PHONE_DIGITS = range(9, 16)

_may_have_number = run_of(digits + "() .-", 9)
_DIGITS = re.compile(r"[0-9(][0-9() .-]{7,22}[0-9]")
_BEFORE, _AFTER = r"(?<![\w.+-])", r"(?![\w-])"
_NORTH_AMERICAN = re.compile(
    rf"{_BEFORE}(?:\([2-9][0-9]{{2}}\) ?|[2-9][0-9]{{2}}[ .-])[2-9][0-9]{{2}}[ .-][0-9]{{4}}{_AFTER}"
)
_SOCIAL_SECURITY = re.compile(
    rf"{_BEFORE}(?!000|666|9)[0-9]{{3}}-(?!00)[0-9]{{2}}-(?!0000)[0-9]{{4}}{_AFTER}"
)
_CARD = re.compile(
    rf"{_BEFORE}(?:[0-9]{{13,16}}|[0-9]{{4}}(?P<a>[ -])[0-9]{{4}}(?P=a)[0-9]{{4}}(?P=a)[0-9]{{4}}"
    rf"|[0-9]{{4}}(?P<b>[ -])[0-9]{{6}}(?P=b)[0-9]{{5}}){_AFTER}"
)
_ISSUED = re.compile(
    r"4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|2[2-7][0-9]{14}|3[47][0-9]{13}|6(?:011|5[0-9]{2})[0-9]{12}"
)
_may_have_iban = form_of({ascii_uppercase: "A", digits: "0"}, "AA00")
_IBAN = re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_IBAN_LENGTHS = range(15, 35)


def personal_data(text: str) -> Iterator[Sighting]:
    """Yield email addresses, phone numbers, card numbers, bank accounts (IBAN) and US social security numbers.

    Numbers with a check digit are found only if it is right.
    """
    if "@" in text:
        yield from _emails(text)
    if "+" in text:
        for match in _INTERNATIONAL.finditer(text):
            before = text[match.start() - 1 : match.start()]
            if not (before.isalnum() or before in _NEVER_BEFORE) and _digit_count(match[0]) in _PHONE_DIGITS:
                yield sighting("phone number", match[0])
    content = text.encode("utf-8", "replace")
    if _may_have_number(content):
        for run in _DIGITS.finditer(text):
            yield from _numbers(text[max(0, run.start() - 1) : run.end() + 1])
    if _may_have_iban(content):
        for match in _IBAN.finditer(text):
            if _is_iban(match[0].replace(" ", "")):
                yield sighting("bank account", match[0])


def _digit_count(text: str) -> int:
    return sum(map(str.isdigit, text))


def _emails(text: str) -> Iterator[Sighting]:
    # From each @ on: a pattern that begins with the name before it is tried at every letter.
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        if domain is not None and not _NOBODYS.search(domain[0]):
            local = _LOCAL.search(text[max(0, at - 65) : at])
            if local is not None:
                yield sighting("email address", f"{local[0]}@{domain[0]}")
        at = text.find("@", at + 1)


def _numbers(text: str) -> Iterator[Sighting]:
    for match in _SOCIAL_SECURITY.finditer(text):
        yield sighting("US social security number", match[0])
    for match in _NORTH_AMERICAN.finditer(text):
        yield sighting("phone number", match[0])
    for match in _CARD.finditer(text):
        number = match[0].replace(" ", "").replace("-", "")
        if _ISSUED.fullmatch(number) and is_luhn(number):
            yield sighting("card number", match[0])


def is_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1)."""
    doubled = [int(one) * 2 for one in number[-2::-2]]
    return (sum(map(int, number[-1::-2])) + sum(one - 9 if one > 9 else one for one in doubled)) % 10 == 0


def _is_iban(number: str) -> bool:
    """Whether the check digits are right (ISO 13616)."""
    if len(number) not in _IBAN_LENGTHS:
        return False
    return int("".join(str(int(one, 36)) for one in number[4:] + number[:4])) % 97 == 1
