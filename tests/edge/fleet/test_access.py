"""Who may be an agent."""

from __future__ import annotations

import hmac

import pytest

from bulk_upload.edge.fleet.access import TICKET_LASTS_S, Access, authorization, new_token


class Time:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_token_admits_again_and_again() -> None:
    """It opens every connection of every agent of its run, and no other run's."""
    access = Access()
    assert access.admits(authorization(access.token))
    assert access.admits(authorization(access.token))
    assert not access.admits(authorization(new_token()))
    for wrong in ("", "Bearer ", access.token[:-1], "Bearer \u00e9"):
        assert not access.admits(authorization(wrong))


def test_a_ticket_admits_once_and_not_for_long() -> None:
    """Whoever sees it later, in a log or a scheduler's state, has nothing."""
    time = Time()
    access = Access(now=time)
    first, second = access.issue_ticket(), access.issue_ticket()
    assert access.admits(authorization(first))
    assert not access.admits(authorization(first))
    time.now += TICKET_LASTS_S
    assert not access.admits(authorization(second))


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is presented is compared with the token and with every ticket, to the end."""
    access = Access()
    for _ in range(3):
        access.issue_ticket()
    compared: list[bytes] = []
    compare = hmac.compare_digest

    def noting(given: bytes, known: bytes) -> bool:
        compared.append(known)
        return compare(given, known)

    monkeypatch.setattr(hmac, "compare_digest", noting)
    access.admits(authorization(access.token))
    assert len(compared) == 4
