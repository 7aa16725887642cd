"""What is in a package: its files, its description, and nothing that only this repository needs."""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

from bulk_upload.core.api.profile import BUILT_IN_NAMES

ROOT = Path(__file__).resolve().parents[2]
BESIDE_MODULES = {
    *(f"bulk_upload/edge/profiles/{name}.toml" for name in BUILT_IN_NAMES),
    "bulk_upload/py.typed",
    "bulk_upload/report/page/live.css",
    "bulk_upload/report/page/live.js",
    "bulk_upload/report/page/script.js",
    "bulk_upload/report/page/style.css",
    "bulk_upload/samples/quickstart.csv",
    "bulk_upload/samples/quickstart.jsonl",
}
"""The files of a wheel that are no modules, but for the data of the samples."""


def wheel_files() -> set[str]:
    """Return the names of the files of a wheel, but for its metadata."""
    return {one.distribution_path for one in WheelBuilder(str(ROOT)).recurse_included_files()}


def test_a_wheel_has_the_modules_and_the_samples() -> None:
    """Every module of the package, the mark of its types and the samples; no tests, no docs, no caches."""
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bulk_upload").rglob("*.py")}
    data = {
        f"bulk_upload/samples/{path.relative_to(ROOT / 'manifests').as_posix()}"
        for path in (ROOT / "manifests" / "data").rglob("*")
        if path.is_file()
    }
    assert wheel_files() == modules | BESIDE_MODULES | data


def test_a_wheel_brings_the_man_page() -> None:
    """It is installed where `man` of the environment finds it."""
    shared = WheelBuilder(str(ROOT)).config.shared_data
    assert set(shared.values()) == {"share/man/man1/bulk-upload.1"}
    assert all(Path(one).is_file() for one in shared)


def test_a_source_package_can_be_tested() -> None:
    """It has what the tests and the docs need."""
    names = {one.distribution_path for one in SdistBuilder(str(ROOT)).recurse_included_files()}
    assert {
        "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE", "mkdocs.yml", "hatch_readme.py",
        "tests/meta/test_package.py", "docs/README.md", "docs/examples/script.py", "manifests/quickstart.jsonl",
    } <= names  # fmt: skip


def test_the_description_works_without_the_repository() -> None:
    """On a package index a relative link or picture leads nowhere: the description has none, and loses no word."""
    text = ProjectMetadata(str(ROOT), PluginManager()).core.readme
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets
    assert [one for one in targets if not one.startswith(("https://", "#"))] == []
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "short programs" in readme
    assert "short programs" in text
    assert len(text) > len(readme) * 0.8
