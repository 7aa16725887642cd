"""An API key that does not leak by being printed."""

from __future__ import annotations

import logging
import traceback
from dataclasses import asdict, dataclass

import pytest

from bulk_upload.core.secret import Secret

KEY = "sk-hunter2"


@dataclass
class _Holder:
    api_key: Secret


def test_every_way_of_showing(caplog: pytest.LogCaptureFixture) -> None:
    """No formatting, container, dataclass or log record shows the key."""
    secret = Secret(KEY)
    logging.getLogger("test").warning("%s %r", secret, [secret])
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>20}",
        f"{secret!s}",
        str([secret]),
        str({1: secret}),
    ]
    shown += [repr(_Holder(secret)), str(asdict(_Holder(secret))), ascii(secret), caplog.text]
    assert not any(KEY in one for one in shown)


def test_exceptions_do_not_show_it() -> None:
    """A traceback with the local names and the arguments of an error has no key in it."""
    secret = Secret(KEY)
    try:
        raise ValueError(secret)
    except ValueError as error:
        captured = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = "".join(captured.format())
    assert "Secret(…)" in text
    assert KEY not in text


def test_has_no_attribute_dictionary() -> None:
    """A dump of an object's attributes finds none."""
    assert not hasattr(Secret(KEY), "__dict__")


def test_reveal() -> None:
    """The one header it is meant for gets the key itself."""
    assert Secret(KEY).reveal() == KEY


def test_redact() -> None:
    """Every occurrence of the key in what a server echoes is replaced."""
    secret = Secret(KEY)
    assert secret.redact(f"bad key {KEY}, I said {KEY}!") == "bad key [key], I said [key]!"
    assert secret.redact("nothing here") == "nothing here"


def test_empty_secret_redacts_nothing() -> None:
    """An empty secret is in every text, and replaces nothing."""
    assert Secret("").redact("text") == "text"


@pytest.mark.parametrize("length", range(4, len(KEY)))
def test_a_key_that_was_cut_off_is_found(length: int) -> None:
    """Where words were shortened in the midst of a key, what is left of it is taken out as well."""
    assert Secret(KEY).redact(f"HTTP 400: {KEY[:length]}… (again)") == "HTTP 400: [key]… (again)"


def test_bytes_lose_a_key_that_is_not_there_by_chance() -> None:
    """A short key may be part of the answer's own words, and the answer must stay readable."""
    long = Secret(KEY * 3)
    assert long.redact_bytes(b'{"detail": "' + KEY.encode() * 3 + b'"}') == b'{"detail": "[key]"}'
    assert Secret("detail").redact_bytes(b'{"detail": 1}') == b'{"detail": 1}'
    assert long.betrayed_by(KEY * 4)
    assert not Secret(KEY).betrayed_by(KEY)
