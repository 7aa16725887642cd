"""The docs as a site: it is built without a warning, and its API reference has every public name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import bulk_upload
from tests.docs.test_links import PAGES

ROOT = Path(__file__).parents[2]
NOT_OF_THE_SITE = {"README.md"}
"""Where the site begins is docs/README.md."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `mkdocs build --strict` makes it: a warning, such as of a link to nowhere, is an error."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings_handlers.python")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        check=True,
    )
    return folder


def test_every_public_name_has_its_docstring(site: Path) -> None:
    """The reference is made from the code, and leaves nothing out."""
    page = (site / "reference" / "api" / "index.html").read_text("utf-8")
    names = set(bulk_upload.__all__) - {"__version__"}
    assert {name for name in names if f'id="bulk_upload.{name}"' not in page} == set()


def test_every_page_is_in_the_site(site: Path) -> None:
    """Those beside `docs` that pages link to are there, too."""
    pages = [page.relative_to(ROOT).as_posix() for page in PAGES]
    assert (site / "CHANGELOG" / "index.html").is_file()
    for page in set(pages) - NOT_OF_THE_SITE:
        name = page.removeprefix("docs/").removesuffix(".md")
        folder = name.removesuffix("README").rstrip("/")
        assert (site / folder / "index.html").is_file(), page
