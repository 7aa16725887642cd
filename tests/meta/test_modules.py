"""What every module owes its reader."""

from __future__ import annotations

import ast
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

import bulk_upload
from tests.meta.source import MODULE_NAMES, ROOT, module_files, name_of, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES_MAX = 400
MODULES_MAX = 16
"""Modules a folder may have, `__init__` aside."""


def test_folders_are_small() -> None:
    """A folder of modules is read at a glance."""
    counts = {
        folder: sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        for folder in {path.parent for path in module_files()}
    }
    assert {str(folder): count for folder, count in counts.items() if count > MODULES_MAX} == {}


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
