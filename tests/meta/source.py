"""The modules of the package as source text, parsed once for all that ask about them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "bulk_upload"

COMMON = frozenset({"errors", "exit_status", "version"})
EVERY_EDGE = "edge"
OUTPUT = "edge.output"
"""How files are written is one thing for all that write any: the other edges, report and sandbox."""


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


def unit_of_import(one: Import) -> str | None:
    """Return the unit that is imported, None for what is not of this package."""
    return unit_of(one.imported) if one.imported.split(".")[0] == "bulk_upload" else None
