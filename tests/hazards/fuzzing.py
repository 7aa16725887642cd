"""Inputs that somebody might make to break a parser: hostile pieces, put together and damaged at random.

Seeded: a failure names the seed and the input, and comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

ATOMS: tuple[bytes, ...] = (
    b"\x00", b"\x1b[2J", b"\x1b]0;title\x07", b"\x7f", b"\x9b31m", b"\r\n", b"\r", b"\n", b"\t", b"\x0b", b"\x0c",
    "\u202e".encode(), "\u2066".encode(), "\u2028".encode(), "\u200b".encode(), "\ufeff".encode(), "\u0085".encode(),
    "e\u0301".encode(), "\U0001f4a9".encode(), "\u0661\u0662".encode(), "\uff1d\uff0b".encode(), "ÄÖÜ".encode(),
    b"\xff", b"\xfe\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\\ud800", b"\\udcff", b"\\u0000",
    b"=cmd|' /C calc'!A0", b"+1", b"-1", b"@SUM(1)", b"|x", b";=1", b'";=1', b"%0a", b"%2e%2e", b"../", b"/etc/passwd",
    b"..", b".", b"", b" ", b"'", b'"', b'""', b"\\", b"/", b"//", b"`", b"$(id)", b"<script>alert(1)</script>",
    b"<!--", b"]]>", b"&lt;", b"{", b"}", b"[", b"]", b"{}", b"[]", b":", b",", b";", b"null", b"true", b"NaN",
    b"Infinity", b"1e999", b"-0", b"9" * 400, b"0x10", b"1_000", b"[" * 2000, b'{"a":' * 2000, b"x" * 5000,
    b'"path"', b'"purpose"', b'"id"', b'"bytes"', b'"data"', b'"detail"', b'"fields"', b"fine-tune", b"file-1",
    b'{"path": "a", "path": "b"}', b"path,purpose", b"Thu, 31 Dec 9999 23:59:59 GMT", b"[red]", b"\x1b[0m",
)  # fmt: skip


def piece(random: Random) -> bytes:
    """Return one hostile piece, or a few bytes of nothing in particular."""
    if random.random() < 0.8:
        return random.choice(ATOMS)
    return random.randbytes(random.randrange(8))


def mutated(random: Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of the sound inputs with up to eight damages, or nothing but pieces."""
    data = bytearray(random.choice(seeds) if random.random() < 0.9 else b"")
    for _ in range(random.randrange(1, 9)):
        at = random.randrange(len(data) + 1)
        end = min(len(data), at + random.randrange(1, 9))
        match random.randrange(5):
            case 0 | 1:
                data[at:at] = piece(random)
            case 2:
                data[at:end] = piece(random)
            case 3:
                del data[at:end]
            case 4:
                data[at:at] = data[max(0, at - 40) : end]
    return bytes(data)


def texts(random: Random) -> str:
    """Return a text of hostile pieces, lone surrogates included."""
    raw = b"".join(piece(random) for _ in range(random.randrange(4)))
    text = raw.decode("utf-8", "surrogateescape")
    return text if random.random() < 0.8 else text + chr(random.randrange(0x110000))


def fuzz(count: int, seed: int, attempt: Callable[[Random], object]) -> None:
    """Call `attempt` so many times, each with chance of its own; an error names what to call again."""
    for number in range(count):
        key = f"{seed}-{number}"
        try:
            attempt(Random(key))
        except Exception as error:
            error.add_note(f"again: attempt(Random({key!r}))")
            raise
