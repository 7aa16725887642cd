"""Names made from paths."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.manifest.name_template import PARTS, NameTemplate
from bulk_upload.core.manifest.sent_name import sent_name
from bulk_upload.core.model import Entry
from bulk_upload.errors import UsageError


def made(template: str, path: str) -> str | None:
    return NameTemplate(template).named(Entry(path=path, purpose="fine-tune")).remote_name


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("{folder}-{name}", "train/en/data.jsonl", "train-en-data.jsonl"),
        ("{folder}-{name}", "data.jsonl", "-data.jsonl"),
        ("{stem}.v2{ext}", "a/data.tar.gz", "data.tar.v2.gz"),
        ("{stem}{ext}", "a/.hidden", ".hidden"),
        ("{stem}{ext}", "README", "README"),
        ("{{{name}}}", "a", "{a}"),
    ],
)
def test_parts_of_a_path(template: str, path: str, expected: str) -> None:
    """Each part is what its name says."""
    assert made(template, path) == expected


def test_the_hash_tells_entries_of_the_same_base_name_apart() -> None:
    """And it is the same one in every run."""
    assert made("{hash8}-{name}", "a/x.txt") != made("{hash8}-{name}", "b/x.txt")
    assert made("{hash8}-{name}", "a/x.txt") == made("{hash8}-{name}", "a/x.txt")


def test_a_name_of_its_own_stays() -> None:
    """What the manifest says is more than what the command line says of all."""
    entry = Entry(path="a", purpose="fine-tune", remote_name="mine")
    assert NameTemplate("{folder}-{name}").named(entry) == entry


@pytest.mark.parametrize(
    "text", ["{nam}", "{name", "}", "{name!r}", "{name:>10}", "{}", "{0}", "data", "{folder}", ""]
)
def test_what_is_no_template_is_refused(text: str) -> None:
    """The hint lists the parts."""
    with pytest.raises(UsageError) as caught:
        NameTemplate(text)
    assert "{hash8}" in str(caught.value.hint)


@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_any_path_makes_a_name_that_can_be_sent(path: str) -> None:
    """However odd a path is."""
    name = made("{folder}+{stem}.{hash8}{ext}", path)
    assert sent_name(path, name)


def test_the_parts_are_documented() -> None:
    """docs/reference/manifest.md says of each part what the code says."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "manifest.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `\{(\w+)\}` \| (.*) \|$", page, re.MULTILINE))
    assert rows == PARTS
