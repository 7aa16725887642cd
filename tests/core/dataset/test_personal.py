"""Likely personal data: what is found, what is not, and how little of it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.dataset.personal import SHOWN_MAX, is_luhn, personal_data, sighting
from bulk_upload.core.dataset.runs import form_of, run_of

FOUND = {
    "Write to jane.doe+spam@mail.corp-x.de, please": "email address",
    "Call +49 (0)30 1234567 or later": "phone number",
    "Call +1 415-555-2671.": "phone number",
    "my number: (415) 555-2671": "phone number",
    "24 415-555-2671": "phone number",
    "4111 1111 1111 1111 until 09/27": "card number",
    "pay with 378282246310005 now": "card number",
    "IBAN DE89 3704 0044 0532 0130 00": "bank account",
    "GB82WEST12345698765432": "bank account",
    "SSN 536-22-8726": "US social security number",
}

NOT_FOUND = (
    "user@example.com and root@localhost",
    "@mention and a @ b",
    "4111 1111 1111 1112",
    "2024-11-29 12:00:00 and 192.168.100.200",
    "The sum is 1234567890123 or 3.14159265358979",
    "1 + 2 = 3, C++20",
    "DE00 3704 0044 0532 0130 00",
    "000-12-3456",
    "ISBN 978-3-16-148410-0",
    "uuid 550e8400-e29b-41d4-a716-446655440000",
)


@pytest.mark.parametrize("text", FOUND)
def test_personal_data_is_found(text: str) -> None:
    """One kind each."""
    assert {one.kind for one in personal_data(text)} == {FOUND[text]}


@pytest.mark.parametrize("text", NOT_FOUND)
def test_other_numbers_are_left_alone(text: str) -> None:
    """Addresses that nobody has, wrong check digits, dates, amounts, versions."""
    assert list(personal_data(text)) == []


@given(st.text(min_size=1))
def test_at_most_a_fifth_is_shown(text: str) -> None:
    """And never more than four characters."""
    shown = sighting("kind", text).shown
    assert text.startswith(shown)
    assert len(shown) <= min(SHOWN_MAX, len(text) / 5)


@given(st.integers(0, 10**15))
def test_one_check_digit_is_right(number: int) -> None:
    """Of the ten that may follow a number."""
    assert sum(is_luhn(f"{number}{digit}") for digit in range(10)) == 1


@given(st.text(alphabet="ab0 -é", max_size=40))
def test_runs_are_those_of_a_regular_expression(text: str) -> None:
    """In UTF-8 as in text."""
    content = text.encode()
    assert run_of("ab0", 4)(content) == any(
        set(text[start : start + 4]) <= set("ab0") and len(text[start : start + 4]) == 4
        for start in range(len(text))
    )
    assert form_of({"ab": "A", "0": "0"}, "A0")(content) == ("a0" in text or "b0" in text)
