"""Hashes of contents say which function made them."""

from __future__ import annotations

import hashlib
import sys

import pytest

from bulk_upload.core.content_hash import (
    ContentHasher,
    HashFunction,
    blake3_in,
    function_of,
    functions_of,
    hash_of,
    installed,
    named,
    require,
    sha256_in,
    usable,
)
from bulk_upload.errors import UsageError

SHA256 = hashlib.sha256(b"abc").hexdigest()
BLAKE3 = "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"
"""Of the same content, as `b3sum` prints it."""


def test_a_sha256_is_written_as_ever() -> None:
    """Its text is the digest alone, also in the ledgers of earlier versions."""
    assert hash_of(b"abc", HashFunction.SHA256) == SHA256
    assert (function_of(SHA256), sha256_in(SHA256), blake3_in(SHA256)) == (HashFunction.SHA256, SHA256, None)
    assert named(SHA256) == f"sha256 {SHA256}"


def test_a_blake3_is_no_sha256() -> None:
    """Its text begins with its name, and no column of the other function takes it."""
    assert function_of(BLAKE3) is HashFunction.BLAKE3
    assert (sha256_in(BLAKE3), blake3_in(BLAKE3)) == (None, BLAKE3.removeprefix("blake3:"))
    assert named(BLAKE3) == BLAKE3.replace(":", " ")
    assert functions_of([BLAKE3, SHA256, BLAKE3]) == (HashFunction.SHA256, HashFunction.BLAKE3)


def test_no_hash_is_of_no_function() -> None:
    """A receipt without a hash has none in either column."""
    assert (sha256_in(None), blake3_in(None), usable(None)) == (None, None, None)


def test_a_blake3_is_that_of_other_tools() -> None:
    """Piece by piece or at once, it is the digest of the standard."""
    pytest.importorskip("blake3")
    hasher = ContentHasher(HashFunction.BLAKE3)
    for piece in (b"a", b"", b"bc"):
        hasher.update(piece)
    assert hasher.text == hash_of(b"abc", HashFunction.BLAKE3) == BLAKE3
    assert (usable(BLAKE3), installed()) == (BLAKE3, tuple(HashFunction))


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for it learns what to install; a SHA-256 needs nothing."""
    monkeypatch.setitem(sys.modules, "blake3", None)
    for act in (require, ContentHasher, lambda function: hash_of(b"", function)):
        with pytest.raises(UsageError, match="not installed") as caught:
            act(HashFunction.BLAKE3)
        assert "bulk-upload[blake3]" in (caught.value.hint or "")
    assert (usable(BLAKE3), usable(SHA256), installed()) == (None, SHA256, (HashFunction.SHA256,))
    require(HashFunction.SHA256)
    require(None)


def test_what_is_no_function_is_refused() -> None:
    """Also a switch, which is neither a function nor none."""
    with pytest.raises(ValueError, match="False"):
        # mypy refuses it as well: what untyped callers get is tested.
        require(False)  # type: ignore[arg-type]
