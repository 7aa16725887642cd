"""Which addresses of objects are accepted, in which form, and what is never shown of those that are refused."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bulk_upload.core.manifest.sent_name import sent_name
from bulk_upload.core.objects.address import (
    Address,
    AddressFlaw,
    folder_in,
    is_address,
    is_plain_to_elsewhere,
    read_address,
    read_prefix,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a/b.jsonl", Address("s3", "bucket", "a/b.jsonl")),
        ("S3://Bucket/a b%20c", Address("s3", "Bucket", "a b%20c")),
        ("s3://b/what?.jsonl", Address("s3", "b", "what?.jsonl")),
        ("gs://b/é", Address("gs", "b", "é")),
        ("az://box/x", Address("az", "box", "x")),
        ("https://Host.example:443/a%20b", Address("https", "host.example", "a b")),
        ("http://127.0.0.1:80/x", Address("http", "127.0.0.1", "x")),
        ("https://[::1]:8443/x", Address("https", "[::1]:8443", "x")),
        ("https://host/%7Euser/x", Address("https", "host", "~user/x")),
        ("sftp://Host:22/a b?c", Address("sftp", "host:22", "a b?c")),
        ("hf://datasets/o/n/a/b.jsonl", Address("hf", "datasets/o/n", "a/b.jsonl")),
        ("hf://datasets/o/n@main/a%20b", Address("hf", "datasets/o/n", "a%20b")),
        ("HF://o/n@v1.0/x", Address("hf", "models/o/n@v1.0", "x")),
        ("hf://models/o/n@a%2Fb/x", Address("hf", "models/o/n@a%2Fb", "x")),
        ("hf://spaces/o/n@refs/pr/7/x", Address("hf", "spaces/o/n@refs/pr/7", "x")),
        (
            "hf://datasets/o/n@refs/convert/parquet/d/x",
            Address("hf", "datasets/o/n@refs/convert/parquet", "d/x"),
        ),
    ],
)
def test_read(text: str, expected: Address) -> None:
    """A key of a store is taken as it is, that of a URL without its escapes."""
    assert read_address(text) == expected
    assert read_address(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("s3://AKIA:SECRET@bucket/x", "address-with-password"),
        ("https://user:SECRET@host/x", "address-with-password"),
        ("https://SECRET@host/x", "address-with-password"),
        ("https://host/x?X-Amz-Signature=SECRET", "signed-address"),
        ("s3://b/x?X-Amz-Credential=SECRET&X-Amz-Signature=SECRET", "signed-address"),
        ("gs://b/x?X-Goog-Signature=SECRET", "signed-address"),
        ("https://a.blob.core.windows.net/c/x?sv=2024&sig=SECRET", "signed-address"),
        ("https://host?token=SECRET", "signed-address"),
        ("https://host/x?download=SECRET", "address-with-query"),
        ("https://host/x#SECRET", "address-with-query"),
        ("https://ho st/SECRET", "bad-address"),
        ("https://host/%ff", "bad-address"),
        ("https://host/100%", "bad-address"),
        ("https://host/a%2Fb", "bad-address"),
        ("s3:///x", "bad-address"),
        ("s3://b/a//b", "bad-key"),
        ("s3://b/../x", "bad-key"),
        ("https://host/a/./b", "bad-key"),
        ("s3://b/a\nb", "bad-key"),
        ("s3://b/\udc80", "bad-key"),
        ("s3://b/" + "x" * 1025, "bad-key"),
        ("s3://b", "not-a-file"),
        ("s3://b/folder/", "not-a-file"),
        ("https://host/", "not-a-file"),
        ("gopher://host/x", "unknown-scheme"),
        ("sftp://me:SECRET@host/x", "address-with-password"),
        ("hf://name", "bad-address"),
        ("hf://buckets/owner/name/x", "bad-address"),
        ("hf://datasets/owner/name@/x", "bad-address"),
        ("hf://datasets/owner/name/x?token=SECRET", "signed-address"),
        ("hf://datasets/owner/name/a//b", "bad-key"),
        ("hf://datasets/owner/name", "not-a-file"),
        ("file:///etc/passwd", "unknown-scheme"),
    ],
)
def test_refused(text: str, rule: str) -> None:
    """What expires, is secret or cannot be asked for is refused by its own rule, and no secret is in the words."""
    assert is_address(text)
    with pytest.raises(AddressFlaw) as found:
        read_address(text)
    assert found.value.rule == rule
    assert "SECRET" not in str(found.value) + found.value.remedy


@pytest.mark.parametrize("path", ["a/b.jsonl", "/a/b", "C:/x", "a:b", "://x", "1s3://x", "x/s3://b/k"])
def test_paths_are_no_addresses(path: str) -> None:
    """A file with a colon in its name stays a file."""
    assert not is_address(path)


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=20)
)
def test_every_key_survives(name: str) -> None:
    """An object of any name has one address, which names it again."""
    assume(name not in (".", "..") and "=" not in name)
    for scheme in ("s3", "https"):
        address = Address(scheme, "home", f"a/{name}")
        assert read_address(str(address)) == address


def test_names() -> None:
    """An object is sent under its own name, without the escapes of its URL; its folders are those of its key."""
    assert sent_name("https://host/d/a%20b.jsonl") == "a b.jsonl"
    assert sent_name("s3://b/d/a%20b.jsonl") == "a%20b.jsonl"
    assert sent_name("d/a%20b.jsonl") == "a%20b.jsonl"
    assert folder_in("s3://b/x/y/z.jsonl") == "x/y"
    assert folder_in("https://host/z.jsonl") == ""
    assert folder_in("x/y/z") == "x/y"
    assert folder_in("hf://datasets/o/n@v1/x/y/z.jsonl") == "x/y"
    assert folder_in("hf://datasets/o/n/z.jsonl") == ""
    assert folder_in("sftp://host/x/y/z.jsonl") == "x/y"


def test_prefixes() -> None:
    """A prefix may end with a slash or not, or be a whole bucket; a web server has none."""
    assert read_prefix("s3://b/data/") == read_prefix("s3://b/data") == Address("s3", "b", "data")
    assert read_prefix("gs://b/") == read_prefix("gs://b") == Address("gs", "b", "")
    with pytest.raises(AddressFlaw, match="cannot be listed"):
        read_prefix("https://host/data/")


@pytest.mark.parametrize(
    ("text", "is_plain"),
    [
        ("http://127.0.0.1:9000/x", False),
        ("http://localhost/x", False),
        ("http://[::1]/x", False),
        ("http://127.0.0.1.example/x", True),
        ("http://10.0.0.1/x", True),
        ("https://10.0.0.1/x", False),
        ("s3://http/x", False),
    ],
)
def test_plain(text: str, is_plain: bool) -> None:
    """Only http:// to another machine goes over a line in plain text."""
    address = read_address(text)
    assert is_plain_to_elsewhere(address.scheme, address.home) is is_plain
