"""Addresses of servers, and the names of the ledgers that belong to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.endpoint import endpoint_of, is_loopback, ledger_stem
from bulk_upload.errors import UsageError

HOME = "https://flow.seekr.com"


@pytest.mark.parametrize(
    ("base_url", "endpoint"),
    [
        ("https://flow.seekr.com", HOME),
        ("https://flow.seekr.com/", HOME),
        ("https://flow.seekr.com/v1", HOME),
        ("https://flow.seekr.com/v1/", HOME),
        ("https://flow.seekr.com:443/v1//", HOME),
        ("https://flow.seekr.com/v1/v1", HOME),
        ("HTTPS://FLOW.seekr.COM", HOME),
        (" https://flow.seekr.com\n", HOME),
        ("https://flow.seekr.com?", HOME),
        ("https://gateway.example/flow/v1", "https://gateway.example/flow"),
        ("https://gateway.example/Flow", "https://gateway.example/Flow"),
        ("https://gateway.example/dev1", "https://gateway.example/dev1"),
        ("https://gateway.example:8443", "https://gateway.example:8443"),
        ("https://gateway.example:80", "https://gateway.example:80"),
        ("https://10.0.0.7:8443", "https://10.0.0.7:8443"),
        ("https://my_host-1.example.", "https://my_host-1.example."),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://[2001:db8::1]:8443/v1", "https://[2001:db8::1]:8443"),
        ("https://gateway.example/a%20b", "https://gateway.example/a%20b"),
        ("http://localhost:8099", "http://localhost:8099"),
        ("http://LOCALHOST:80", "http://localhost"),
        ("http://flow.localhost", "http://flow.localhost"),
        ("http://127.0.0.1:8099/v1", "http://127.0.0.1:8099"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8099", "http://[::1]:8099"),
    ],
)
def test_good_addresses(base_url: str, endpoint: str) -> None:
    """An endpoint is scheme, host, port and path in one spelling, so that one job has one ledger."""
    assert endpoint_of(base_url) == endpoint
    assert endpoint_of(endpoint) == endpoint
    assert endpoint_of(base_url, files_path="/v1/flow/files") == endpoint


@pytest.mark.parametrize(
    ("base_url", "files_path", "endpoint"),
    [
        ("https://flow.seekr.com/v1/flow", "/v1/flow/files", HOME),
        ("https://flow.seekr.com/v1/flow/files", "/v1/flow/files", HOME),
        ("https://flow.seekr.com/v1/flow/files/", "/v1/flow/files", HOME),
        ("https://flow.seekr.com//v1/flow//", "/v1/flow/files", HOME),
        ("https://gateway.example/flow/v1/flow", "/v1/flow/files", "https://gateway.example/flow"),
        ("https://gateway.example/flow", "/v1/flow/files", "https://gateway.example/flow"),
        ("https://gateway.example/my-v1/flow", "/v1/flow/files", "https://gateway.example/my-v1/flow"),
        ("https://gateway.example/api/v2/files", "/api/v2/files", "https://gateway.example"),
        ("https://gateway.example/api/v2", "/api/v2/files", "https://gateway.example"),
        ("https://gateway.example/api", "/api/v2/files", "https://gateway.example/api"),
        ("https://gateway.example/x/files", "/files", "https://gateway.example/x"),
        ("https://gateway.example/v1", "/files", "https://gateway.example"),
    ],
)
def test_a_path_of_the_api_that_was_pasted_along(base_url: str, files_path: str, endpoint: str) -> None:
    """What is the profile's own path is taken off; what may be a gateway's stays."""
    assert endpoint_of(base_url, files_path=files_path) == endpoint
    assert endpoint_of(endpoint, files_path=files_path) == endpoint


@pytest.mark.parametrize(
    "base_url",
    [
        "", " ", "flow.seekr.com", "//flow.seekr.com", "ftp://flow.seekr.com", "file:///etc/passwd", "https://",
        "https:///v1", "https:flow.seekr.com", "https://:443", "https://host:99999", "https://host:-1",
        "https://host:port", "https://host:0", "https://[::1", "https://[::g]", "https://[v1.a]", "https://::1",
        "https://host?team=1", "https://host#here", "https://exa mple.com", "https://host\\evil.example",
        "https://host\x00", "https://host%2eexample", "https://h\u202eost", "https://\uff48ost", "https://host/a b",
        "https://host/\u202e", "https://host/é", 'https://host/"', "https://host\udc80", "https://a,b", "https://<host>",
        "https://ho\nst", "https://host/\tv1", "https://-", "https://.", "https://..",
    ],
)  # fmt: skip
def test_bad_addresses(base_url: str) -> None:
    """What is no clean http(s) address is refused before anything is read or sent, with an example."""
    with pytest.raises(UsageError, match="is not the address of a server") as caught:
        endpoint_of(base_url, allow_plain_http=True)
    assert caught.value.hint
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "host",
    ["flow.seekr.com", "0.0.0.0", "10.0.0.1", "localhost.example", "127.0.0.1.example", "[::2]", "128.0.0.1"],
)
def test_plain_http(host: str) -> None:
    """A key travels unencrypted over a network only where the person says so."""
    with pytest.raises(UsageError, match="unencrypted") as caught:
        endpoint_of(f"http://{host}:8099")
    assert caught.value.hint is not None
    assert "--allow-plain-http" in caught.value.hint
    assert endpoint_of(f"http://{host}:8099", allow_plain_http=True) == f"http://{host}:8099"


@pytest.mark.parametrize(
    "base_url",
    [
        "https://user:hunter2@flow.seekr.com",
        "https://hunter2@flow.seekr.com",
        "http://user:hunter2@127.0.0.1",
        "https://:hunter2@flow.seekr.com",
        "ftp://user:hunter2@flow.seekr.com",
        "https://user:hunter2@flow.seekr.com:99999",
        "https://user:hunter2@flow.seekr.com/?q=1",
        "https://user:hunter2@",
        "https://user:hunter2@[::1",
        "user:hunter2@flow.seekr.com",
        "https://user:hunter2@flow.seekr.com@b",
        "https://user:hunter2 @flow.seekr.com",
        "https://flow.seekr.com?key=hunter2",
        "https://flow.seekr.com/v1#hunter2",
        "http://flow.seekr.com/?key=hunter2",
        "ftp://flow.seekr.com?key=hunter2",
    ],
)
def test_no_secret_in_a_complaint(base_url: str) -> None:
    """A password or key in a base URL is refused, and never repeated in the complaint."""
    with pytest.raises(UsageError) as caught:
        endpoint_of(base_url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in (caught.value.hint or "")


def test_user_info_is_named() -> None:
    """Where the user name or password is the only fault, the complaint says so."""
    with pytest.raises(UsageError, match="user name or password") as caught:
        endpoint_of("https://user:hunter2@flow.seekr.com/v1")
    assert caught.value.hint is not None
    assert "SEEKR_API_KEY" in caught.value.hint


@given(
    st.text(st.characters(exclude_categories=()))
    | st.from_regex(r"https?://[a-z0-9.:@\[\]/?#%\\-]*", fullmatch=True)
)
def test_any_text(base_url: str) -> None:
    """Any text is an endpoint in its one spelling, or a usage error."""
    try:
        endpoint = endpoint_of(base_url)
    except UsageError as error:
        complaint = str(error)
    else:
        complaint = ""
        assert endpoint_of(endpoint) == endpoint
        assert endpoint.isascii()
        assert endpoint.isprintable()
        assert not set(endpoint) & set(" ?#@\\")
    assert complaint.isprintable()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("a.localhost", True),
        ("127.0.0.1", True),
        ("127.255.0.1", True),
        ("::1", True),
        ("notlocalhost", False),
        ("localhost.example", False),
        ("0.0.0.0", False),
        ("::", False),
        ("127.1", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    """Only what can mean nothing but this machine is loopback."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("endpoint", "stem"),
    [
        (HOME, "job"),
        ("http://127.0.0.1:8099", "job@127.0.0.1-8099"),
        ("http://localhost", "job@localhost-80"),
        ("https://gateway.example", "job@gateway.example-443"),
        ("https://gateway.example:8443/flow", "job@gateway.example-8443"),
        ("http://[::1]:8099", "job@__1-8099"),
        (HOME + ":8443", "job@flow.seekr.com-8443"),
    ],
)
def test_ledger_stem(endpoint: str, stem: str) -> None:
    """A rehearsal's ledger has its host and port in its name, the real job's has not."""
    assert ledger_stem("job", endpoint=endpoint, home_endpoint=HOME) == stem


def test_ledger_stem_keeps_the_manifests_name() -> None:
    """Whatever a manifest is called, its ledger is called after it, and has no folder of its own."""
    assert ledger_stem("my.job@home", endpoint=HOME, home_endpoint=HOME) == "my.job@home"
    for endpoint in ("https://[2001:db8::1]", "https://a.example/x/y"):
        assert "/" not in ledger_stem("job", endpoint=endpoint, home_endpoint=HOME)
