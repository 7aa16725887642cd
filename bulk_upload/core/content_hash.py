"""Hashes of contents. Each says by which function it was made, so that only like is compared with like.

As a text, a hash is `blake3:` and the digest in hexadecimal, or the digest alone, which then is a SHA-256.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

BLAKE3_PREFIX = "blake3:"


class HashFunction(StrEnum):
    """What a content is hashed with."""

    SHA256 = "sha256"
    BLAKE3 = "blake3"


SHA256_ONLY = (HashFunction.SHA256,)

NOT_INSTALLED = "the hash of what was sent is a blake3, whose package is not installed (pip install 'bulk-upload[blake3]')"


class _Digest(Protocol):
    def update(self, data: bytes, /) -> object: ...

    def hexdigest(self) -> str: ...


class ContentHasher:
    """Hashes a content piece by piece. `update` releases the interpreter's lock for pieces of more than 2 KiB.

    Raises UsageError where the package of the function is not installed.
    """

    __slots__ = ("_digest", "function", "update")

    def __init__(self, function: HashFunction) -> None:
        self.function = function
        self._digest = _new_digest(function)
        self.update = self._digest.update

    @property
    def text(self) -> str:
        """The hash of everything so far."""
        return _PREFIXES[self.function] + self._digest.hexdigest()


_PREFIXES = {HashFunction.SHA256: "", HashFunction.BLAKE3: BLAKE3_PREFIX}


def hash_of(content: bytes, function: HashFunction) -> str:
    """Return the hash of a content that is at hand. Raises UsageError as ContentHasher does."""
    if function is HashFunction.SHA256:
        return hashlib.sha256(content).hexdigest()
    hasher = ContentHasher(function)
    hasher.update(content)
    return hasher.text


def function_of(content_hash: str) -> HashFunction:
    """Return the function that made a hash."""
    return HashFunction.BLAKE3 if content_hash.startswith(BLAKE3_PREFIX) else HashFunction.SHA256


def functions_of(content_hashes: Iterable[str]) -> tuple[HashFunction, ...]:
    """Return the functions that made some hashes, in a fixed order."""
    made_by = set(map(function_of, content_hashes))
    return tuple(one for one in HashFunction if one in made_by)


def sha256_in(content_hash: str | None) -> str | None:
    """Return the digest of a SHA-256; None of another hash, and of none."""
    if content_hash is None or function_of(content_hash) is not HashFunction.SHA256:
        return None
    return content_hash


def blake3_in(content_hash: str | None) -> str | None:
    """Return the digest of a BLAKE3, without its prefix; None of another hash, and of none."""
    if content_hash is None or function_of(content_hash) is not HashFunction.BLAKE3:
        return None
    return content_hash.removeprefix(BLAKE3_PREFIX)


def named(content_hash: str) -> str:
    """Return a hash for people, with the name of its function."""
    return f"{function_of(content_hash)} {content_hash.removeprefix(BLAKE3_PREFIX)}"


def is_installed(function: HashFunction) -> bool:
    """Whether contents can be hashed with a function here."""
    try:
        _new_digest(function)
    except UsageError:
        return False
    return True


def installed() -> tuple[HashFunction, ...]:
    """Return the functions that contents can be hashed with here."""
    return tuple(one for one in HashFunction if is_installed(one))


def usable(content_hash: str | None) -> str | None:
    """Return a hash if a content can be compared with it here, else None."""
    return content_hash if content_hash is None or is_installed(function_of(content_hash)) else None


def require(function: HashFunction | None) -> None:
    """Raise UsageError where contents cannot be hashed with a function here, ValueError where it is none."""
    if function is not None:
        _new_digest(HashFunction(function))


def _new_digest(function: HashFunction) -> _Digest:
    if function is HashFunction.SHA256:
        return hashlib.sha256()
    try:
        from blake3 import blake3  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError(
            "hashes of blake3 need the package blake3, which is not installed",
            hint="pip install 'bulk-upload[blake3]'",
        ) from None
    # With one thread: files are read side by side already.
    digest: _Digest = blake3()
    return digest
