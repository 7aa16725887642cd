"""A job: what to upload, and the path of its ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec.structs import force_setattr

from bulk_upload.core.api.endpoint import ledger_stem
from bulk_upload.core.model import Entry
from bulk_upload.core.objects.options import SourceOptions
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from bulk_upload.core.api.connection import Connection

FOLDER_HASH_BYTES = 4
"""Manifests of one name in different folders share a `--ledger-dir`; they are few enough for 32 bits."""


class PathObject(Protocol):
    """What `os.PathLike` is for texts: a `pathlib.Path`, for one."""

    def __fspath__(self) -> str:
        """Return the path as a text."""


AnyPath = str | PathObject
"""A path as a text, or an object that stands for one."""


class _Input(msgspec.Struct, frozen=True):
    manifest: str = ""


class Job(_Input, frozen=True, kw_only=True):
    """What to upload, and the path of its ledger.

    Every path may be a text or a `pathlib.Path`; it is kept as a text. Raises UsageError for what is no path.

    Args:
        manifest: path of a JSONL or CSV manifest, `-` for standard input; or of a folder whose files are listed. With
            `entries` it is not read, and only names the ledger.
        entries: what to upload, in place of a manifest. Relative paths start from the current folder, or from `root`.
        ledger: path of the ledger; by default beside the manifest or folder, named after it and the endpoint.
        ledger_dir: folder of the ledger in place of the manifest's; `ledger` takes precedence.
        root: folder that relative paths start from; by default the manifest's folder.
        purpose: for entries that name none.
        follow_symlinks: symbolic links may lead out of the root.
        allow_outside: absolute paths and leading `..` may name files outside the root.
        force: send entries whose purpose is unknown, and files that validation found invalid.
        ignore_ctime: leave the change times of files out of the comparison with the ledger: only a new size,
            modification time or inode makes a file touched.
        moved_root: the tree moved to another root since the ledger was made.
        name_template: makes the sent name of entries without a `remote_name`, such as `{folder}-{name}`.
        strict_paths: refuse a manifest with any path that is missing, unreadable or refused. By default such an entry
            fails, the others are sent, and the next run looks again.
        files_removed: run a folder that has lost most of its files since the last run. By default that is refused, as a
            mount that is not there.
        private: the ledger, and what lies beside it, is for its owner alone (mode 0600).
        sources: how stores of objects are reached, where their usual places do not say so.
        plain_sources: objects may come from other machines without encryption.
    """

    entries: tuple[Entry, ...] | None = None
    ledger: str | None = None
    ledger_dir: str | None = None
    root: str | None = None
    purpose: str | None = None
    follow_symlinks: bool = False
    allow_outside: bool = False
    force: bool = False
    ignore_ctime: bool = False
    moved_root: bool = False
    name_template: str | None = None
    strict_paths: bool = False
    files_removed: bool = False
    private: bool = False
    sources: tuple[SourceOptions, ...] = ()
    plain_sources: bool = False

    if TYPE_CHECKING:
        # What is given may be more than what is kept.
        def __init__(
            self,
            manifest: AnyPath = "",
            *,
            entries: Iterable[Entry] | None = None,
            ledger: AnyPath | None = None,
            ledger_dir: AnyPath | None = None,
            root: AnyPath | None = None,
            purpose: str | None = None,
            follow_symlinks: bool = False,
            allow_outside: bool = False,
            force: bool = False,
            ignore_ctime: bool = False,
            moved_root: bool = False,
            name_template: str | None = None,
            strict_paths: bool = False,
            files_removed: bool = False,
            private: bool = False,
            sources: Iterable[SourceOptions] = (),
            plain_sources: bool = False,
        ) -> None: ...

    def __post_init__(self) -> None:
        for name in ("manifest", "ledger", "ledger_dir", "root"):
            value = getattr(self, name)
            if value is not None:
                force_setattr(self, name, _path_text(name, value))
        for name in ("purpose", "name_template"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise UsageError(f"{name} is of the type {type(value).__name__}", hint="pass a string")
        for name in _FLAGS:
            # `force="no"` would force.
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} cannot be {getattr(self, name)!r}", hint="pass True or False")
        force_setattr(self, "sources", _sources_of(self.sources))
        if self.entries is not None:
            force_setattr(self, "entries", _entries_of(self.entries))


_FLAGS = (
    "follow_symlinks",
    "allow_outside",
    "force",
    "ignore_ctime",
    "moved_root",
    "strict_paths",
    "private",
    "plain_sources",
)


def _sources_of(given: object) -> tuple[SourceOptions, ...]:
    found = tuple(given) if isinstance(given, Iterable) else (given,)
    if all(isinstance(one, SourceOptions) for one in found):
        return found
    raise UsageError(f"sources is of the type {type(given).__name__}", hint="pass a list of SourceOptions")


def _entries_of(given: object) -> tuple[Entry, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(f"entries is of the type {type(given).__name__}", hint="pass a list of Entry")
    entries = tuple(given)
    for number, one in enumerate(entries, start=1):
        if not isinstance(one, Entry):
            raise UsageError(
                f"entry {number} is of the type {type(one).__name__}",
                hint="a Job has values of the type Entry; `upload` takes paths and mappings, too",
            )
    return entries


def _path_text(name: str, value: object) -> str:
    text = value.__fspath__() if hasattr(value, "__fspath__") else value
    if isinstance(text, str) and ("\0" in text or (name == "ledger" and not text)):
        raise UsageError(f"{name} cannot be {text!r}", hint="pass the path of a file, or leave it out")
    if not isinstance(text, str):
        raise UsageError(
            f"{name} is of the type {type(value).__name__}, and must be a path",
            hint="pass a str or a pathlib.Path; os.fsdecode makes a str of bytes",
        )
    return text


def ledger_path(job: Job, connection: Connection, *, manifest: str, folder: str) -> str:
    """Return the path of a job's ledger: as set in `job`, else beside the manifest, named after it and the endpoint.

    In a `ledger_dir` the name also holds a hash of the manifest's folder.

    Args:
        job: the job.
        connection: the server that it is for.
        manifest: the absolute path of its manifest.
        folder: the manifest's folder, without symbolic links.
    """
    if job.ledger is not None:
        return job.ledger
    home, _, name = manifest.rpartition("/")
    stem = _stem(_without_suffix(name), connection)
    if job.ledger_dir is None:
        return f"{home}/{stem}.ledger.db"
    return _in_ledger_dir(job.ledger_dir, stem, folder)


def folder_ledger_paths(job: Job, connection: Connection, *, root: str) -> tuple[str, ...]:
    """Return where the ledger of a folder may be, the best place first: beside it, then in it; or as set in `job`.

    Beside it, because a folder of data may be replaced as a whole, and its ledger must survive that. The root of the file
    system has no place beside it.

    Args:
        job: the job.
        connection: the server that it is for.
        root: the absolute path of the folder, without symbolic links.
    """
    if job.ledger is not None:
        return (job.ledger,)
    home, _, name = root.rstrip("/").rpartition("/")
    stem = _stem(name or "root", connection)
    if job.ledger_dir is not None:
        return (_in_ledger_dir(job.ledger_dir, stem, home or "/"),)
    inside = f"{root.rstrip('/')}/{stem}.ledger.db"
    return (f"{home}/{stem}.ledger.db", inside) if name else (inside,)


def _stem(name: str, connection: Connection) -> str:
    return ledger_stem(name, endpoint=connection.endpoint, home_endpoint=connection.profile.base_url)


def _in_ledger_dir(ledger_dir: str, stem: str, folder: str) -> str:
    # As `os.fsencode` does: bytes that are not UTF-8 are surrogate escapes.
    digest = hashlib.blake2b(folder.encode("utf-8", "surrogateescape"), digest_size=FOLDER_HASH_BYTES)
    between = "" if ledger_dir.endswith("/") or not ledger_dir else "/"
    return f"{ledger_dir}{between}{stem}-{digest.hexdigest()}.ledger.db"


def _without_suffix(name: str) -> str:
    """Return a file name without its last dot and what follows; leading dots are part of the name."""
    stem = name.rpartition(".")[0]
    return stem if stem.strip(".") else name
