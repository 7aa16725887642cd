"""The shape of the package: what may depend on what, and what every module owes its reader."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import bulk_upload

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bulk_upload"
LINES_MAX = 400
MODULES_MAX = 16
"""Modules a folder may have, `__init__` aside."""

# Modules that neither read a clock, draw a random number nor touch the world.
PURE_MODULES = frozenset(
    {
        "__future__", "base64", "bisect", "collections", "collections.abc", "contextlib", "csv", "dataclasses", "datetime", "difflib",
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

COMMON = frozenset({"errors", "exit_status", "version"})
EVERY_EDGE = "edge"
OUTPUT = "edge.output"
"""How files are written is one thing for all that write any: the other edges, report and sandbox."""
ALLOWED: dict[str, frozenset[str]] = {
    "exit_status": frozenset(),
    "version": frozenset(),
    "errors": frozenset({"exit_status"}),
    "core": frozenset({"errors", "exit_status"}),
    "edge": COMMON | {"core"},
    "report": frozenset({"core", "errors", "exit_status", OUTPUT}),
    "sandbox": frozenset({"core", "errors", OUTPUT}),
    "engine": COMMON | {"core", EVERY_EDGE},
    "job_run": COMMON | {"core", EVERY_EDGE, "engine"},
    "job_plan": COMMON | {"core", EVERY_EDGE, "engine", "job_folder"},
    "job_folder": COMMON | {"core", EVERY_EDGE, "engine"},
    "job_closing": frozenset({"core", EVERY_EDGE, "engine", "job_plan"}),
    "job_fleet": COMMON | {"core", EVERY_EDGE, "engine"},
    "job_runner": COMMON | {"core", EVERY_EDGE, "engine", "job_closing", "job_fleet", "job_plan", "job_run"},
    "agent_runner": COMMON | {"core", EVERY_EDGE, "engine", "job_runner"},
    "dask": COMMON | {"core", "engine", "agent_runner"},
    "agent_process": COMMON | {"core", EVERY_EDGE, "engine", "agent_runner"},
    "library": COMMON | {"core", EVERY_EDGE, "engine", "report", "job_plan", "job_run", "job_runner"},
    "job_ledger": COMMON | {"core", EVERY_EDGE, "engine"},
    "job_files": COMMON | {"core", EVERY_EDGE, "engine", "job_ledger"},
    "job_rebuild": COMMON | {"core", EVERY_EDGE, "engine", "job_plan"},
    "cli": COMMON
    | {"core", EVERY_EDGE, "engine", "report", "sandbox"}
    | {
        "job_folder",
        "job_plan",
        "job_run",
        "job_runner",
        "job_ledger",
        "job_files",
        "job_rebuild",
        "library",
        "agent_runner",
        "dask",
        "",
    },
    "": COMMON | {"core", EVERY_EDGE, "engine", "job_run", "job_ledger", "library"},
    "__main__": frozenset({"cli"}),
}
"""What each unit may import besides itself. `edge` stands for any one edge, `edge.output` for that one; the empty name
is the public facade."""

TYPES_ONLY = {("bulk_upload.errors", "bulk_upload.core.finding")}
"""Names that point upward in annotations alone: an exception carries findings, and never makes one."""


class Import(NamedTuple):
    """One imported module, where it is imported, and whether that is for annotations only."""

    importer: str
    imported: str
    line_no: int
    types_only: bool


def module_files() -> list[Path]:
    """Return every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULE_NAMES = frozenset(name_of(path) for path in module_files())
LIBRARY_FILES = [path for path in module_files() if not name_of(path).startswith("bulk_upload.cli")]
CORE_FILES = sorted((PACKAGE / "core").rglob("*.py"))

CORE_FLOORS = (
    frozenset({"text", "model", "clock"}),
    frozenset({"purposes", "finding", "objects"}),
    frozenset({"vendor_purposes", "shapes"}),
    frozenset({"dataset"}),
    frozenset({"api", "doubt", "machine", "manifest", "validation"}),
    frozenset({"bundle", "convert", "limits", "pack"}),
    frozenset({"events"}),
    frozenset({"run"}),
    frozenset({"fleet", "report"}),
    frozenset({"folder"}),
)
"""The rooms of the core, lowest floor first. A module imports from its own room and from lower floors only."""


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Return every node of a module's syntax tree."""
    return tuple(ast.walk(tree_of(path)))


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """Return every import of a module, those inside functions and for annotations included."""
    return tuple(_imports_of(path))


def _imports_of(path: Path) -> Iterator[Import]:
    for_types = {id(node) for block in _type_checking_blocks(path) for node in ast.walk(block)}
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            module = node.module or ""
            inner = {f"{module}.{alias.name}" for alias in node.names}
            targets = sorted(inner & MODULE_NAMES) or [module]
        else:
            continue
        for target in targets:
            yield Import(name_of(path), target, node.lineno, id(node) in for_types)


def _type_checking_blocks(path: Path) -> Iterator[ast.If]:
    for node in nodes_of(path):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield node


def unit_of(module: str) -> str:
    """Return the unit a module belongs to: `core`, `edge.ledger`, `cli`, … The facade's name is empty."""
    parts = module.split(".")[1:]
    if not parts:
        return ""
    return ".".join(parts[:2]) if parts[0] == "edge" else parts[0]


def layer_of(unit: str) -> str:
    """Return the row of `ALLOWED` for a unit: all edges share one."""
    return unit.partition(".")[0]


def calls_of(path: Path) -> Iterator[tuple[str, int]]:
    """Return the bare name or the attribute of everything a module calls."""
    for node in nodes_of(path):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id, node.lineno
            elif isinstance(node.func, ast.Attribute):
                yield f".{node.func.attr}", node.lineno


def test_core_imports_nothing_worldly() -> None:
    """The core knows pure standard modules, msgspec, itself, the errors and the exit codes, and nothing else."""
    wrong = [
        f"{one.importer}:{one.line_no} imports {one.imported}"
        for path in CORE_FILES
        for one in imports_of(path)
        if one.imported not in PURE_MODULES and unit_of_import(one) not in ("core", "errors", "exit_status")
    ]
    assert wrong == []


def unit_of_import(one: Import) -> str | None:
    """Return the unit that is imported, None for what is not of this package."""
    return unit_of(one.imported) if one.imported.split(".")[0] == "bulk_upload" else None


def test_core_calls_nothing_worldly() -> None:
    """The core opens, prints and asks for nothing, and reads no clock through a pure module's back door."""
    wrong = [
        f"{name_of(path)}:{line_no} calls {called}"
        for path in CORE_FILES
        for called, line_no in calls_of(path)
        if called in WORLDLY_CALLS or (called[0] == "." and called[1:] in WORLDLY_MEMBERS)
    ]
    assert wrong == []


def room_of(module: str) -> str:
    """Return the room of a module of the core: `limits`, `model`, …; the core's own `__init__` is in none."""
    return ".".join(module.split(".")[2:3])


def floor_of(room: str) -> int:
    """Return how high a room of the core lies; 0 is the lowest floor."""
    return next(height for height, rooms in enumerate(CORE_FLOORS) if room in rooms)


def test_every_room_of_the_core_has_its_floor() -> None:
    """A new room of the core must say what it may import."""
    rooms = {room_of(name_of(path)) for path in CORE_FILES} - {""}
    assert rooms <= set().union(*CORE_FLOORS)


def test_rooms_of_the_core_import_downward() -> None:
    """text, model → purposes, finding → shapes → dataset → api, machine, manifest, validation → convert, limits, pack → events → run → fleet, report → folder."""
    wrong = []
    for path in CORE_FILES:
        for one in imports_of(path):
            if unit_of_import(one) != "core":
                continue
            room, imported = room_of(one.importer), room_of(one.imported)
            if room != imported and floor_of(imported) >= floor_of(room):
                wrong.append(f"{one.importer}:{one.line_no} imports {one.imported}")
    assert wrong == []


def test_folders_are_small() -> None:
    """A folder of modules is read at a glance."""
    counts = {
        folder: sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        for folder in {path.parent for path in module_files()}
    }
    assert {str(folder): count for folder, count in counts.items() if count > MODULES_MAX} == {}


def test_imports_make_no_circle() -> None:
    """No module imports itself by way of others, also not inside a function or for an annotation."""
    graph = {
        name_of(path): {one.imported for one in imports_of(path)} & MODULE_NAMES - {name_of(path)}
        for path in module_files()
    }
    circle: list[str] = []
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert circle == []


def test_every_unit_has_its_row() -> None:
    """A new part of the package must say where it stands."""
    assert {layer_of(unit_of(name)) for name in MODULE_NAMES} <= set(ALLOWED)


def test_dependencies_point_one_way() -> None:
    """cli → library → report, engine → edge → core → errors, and never back."""
    wrong = []
    for path in module_files():
        for one in imports_of(path):
            imported = unit_of_import(one)
            unit = unit_of(one.importer)
            if imported is None or layer_of(imported) == layer_of(unit):
                continue
            if one.types_only and (one.importer, one.imported) in TYPES_ONLY:
                continue
            if not {imported, layer_of(imported)} & ALLOWED[layer_of(unit)]:
                wrong.append(f"{one.importer}:{one.line_no} imports {one.imported}")
    assert wrong == []


def test_edges_do_not_know_each_other() -> None:
    """Each edge is one resource of the world; what needs two of them is the engine's. All may write files."""
    wrong = [
        f"{one.importer}:{one.line_no} imports {one.imported}"
        for path in (PACKAGE / "edge").rglob("*.py")
        for one in imports_of(path)
        if unit_of_import(one) not in (None, unit_of(one.importer), OUTPUT)
        and layer_of(unit_of_import(one) or "") == "edge"
    ]
    assert wrong == []


def test_exceptions_are_still_needed() -> None:
    """An exception to the one way that nobody uses any more is taken back."""
    found = {(one.importer, one.imported) for path in module_files() for one in imports_of(path)}
    assert not TYPES_ONLY - found


def test_the_facades_late_imports_point_down() -> None:
    """The modules that the public names come from when first used are in the library, not in the command line."""
    homes = set(
        re.findall(r'"(bulk_upload\.[a-z_.]+)"', (PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    )
    assert homes <= MODULE_NAMES
    assert {layer_of(unit_of(one)) for one in homes} <= ALLOWED[""]


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


def _undocumented(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[str]:
    if not ast.get_docstring(node):
        yield name
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for inner in node.body:
        if isinstance(
            inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and not inner.name.startswith("_"):
            yield from _undocumented(inner, f"{name}.{inner.name}")


def test_everything_public_is_documented() -> None:
    """Every public module, class, function and method says in words what it is for."""
    assert [one for path in module_files() for one in _undocumented(tree_of(path), name_of(path))] == []


def test_modules_are_short() -> None:
    """A module fits into a reader's head."""
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in module_files()}
    assert {name: length for name, length in lengths.items() if length > LINES_MAX} == {}


def test_nothing_is_left_to_do() -> None:
    """The code has no notes to its authors."""
    note = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    wrong = [
        f"{name_of(path)}:{line_no}"
        for path in module_files()
        for line_no, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if note.search(line)
    ]
    assert wrong == []


@pytest.mark.parametrize("vague", ["utils", "util", "helpers", "helper", "manager", "common", "misc"])
def test_names_say_what_is_inside(vague: str) -> None:
    """No module or folder is called after nothing in particular."""
    assert [name for name in MODULE_NAMES if vague in name.split(".")] == []


def test_version() -> None:
    """The package tells the version it was built as."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert bulk_upload.__version__ == tomllib.load(file)["project"]["version"]
