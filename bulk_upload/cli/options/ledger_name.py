"""The argument that names a ledger: a manifest or a folder in its place stands for its ledger, whatever the endpoint."""

from __future__ import annotations

import glob
import hashlib
import os
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bulk_upload.cli.options.units import Word
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import LedgerUnusable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

_SUFFIX = ".ledger.db"
_MANIFEST_SUFFIXES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv"})
_DATABASE_HEAD = b"SQLite format 3\0"
_SHOWN_MAX = 10


class LedgerName(Word):
    """The path of a ledger, or of the manifest or folder that it is for.

    Raises LedgerUnusable where those have no ledger, and UsageError where they have several.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Return the path of the ledger."""
        path = super().convert(value, param, ctx)
        if (ctx is not None and ctx.resilient_parsing) or not _stands_for_a_ledger(path):
            return path
        found = list(dict.fromkeys(_ledgers_of(path)))
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{printable(path)} has {len(found):,} ledgers: {_shown(found)}",
                hint=f"give one of them: {_commands(found, ctx)}",
            )
        if os.path.isdir(path):
            raise LedgerUnusable(
                f"there is no ledger for the folder {printable(path)}",
                hint=f"{_HINT}; a lost one is made again by `bulk-upload ledger rebuild"
                f" {printable(shlex.quote(path))}` with the options of its runs",
            )
        raise LedgerUnusable(f"{printable(path)} is not a ledger; it may be a manifest", hint=_HINT)


_HINT = (
    "give a ledger; `bulk-upload run` creates one beside its manifest, <manifest stem>.ledger.db, and --ledger or "
    "--ledger-dir may name another place"
)


def _stands_for_a_ledger(path: str) -> bool:
    """Whether a path is a folder's, or can only be a manifest's, which may be gone while its ledger is there; or the
    address of a prefix that has a ledger here."""
    if "://" in path:
        return any(_ledgers_of(path))
    if os.path.isdir(path):
        return True
    if os.path.splitext(path)[1].lower() not in _MANIFEST_SUFFIXES:
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(_DATABASE_HEAD)) != _DATABASE_HEAD
    except FileNotFoundError:
        return any(_ledgers_of(path))
    except OSError:
        return False


def _ledgers_of(path: str) -> Iterator[str]:
    """Yield the ledgers of a manifest or a folder, for any endpoint: beside it, in a folder, and in the ledger folder.

    That of a prefix is in the current folder, as `job_ledger_path` names it.
    """
    if "://" in path:
        from bulk_upload.core.objects.address import is_prefix, prefix_stem  # noqa: PLC0415 - help must not wait for it

        if not is_prefix(path):
            return
        home, name = path, prefix_stem(path)
        yield from _named("", name)
    elif os.path.isdir(path):
        real = os.path.realpath(path)
        home, name = os.path.split(real)
        # `.` and `..` have no name of their own.
        beside = (
            home
            if os.path.basename(path.rstrip("/")) in ("", ".", "..")
            else os.path.dirname(path.rstrip("/"))
        )
        yield from _named(beside, name or "root")
        yield from sorted(glob.glob(os.path.join(glob.escape(path), f"*{_SUFFIX}")))
    else:
        beside, name = os.path.split(path)
        home = os.path.realpath(beside or ".")
        name = os.path.splitext(name)[0]
        yield from _named(beside, name)
    for folder in _ledger_folders():
        yield from _named(folder, name, behind=f"-{_digest(home)}")


def _named(folder: str, name: str, *, behind: str = "") -> Iterator[str]:
    stem = os.path.join(glob.escape(folder), glob.escape(name))
    for pattern in ("", "@*"):
        yield from sorted(glob.glob(f"{stem}{pattern}{behind}{_SUFFIX}"))


def _digest(folder: str) -> str:
    """Return what the name of a ledger in a `--ledger-dir` has of the folder of its manifest."""
    from bulk_upload.core.run.job import FOLDER_HASH_BYTES  # noqa: PLC0415 - help must not wait for msgspec

    data = folder.encode("utf-8", "surrogateescape")
    return hashlib.blake2b(data, digest_size=FOLDER_HASH_BYTES).hexdigest()


def _ledger_folders() -> list[str]:
    """Return the folders that `run` keeps ledgers in by the environment and by bulk-upload.toml, as far as it is valid."""
    from bulk_upload.cli.config.reading import values_of  # noqa: PLC0415 - most commands are given a ledger

    named = [os.environ.get("BULK_UPLOAD_LEDGER_DIR", "")]
    # The file is for `run`; what is wrong with it is said there.
    with suppress(UsageError):
        named += values_of("ledger-dir")
    return [one for one in dict.fromkeys(named) if one]


def _shown(found: list[str]) -> str:
    more = ", ..." if len(found) > _SHOWN_MAX else ""
    return f"{', '.join(map(shlex.quote, found[:_SHOWN_MAX]))}{more}"


def _commands(found: list[str], ctx: click.Context | None) -> str:
    """Return the command with each of several ledgers, that which was used last first."""
    command = "bulk-upload status" if ctx is None else ctx.command_path
    by_age = sorted(found[:_SHOWN_MAX], key=_used_at_ns, reverse=True)
    first, *others = (f"`{command} {printable(shlex.quote(one))}`" for one in by_age)
    return ", ".join([f"{first} (used last)", *others])


def _used_at_ns(ledger: str) -> int:
    """Return when a ledger was last written: what a run writes is in the log beside it first."""
    at_ns = 0
    for one in (ledger, f"{ledger}-wal"):
        with suppress(OSError):
            at_ns = max(at_ns, os.stat(one).st_mtime_ns)
    return at_ns


LEDGER = LedgerName()
