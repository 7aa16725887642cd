"""The shape of the package: what may depend on what."""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter

from tests.meta.source import (
    COMMON,
    CORE_FILES,
    EVERY_EDGE,
    MODULE_NAMES,
    OUTPUT,
    PACKAGE,
    imports_of,
    layer_of,
    module_files,
    name_of,
    unit_of,
    unit_of_import,
)

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

CORE_FLOORS = (
    frozenset({"content_hash"}),
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
    """content_hash → text, model → purposes, finding → shapes → dataset → api, machine, manifest, validation → convert, limits, pack → events → run → fleet, report → folder."""
    wrong = []
    for path in CORE_FILES:
        for one in imports_of(path):
            if unit_of_import(one) != "core":
                continue
            room, imported = room_of(one.importer), room_of(one.imported)
            if room != imported and floor_of(imported) >= floor_of(room):
                wrong.append(f"{one.importer}:{one.line_no} imports {one.imported}")
    assert wrong == []


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
