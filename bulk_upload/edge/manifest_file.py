"""Manifests on disk or on standard input: opened once and read again as often as needed; written whole or not at
all."""

from __future__ import annotations

import errno
import io
import os
import shlex
import stat
import sys
import tempfile
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import IO, TYPE_CHECKING, Self

from bulk_upload.core.machine.shortage import shortage_in
from bulk_upload.core.manifest.header import header_of, is_header
from bulk_upload.core.manifest.jsonl import jsonl_line
from bulk_upload.core.manifest.paths import is_beneath
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import LINE_BYTES_MAX, ManifestRules
from bulk_upload.core.model import Entry
from bulk_upload.core.objects.address import is_prefix, prefix_stem
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.run.job import folder_ledger_paths, ledger_path
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import quoted
from bulk_upload.edge.output import descriptor_of, is_stream, replaced
from bulk_upload.errors import ManifestInvalid, ResourceShortage, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from _typeshed import WriteableBuffer

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.run.job import Job

STANDARD_INPUT = "-"
LINES_LOOKED_AT = 10
"""How many lines decide whether a file is a manifest."""

_STANDARD_INPUT_NO = 0

_ANY_PURPOSE = next(iter(PURPOSES))
_COPY_BYTES = 1024 * 1024
_HINTS = {
    errno.ENOENT: "Check the name; `bulk-upload scan FOLDER` writes a manifest for a folder",
    errno.EACCES: "Allow this user to read it",
    errno.EISDIR: "Name a file; `bulk-upload scan FOLDER` writes a manifest for a folder",
    errno.ENOSPC: "Free some space for temporary files, or set TMPDIR to a folder with free space",
}


class ManifestFile:
    """An open manifest. `lines` reads the same file each time, also when another one got its name meanwhile.

    Attributes:
        name: the manifest's name in findings.
        is_stream: it came from standard input or a pipe.
        path: the absolute path, `-` for a stream.
        base_folder: the absolute folder it lies in, symbolic links as they are; of a stream, the current folder.
        has_header: whether its first line is a header.

    Raises:
        UsageError: there is no such file, it is a folder or a device, or it cannot be read.
        ManifestInvalid: it is empty.
    """

    def __init__(
        self, name: str, *, stdin: IO[bytes] | None = None, entries: Iterable[Entry] | None = None
    ) -> None:
        """Open a file, or standard input where `name` is `-` or an alias of it, such as `/dev/stdin`.

        A stream is first copied to its end into an unnamed temporary file. `stdin` replaces the standard input
        of the process. `entries` are written to such a file, and nothing is opened; `name` is for findings alone.
        """
        name = STANDARD_INPUT if is_standard_input(name) else name
        self.name = "<stdin>" if name == STANDARD_INPUT else name
        try:
            if entries is None:
                self._file, self.is_stream = _rereadable(name, stdin)
            else:
                self._file, self.is_stream = _written(map(jsonl_line, entries)), True
        except OSError as error:
            raise _unreadable(self.name, error) from error
        except ValueError as error:
            raise UsageError(f"no manifest can have the name {quoted(name)}") from error
        self.path = STANDARD_INPUT if self.is_stream else os.path.abspath(name)
        self.base_folder = os.path.join(os.getcwd(), "" if self.is_stream else os.path.dirname(name))
        if not os.fstat(self._file.fileno()).st_size:
            self.close()
            raise ManifestInvalid(
                f"the manifest {quoted(self.name)} is empty",
                hint='Write one line for each file: {"path": "train.jsonl", "purpose": "..."}',
            )
        self._first_line = next(self.lines(), b"")
        self.has_header = is_header(self._first_line)

    def root(self, given: str | None) -> str:
        """Return where paths start: the folder that was given, else the one of the header, else the manifest's own.

        Raises UsageError for a header that leads out of the manifest's folder: a manifest from someone else could send any
        file with it.
        """
        if given is not None or not self.has_header:
            return self.base_folder if given is None else given
        with suppress(ValueError):
            named = os.path.join(self.base_folder, header_of(self._first_line).root or "")
            own, theirs = map(os.path.realpath, (self.base_folder, named))
            if theirs != own and not is_beneath(theirs, own):
                raise UsageError(
                    f"the header of {printable(self.name)} names a root outside its folder: {printable(named)}",
                    hint=f"pass --root {printable(shlex.quote(named))} if you trust the manifest",
                )
            return named
        return self.base_folder

    def lines(self) -> Iterator[bytes]:
        """Yield the lines from the first one on, with their ends.

        A line that is longer than any entry is cut to one byte more than the limit.

        Raises:
            OSError: the disk failed.
        """
        return lines_from_start(self._file.fileno())

    def close(self) -> None:
        """Close the file; this deletes a temporary copy."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lines_from_start(descriptor: int) -> Iterator[bytes]:
    """Yield the lines of an open file, as `ManifestFile.lines` does; several may read it at the same time."""
    with io.BufferedReader(_FromStart(descriptor), _COPY_BYTES) as reader:
        while line := reader.readline(LINE_BYTES_MAX + 1):
            yield line
            if len(line) > LINE_BYTES_MAX and not line.endswith(b"\n"):
                _skip_line(reader)


class _FromStart(io.RawIOBase):
    """Reads an open file from its start by position, so that several readers do not disturb each other."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        piece = os.pread(self._descriptor, len(view), self._position)
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


def write_manifest(name: str, lines: Iterable[bytes], *, private: bool = False) -> None:
    """Write a manifest whole or not at all: an existing file stays in place until the new one is on disk.

    When `lines` raises, nothing is left behind. A stream (`/dev/stdout`) is written to as it is. A private manifest
    is for its owner alone.

    Raises:
        UsageError: the name is that of a file which is not a manifest, or cannot be written.
    """
    try:
        if descriptor_of(name) is None:
            _refuse_to_replace(os.path.realpath(name), name)
        with replaced(name, private=private) as file:
            for line in lines:
                file.write(line)
    except OSError as error:
        raise _unwritable(name, error) from error


def is_standard_input(name: str) -> bool:
    """Whether a manifest is standard input, under any of its names."""
    return name == STANDARD_INPUT or descriptor_of(name) == _STANDARD_INPUT_NO


def comes_by_stream(name: str) -> bool:
    """Whether a manifest is read from a stream, under any of its names: it has no folder, and can be read once.

    `-`, `/dev/stdin`, `/dev/fd/63` (which a shell makes of `<(command)`), a named pipe, also behind links.
    """
    return name == STANDARD_INPUT or is_stream(name)


def ledger_path_of(job: Job, connection: Connection) -> str:
    """Return the path of a job's ledger. The job's manifest may be a folder: see `folder_ledger_path`; or the address
    of a prefix.

    Raises UsageError for a manifest read from a stream: it has no folder to keep a ledger in.
    """
    name = job.manifest
    if not name and job.entries is None:
        raise UsageError(
            "a job has neither a manifest nor entries", hint="pass the path of a manifest, or entries=[…]"
        )
    if job.ledger is None and not name:
        raise UsageError("entries have no place for their ledger by themselves", hint="pass ledger=FILE")
    if is_prefix(name):
        # Where the objects lie no ledger can be: it is in the current folder, named after bucket and prefix.
        return ledger_path(
            job, connection, manifest=os.path.abspath(f"{prefix_stem(name)}.list"), folder=name
        )
    if job.ledger is None and _is_folder(name):
        return folder_ledger_path(job, connection)
    if job.ledger is None and comes_by_stream(name):
        where = "on standard input" if is_standard_input(name) else f"from {printable(name)}, a stream,"
        raise UsageError(f"a manifest {where} has no place for its ledger", hint="pass --ledger FILE")
    manifest = os.path.abspath(name)
    folder = os.path.realpath(os.path.dirname(manifest))
    return ledger_path(job, connection, manifest=manifest, folder=folder)


def folder_ledger_path(job: Job, connection: Connection) -> str:
    """Return the path of the ledger of a job whose manifest is a folder: beside the folder, named after it.

    Where no file can be made beside the folder, it is in it; a ledger that is already in one of the two places stays.
    Every spelling of the folder, and every link to it, gives the same path.

    Raises:
        UsageError: the ledger can be in neither place, or there is one in each.
    """
    root = os.path.realpath(job.manifest)
    places = folder_ledger_paths(job, connection, root=root)
    found = [one for one in places if os.path.lexists(one)]
    if len(found) > 1:
        raise UsageError(
            f"{quoted(root)} has two ledgers: {' and '.join(map(quoted, found))}",
            hint="name the one that counts with --ledger FILE, and remove the other",
        )
    made = found or [one for one in places if os.access(os.path.dirname(one) or ".", os.W_OK | os.X_OK)]
    if not made and job.ledger_dir is None:
        raise UsageError(
            f"no ledger can be made beside {quoted(root)} or in it: this user may not write there",
            hint="choose another place with --ledger-dir DIR or --ledger FILE",
        )
    return (made or places)[0]


def _is_folder(name: str) -> bool:
    try:
        return os.path.isdir(name)
    except ValueError:
        return False


def names_files(name: str) -> bool:
    """Whether a file is a manifest, by its first lines: training data has no paths in it.

    Raises:
        UsageError: as `ManifestFile` does.
        ManifestInvalid: it is empty.
    """
    with ManifestFile(name) as manifest:
        return lists_files(manifest.lines())


def lists_files(lines: Iterable[bytes]) -> bool:
    """Whether lines are those of a manifest, by the first `LINES_LOOKED_AT` of them."""
    rules = ManifestRules(where="", root="/", allow_outside=True, default_purpose=_ANY_PURPOSE)
    return any(isinstance(one, Entry) for one in read_manifest(islice(lines, LINES_LOOKED_AT), rules))


def _rereadable(name: str, stdin: IO[bytes] | None) -> tuple[IO[bytes], bool]:
    """Return a file that can be read repeatedly, and whether it is a copy of a stream."""
    if name == STANDARD_INPUT:
        return _spooled(stdin or sys.stdin.buffer), True
    descriptor = descriptor_of(name)
    opened = _opened(name) if descriptor is None else os.fdopen(os.dup(descriptor), "rb", buffering=0)
    if not is_stream(name) and stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
        return opened, False
    with opened:
        return _spooled(opened), True


def _opened(name: str) -> IO[bytes]:
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return os.fdopen(descriptor, "rb", buffering=0)
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    raise OSError(errno.EINVAL, "it is a device")


def _spooled(source: IO[bytes]) -> IO[bytes]:
    return _written(iter(partial(source.read, _COPY_BYTES), b""))


def _written(pieces: Iterable[bytes]) -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 (the ManifestFile closes it)
    try:
        copy.writelines(pieces)
        copy.flush()
    except BaseException:
        copy.close()
        raise
    return copy


def _skip_line(reader: io.BufferedReader[_FromStart]) -> None:
    while (piece := reader.readline(_COPY_BYTES)) and not piece.endswith(b"\n"):
        pass


def _refuse_to_replace(target: str, name: str) -> None:
    """Keep a typing error in `-o` from destroying training data: only an empty file or a manifest is replaced."""
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "rb") as file:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            first_line = file.readline(LINE_BYTES_MAX)
            if not first_line or is_header(first_line) or _is_entry(first_line):
                return
    raise UsageError(
        f"{quoted(name)} exists and is not a manifest",
        hint="Choose another name for the manifest, or remove what has this name",
    )


def _is_entry(line: bytes) -> bool:
    rules = ManifestRules(where="", root="/", allow_outside=True, allow_unknown_purpose=True)
    return any(isinstance(result, Entry) for result in read_manifest([line], rules))


def _unreadable(name: str, error: OSError) -> UsageError | ResourceShortage:
    if (shortage := shortage_in(error)) is not None:
        return shortage
    reason = error.strerror or type(error).__name__
    message = f"cannot read the manifest {quoted(name)}: {reason}"
    return UsageError(message, hint=_HINTS.get(error.errno or 0))


def _unwritable(name: str, error: OSError) -> UsageError:
    reason = error.strerror or type(error).__name__
    hint = "With -o, choose a path for the manifest that is writable and on a disk with free space"
    return UsageError(f"cannot write the manifest {quoted(name)}: {reason}", hint=hint)
