"""docs/explanation/hazards.md promises only what a test proves."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "hazards.md").read_text("utf-8")
ROW = re.compile(r"^\| (?!hazard |---)(.+?) \| (.+) \| (.+?) \|$", re.MULTILINE)
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def names_in(path: Path) -> set[str]:
    """Return the names of the tests of a module."""
    tree = ast.parse(path.read_text("utf-8"))
    functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {one.name for one in functions if one.name.startswith("test_")}


def test_every_hazard_has_its_proof() -> None:
    """Each row names at least one test, and each named test is there."""
    rows = ROW.findall(PAGE)
    assert len(rows) >= 45
    for hazard, _, proofs in rows:
        named = PROOF.findall(proofs)
        assert named, hazard
        assert ", ".join(f"`{path}::{name}`" for path, name in named) == proofs, hazard
        for path, name in named:
            assert name in names_in(ROOT / path), f"{path} has no {name}"


def test_the_named_commands_name_files_that_are_there() -> None:
    """The commands of the long versions point at test modules with long tests in them."""
    commands = re.findall(r"^pytest .*-m (\w+)(?: (tests/[\w/]+\.py))?", PAGE, re.MULTILINE)
    assert {marker for marker, _ in commands} == {"soak", "cluster", "servers"}
    for marker, one in commands:
        assert not one or f"pytest.mark.{marker}" in (ROOT / one).read_text("utf-8"), one
