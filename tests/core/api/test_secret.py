"""An API key that does not leak by being printed."""

from __future__ import annotations

import logging
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import asdict, dataclass
from urllib.parse import quote

import pytest

from bulk_upload.core.api.redaction import Redaction
from bulk_upload.core.api.secret import Secret, key_and_source
from bulk_upload.errors import UsageError

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


LONG = "sk-x+y/z=hunter2-4711"

ENCODED = {
    "base64": b64encode(LONG.encode()).decode(),
    "base64 for URLs": urlsafe_b64encode(LONG.encode()).decode(),
    "Basic, as the password": f"Basic {b64encode(f'me:{LONG}'.encode()).decode()}",
    "Basic, as the name": f"Basic {b64encode(f'{LONG}:'.encode()).decode()}",
    "base64 of a header": b64encode(f"Bearer {LONG}".encode()).decode(),
    "percent": quote(LONG, safe=""),
    "percent in lower case": quote(LONG, safe="").lower(),
    "percent, every character": "".join(f"%{ord(one):02X}" for one in LONG),
    "percent twice": quote(quote(LONG, safe=""), safe=""),
    "JSON": LONG.replace("/", "\\/").replace("x", "\\u0078"),
    "JSON in JSON": LONG.replace("/", "\\\\\\/"),
    "HTML": "".join(f"&#{ord(one)};" for one in LONG),
    "HTML in hexadecimal": "".join(f"&#x{ord(one):X};" for one in LONG),
}


@pytest.mark.parametrize("form", ENCODED.values(), ids=ENCODED)
def test_an_encoded_key_is_found(form: str) -> None:
    """In text and in bytes, and whoever asks whether it is there hears so."""
    secret = Secret(LONG)
    text = f'{{"detail": "no {form} here"}}'
    for left in (secret.redact(text), secret.redact_bytes(text.encode()).decode(), cleaned_of(LONG)(text)):
        assert "[key]" in left
        assert left.endswith(' here"}')
        for least in (LONG[:8], ENCODED["base64"][:10], "%73%6B%2D", "&#115;"):
            assert least not in left
    assert secret.betrayed_by(text)


def cleaned_of(secret: str) -> Callable[[str], str]:
    redaction = Redaction()
    redaction.learn(secret)
    return redaction.clean


@pytest.mark.parametrize("length", range(8, 20))
def test_an_encoded_key_that_was_cut_off_is_found(length: int) -> None:
    """The beginning of a key in base64 is as good as the beginning of the key."""
    assert Secret(LONG).redact(f"no {ENCODED['base64'][:length]}…") == "no [key]…"


@pytest.mark.parametrize("key", ["x", "ab", "sk-1"])
def test_what_a_short_key_looks_like_encoded_stays(key: str) -> None:
    """A made-up key of a rehearsal garbles no words, ids or escapes."""
    text = "file-eA YWI c2stMQ %20 &#39; \\n"
    assert Secret(key).redact(text) == text.replace(key, "[key]")


@pytest.mark.parametrize("other", ["%", "%7", "\\", "&#", "&#;", "é…", "%E2%80%A6"])
def test_escapes_of_something_else_stay(other: str) -> None:
    """What is no key is left as it is, whatever it begins like."""
    assert Secret(LONG).redact(other) == other
    assert Secret(LONG).redact_bytes(other.encode()) == other.encode()


@pytest.mark.parametrize("nothing", [None, "", " \n\t", b"", b"sk-x", 7, ["sk-x"]])
def test_what_is_no_key_is_a_usage_error(nothing: object) -> None:
    """Also where a function returns it; the words say what to pass and never repeat it."""
    for api_key in (nothing, lambda: nothing):
        with pytest.raises(UsageError) as caught:
            key_and_source(api_key)
        assert "API key" in str(caught.value)
        assert caught.value.hint
        assert "sk-x" not in f"{caught.value} {caught.value.hint}"
