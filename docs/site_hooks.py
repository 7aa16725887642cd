"""Hooks of mkdocs: the files beside `docs` that its pages link to are pages of the site as well."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
BESIDE = {
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "benchmarks/README.md": "benchmarks.md",
}
"""Pages beside `docs`, and their names in the site."""

_OUT_OF_DOCS = re.compile(rf"\]\(((?:\.\./)*)\.\./({'|'.join(map(re.escape, BESIDE))})(#[\w-]+)?\)")
_INTO_DOCS = re.compile(r"\]\((?:\.\./)?docs/")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages beside `docs`, with their links into it."""
    for name, in_site in BESIDE.items():
        text = _INTO_DOCS.sub("](", (ROOT / name).read_text("utf-8"))
        files.append(File.generated(config, in_site, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of `docs` to the pages that were added."""

    def led_to(link: re.Match[str]) -> str:
        return f"]({link[1]}{BESIDE[link[2]]}{link[3] or ''})"

    return _OUT_OF_DOCS.sub(led_to, markdown)
