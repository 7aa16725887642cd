from __future__ import annotations

import pytest
from rich.pretty import pretty_repr

from bulk_upload.core.api.network import Network
from bulk_upload.core.api.redaction import Redaction, shown_proxy, without_logins


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://me:hunter2@proxy:3128", "http://...@proxy:3128"),
        ("http://me:hun@ter/2@proxy:3128", "http://...@proxy:3128"),
        ("http://me:hun://ter2@proxy", "http://...@proxy"),
        ("me:hunter2@proxy:3128", "...@proxy:3128"),
        ("me:hun://ter2@proxy:3128", "...@proxy:3128"),
        ("http://proxy:3128", "http://proxy:3128"),
        ("proxy:3128", "proxy:3128"),
    ],
)
def test_a_proxy_is_shown_without_user_name_and_password(address: str, shown: str) -> None:
    """Whatever characters a password has, with a scheme or without."""
    assert shown_proxy(address) == shown


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("cannot use http://me:hunter2@proxy:3128, sorry", "cannot use http://...@proxy:3128, sorry"),
        ("https://a/b and http://me:p@ss@c/d@e", "https://a/b and http://...@c/d@e"),
        ("mail me@example.org", "mail me@example.org"),
        ('{"a":"http://x/y","b":"me@z"}', '{"a":"http://x/y","b":"me@z"}'),
        ('{"a":"http://x","b":"me@z"}', '{"a":"http://x","b":"me@z"}'),
    ],
)
def test_every_address_in_a_text_loses_its_login(text: str, clean: str) -> None:
    """Also in the middle of other words, and nothing else is touched; the log is cleaned in the same way."""
    assert without_logins(text) == clean
    assert Redaction().clean(text) == clean


def test_a_connection_is_shown_without_its_proxy() -> None:
    """Neither Python's own form of a value nor rich's has the password in it; the rest is there."""
    way = Network(proxy="http://me:hunter2@proxy:3128", ca_file="ca.pem")
    for shown in (repr(way), pretty_repr(way)):
        assert "hunter2" not in shown
        assert "ca.pem" in shown
