"""What the pages for programmers import is public."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import bulk_upload
from tests.docs import public_names

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(
    page
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    if "```python" in page.read_text("utf-8")
)
SANDBOX = ("bulk_upload.sandbox", "bulk_upload.sandbox.objects")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_import_public_names_only(page: Path) -> None:
    """An example imports from `bulk_upload` itself, and what it imports is there."""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for node in ast.walk(ast.parse(block, type_comments=False)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bulk_upload"):
                assert node.module in ("bulk_upload", "bulk_upload.dask", *SANDBOX), ast.unparse(node)
                if node.module == "bulk_upload":
                    assert {alias.name for alias in node.names} <= set(bulk_upload.__all__)


def test_public_names_are_written_down() -> None:
    """The page of names is what the package exports; `python tests/docs/public_names.py` writes it."""
    assert public_names.PAGE.read_text("utf-8") == public_names.page()
    for name in set(bulk_upload.__all__) - {"__version__"}:
        assert f"| `{name}` |" in public_names.page()
        assert public_names.said_of(name)
