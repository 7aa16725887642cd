"""What a caller wants uploaded, in any of the forms that it may have, as a job."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from bulk_upload.core.model import Entry
from bulk_upload.core.objects.address import is_prefix
from bulk_upload.core.objects.options import SourceOptions  # noqa: TC001 - `help` evaluates the annotations
from bulk_upload.core.run.job import AnyPath, Job
from bulk_upload.core.text.wording import did_you_mean, quoted
from bulk_upload.edge.folder.place import is_folder
from bulk_upload.edge.manifest_file import comes_by_stream, names_files
from bulk_upload.errors import ManifestInvalid, UsageError
from bulk_upload.job_plan import JobInput, JobPlanner
from bulk_upload.library.folders import FOLDER_NAMES, FolderOptions, check_folder_options, folder_input

AnyEntry = Entry | AnyPath | Mapping[str, object]
"""One file to upload: an `Entry`, a path, or a mapping with the fields of a manifest's line."""

What = Job | AnyPath | Iterable[AnyEntry]
"""What to upload: a folder, a manifest or one data file by its path, entries, or a `Job`."""

Source = Callable[[JobPlanner, Callable[[int], None]], JobInput]


class JobOptions(FolderOptions, total=False):
    """The fields of `Job` by keyword, but for its manifest and entries, and what chooses the files of a folder."""

    ledger: AnyPath | None
    ledger_dir: AnyPath | None
    root: AnyPath | None
    purpose: str | None
    follow_symlinks: bool
    allow_outside: bool
    force: bool
    ignore_ctime: bool
    moved_root: bool
    name_template: str | None
    strict_paths: bool
    files_removed: bool
    private: bool
    sources: Iterable[SourceOptions]
    plain_sources: bool


JOB_NAMES = frozenset(JobOptions.__annotations__)
_FIELDS = tuple(name for name in Entry.__struct_fields__ if name != "line_no")


def source_of(what: What, options: JobOptions) -> Source:
    """Return a function that returns the job. It may block: the first lines of a file say what it is.

    A folder is searched. A file whose first lines name files is a manifest, as is whatever is read from a stream; any other file is data,
    uploaded as a part of its folder's job. Entries are taken in at once.

    Raises UsageError, also later.
    """
    if isinstance(what, Job):
        if options:
            raise UsageError(f"{next(iter(options))} is given beside a Job", hint="pass it to the Job")
        return lambda _planner, _on_count: JobInput(job=what)
    check_folder_options(options)
    # Made for its checks: what is wrong is told at the call, and not by the run.
    Job(**_of_job(options))
    if isinstance(what, (str, os.PathLike)):
        path = os.fspath(what)
        return partial(_input_of_path, path, options)
    if unfit := FOLDER_NAMES & options.keys():
        raise _not_a_folder(unfit)
    if isinstance(what, (bytes, Mapping)) or hasattr(what, "read") or not isinstance(what, Iterable):
        raise UsageError(f"what to upload is of the type {type(what).__name__}", hint=_hint_for(what))
    entries = tuple(_entry(number, one, options.get("purpose")) for number, one in enumerate(what, start=1))
    if not entries:
        raise UsageError("there are no entries to upload", hint="name at least one file")
    job = _job_of_entries(entries, options)
    return lambda _planner, _on_count: JobInput(job=job)


def _hint_for(what: object) -> str:
    if hasattr(what, "read"):
        return "pass the path of the file in place of the open file"
    if isinstance(what, AsyncIterable):
        return "take its entries in first: [one async for one in …]"
    if isinstance(what, Mapping):
        return "pass a list of entries, also for one"
    return "pass the path of a folder, a manifest or a file, a list of entries, or a Job"


def _of_job(options: JobOptions) -> Any:  # noqa: ANN401 - keyword arguments
    return {name: value for name, value in options.items() if name not in FOLDER_NAMES}


def _input_of_path(
    path: str, options: JobOptions, planner: JobPlanner, on_count: Callable[[int], None]
) -> JobInput:
    if is_folder(path) or is_prefix(path):
        return folder_input(Job(path, **_of_job(options)), options, planner, on_count)
    if not comes_by_stream(path) and not os.path.lexists(path):
        raise UsageError(
            f"cannot read {quoted(path)}: there is no such file or folder",
            hint=f"check the name; relative paths start from {quoted(os.getcwd())}",
        )
    if unfit := FOLDER_NAMES & options.keys():
        raise _not_a_folder(unfit)
    job = _job_of_path(path, options)
    if job.entries is None or job.root is not None:
        return JobInput(job=job)
    # A part of its folder's job, as on the command line: a run of the folder knows it.
    return folder_input(replace(job, entries=None), options, planner, on_count)


def _not_a_folder(names: Iterable[str]) -> UsageError:
    return UsageError(f"{min(names)} chooses files of a folder", hint="leave it out, or name a folder")


def _job_of_path(path: str, options: Any) -> Job:  # noqa: ANN401 - a folder's options are not among them
    if comes_by_stream(path) or _is_manifest(path):
        return Job(path, **options)
    purpose = options.get("purpose")
    if purpose is None:
        raise UsageError(
            f"{quoted(path)} is not a manifest, and as a file to upload it needs a purpose",
            hint='pass purpose="fine-tune" or another one; a manifest has lines such as '
            '{"path": "a.jsonl", "purpose": "fine-tune"}',
        )
    return Job(path, entries=[Entry(path=os.path.basename(path), purpose=purpose)], **options)


def _is_manifest(path: str) -> bool:
    try:
        return names_files(path)
    except ManifestInvalid:
        # Empty: as a manifest it is refused with a hint, as data it would be, too.
        return True


def _job_of_entries(entries: tuple[Entry, ...], options: Any) -> Job:  # noqa: ANN401 - as above
    job = Job(entries=entries, **options)
    absolute_count = sum(one.path.startswith("/") for one in entries)
    if job.root is not None or not absolute_count:
        return job
    # Named one by one: no rule about the root could be meant. What is relative needs the current folder.
    return replace(job, root="/") if absolute_count == len(entries) else replace(job, allow_outside=True)


def _entry(number: int, one: object, purpose: str | None) -> Entry:
    if isinstance(one, Entry):
        return one
    fields: dict[str, object] = {"purpose": purpose}
    if isinstance(one, str) or hasattr(one, "__fspath__"):
        fields["path"] = os.fspath(one)
    elif isinstance(one, Mapping):
        fields.update({name: value for name, value in one.items() if value is not None})
    else:
        raise UsageError(
            f"entry {number} is of the type {type(one).__name__}",
            hint="an entry is an Entry, a path, or a mapping with path and purpose",
        )
    return _entry_with(number, fields)


def _entry_with(number: int, fields: dict[str, object]) -> Entry:
    for name in fields:
        if name not in _FIELDS:
            meant = did_you_mean(str(name), _FIELDS)
            raise UsageError(
                f"entry {number} has a field {quoted(str(name))}",
                hint=f"{meant}An entry has the fields {', '.join(_FIELDS)}",
            )
    path = fields.get("path")
    if hasattr(path, "__fspath__"):
        path = os.fspath(path)
    further = fields.pop("fields", {})
    texts = {name: value for name, value in fields.items() if name != "path"}
    if not isinstance(path, str):
        raise UsageError(f"entry {number} has no path", hint="name the file to upload")
    if not isinstance(texts.get("purpose"), str):
        raise UsageError(
            f"entry {number}, {quoted(path)}, has no purpose", hint="give it one, or pass purpose= for all"
        )
    wrong = [name for name, value in texts.items() if not isinstance(value, str)]
    if wrong or not isinstance(further, Mapping):
        raise UsageError(f"entry {number}, {quoted(path)}: {(wrong or ['fields'])[0]} is of a wrong type")
    pairs = tuple(sorted((str(name), str(value)) for name, value in further.items()))
    # All of them were found to be texts above, which mypy cannot see in a dictionary.
    return Entry(path=path, fields=pairs, **texts)  # type: ignore[arg-type]
