"""Where the package touches the world: never in the core, and elsewhere only where that is meant."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.meta.source import (
    CORE_FILES,
    LIBRARY_FILES,
    calls_of,
    imports_of,
    module_files,
    name_of,
    nodes_of,
    tree_of,
    unit_of_import,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Modules that neither read a clock, draw a random number nor touch the world.
PURE_MODULES = frozenset(
    {
        "__future__", "base64", "bisect", "blake3", "collections", "collections.abc", "contextlib", "csv", "dataclasses", "datetime", "difflib",
        "email.utils", "enum", "errno", "fnmatch", "functools", "hashlib", "heapq", "io", "ipaddress", "itertools", "json", "math",
        "msgspec", "msgspec.structs", "operator", "pathspec", "re", "string", "tomllib", "typing", "unicodedata", "urllib.parse",
    }
)  # fmt: skip
WORLDLY_CALLS = frozenset({"open", "print", "input", "breakpoint", "exec", "eval", "__import__"})

# Pure modules have a few members that read the clock, the system's settings or a file.
WORLDLY_MEMBERS = frozenset(
    {
        "now",
        "utcnow",
        "today",
        "localtime",
        "formatdate",
        "make_msgid",
        "uuid1",
        "uuid4",
        "FileIO",
        "open_code",
    }
)


def test_core_imports_nothing_worldly() -> None:
    """The core knows pure standard modules, msgspec, itself, the errors and the exit codes, and nothing else."""
    wrong = [
        f"{one.importer}:{one.line_no} imports {one.imported}"
        for path in CORE_FILES
        for one in imports_of(path)
        if one.imported not in PURE_MODULES and unit_of_import(one) not in ("core", "errors", "exit_status")
    ]
    assert wrong == []


def test_core_calls_nothing_worldly() -> None:
    """The core opens, prints and asks for nothing, and reads no clock through a pure module's back door."""
    wrong = [
        f"{name_of(path)}:{line_no} calls {called}"
        for path in CORE_FILES
        for called, line_no in calls_of(path)
        if called in WORLDLY_CALLS or (called[0] == "." and called[1:] in WORLDLY_MEMBERS)
    ]
    assert wrong == []


def test_the_library_does_not_print() -> None:
    """stdout and stderr belong to the command line."""
    wrong = [
        f"{name_of(path)}:{line_no}"
        for path in LIBRARY_FILES
        for called, line_no in calls_of(path)
        if called in ("print", "input", "breakpoint")
    ]
    assert wrong == []


TASK_STARTERS = frozenset({"start_soon", "create_task", "ensure_future", "run_coroutine_threadsafe"})
TASKS_STARTED_ELSEWHERE = {
    "bulk_upload.job_run.JobRun._start": "`__await__` is no coroutine function, and is run by the task that awaits",
    "bulk_upload.edge.control.server._Listener._accept": "a reader of the event loop; plain asyncio, and nobody waits",
}


def _task_starts(node: ast.AST, name: str, *, in_task: bool) -> Iterator[str]:
    """Yield the functions that start tasks although they are no coroutines: they may be called by anybody."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.AsyncFunctionDef):
            yield from _task_starts(inner, f"{name}.{inner.name}", in_task=True)
        elif isinstance(inner, ast.FunctionDef | ast.ClassDef):
            yield from _task_starts(inner, f"{name}.{inner.name}", in_task=False)
        elif isinstance(inner, ast.Lambda):
            yield from _task_starts(inner, f"{name}.<lambda>", in_task=False)
        else:
            is_start = isinstance(inner, ast.Attribute) and inner.attr in TASK_STARTERS
            if is_start and not in_task:
                yield name
            yield from _task_starts(inner, name, in_task=in_task)


def test_tasks_are_started_from_tasks() -> None:
    """Only a coroutine starts a task: a callback of the event loop has no task, and anyio refuses it where sniffio is."""
    found = {
        name for path in module_files() for name in _task_starts(tree_of(path), name_of(path), in_task=False)
    }
    assert found == set(TASKS_STARTED_ELSEWHERE)


MAY_READ_THE_ENVIRONMENT = {
    "bulk_upload.dask": "a worker has a key of its own in the variable that the run names, which may not pass the scheduler",
    "bulk_upload.edge.validation.surroundings": "keeps back from a process of ours what it has no use for, such as keys",
    "bulk_upload.library.environment": "`Uploader.from_env` is a request to read it",
}
"""Modules that may, and why."""


def test_the_library_does_not_read_the_environment() -> None:
    """Configuration comes to the library as arguments, never from the environment or the home directory."""
    names = {"environ", "environb", "getenv", "getenvb", "expanduser", "expandvars"}
    wrong = []
    for path in LIBRARY_FILES:
        if name_of(path) in MAY_READ_THE_ENVIRONMENT:
            continue
        for node in nodes_of(path):
            if isinstance(node, ast.Attribute) and node.attr in names:
                wrong.append(f"{name_of(path)}:{node.lineno} reads {node.attr}")
            elif isinstance(node, ast.ImportFrom) and names & {alias.name for alias in node.names}:
                wrong.append(f"{name_of(path)}:{node.lineno} imports from {node.module}")
    assert wrong == []


def test_the_environment_is_read_on_request_alone() -> None:
    """In the library nobody but `from_env` asks for what the environment says."""
    readers = {"key_of_environment", "proxy_of_environment", "variable"}
    asking = {
        f"{name_of(path)}.{function.name}"
        for path in LIBRARY_FILES
        for function in nodes_of(path)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in readers
    }
    assert asking == {"bulk_upload.library.uploader.from_env"}
