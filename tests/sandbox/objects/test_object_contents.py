from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.sandbox.objects import Bucket, FolderBucket, MemoryBucket, NumberedBucket, buckets_of_folder
from bulk_upload.sandbox.objects.buckets import EPOCH
from bulk_upload.sandbox.objects.conditions import Unsatisfiable, failed_condition, wanted_range
from bulk_upload.sandbox.objects.contents import BytesContent, Content, Doubled, MadeLines, Retagged, Turned
from bulk_upload.sandbox.objects.shelf import ObjectShelf

KEYS = st.lists(st.text(alphabet="ab/ü-.", min_size=1, max_size=6), unique=True, max_size=12)


def whole(content: Content) -> bytes:
    return b"".join(content.chunks(0, content.size))


@given(st.integers(80, 40_000))
def test_made_lines_are_json_lines(size: int) -> None:
    """However long, made lines have exactly the wanted size, end in a line end, and differ from each other."""
    data = whole(MadeLines(size))
    assert len(data) == size
    lines = data.splitlines(keepends=True)
    assert all(line.endswith(b"}\n") and isinstance(json.loads(line)["text"], str) for line in lines)
    assert len(set(lines)) == len(lines)


@given(st.integers(80, 300_000), st.integers(0, 300_000), st.integers(0, 300_000))
def test_a_part_is_a_part_of_the_whole(size: int, one: int, other: int) -> None:
    """Every content gives for a range what the whole has there."""
    start, end = sorted((min(one, size), min(other, size)))
    made = MadeLines(size, seed="s")
    kinds: list[Content] = [made, BytesContent(whole(made)), Turned(made), Doubled(made), Retagged(made)]
    for content in kinds:
        assert b"".join(content.chunks(start, end)) == whole(content)[start:end]
    assert len({content.digest for content in (made, Turned(made), Doubled(made), Retagged(made))}) == 4


@pytest.mark.parametrize("data", [b"", b"x", b"\n", b"one line\n", b"one\ntwo\n", b"no\nend"])
def test_any_content_can_be_changed(data: bytes) -> None:
    """Turning keeps the bytes in another order, doubling has them twice."""
    content = BytesContent(data)
    assert sorted(whole(Turned(content))) == sorted(data)
    assert whole(Doubled(content)) == data + data


@given(KEYS, st.text(alphabet="ab/", max_size=2), st.sampled_from(["", "/"]), st.integers(1, 4))
def test_a_listing_is_complete(keys: list[str], prefix: str, delimiter: str, count: int) -> None:
    """Page by page comes every object once, in the order of UTF-8 bytes, those below a delimiter as one."""
    half = len(keys) // 2
    shelf = ObjectShelf(MemoryBucket(dict.fromkeys(keys[:half], "x")))
    for key in keys[half:]:
        shelf.put(key, BytesContent(b"y"))
    for key in keys[::3]:
        shelf.delete(key)
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = shelf.page(prefix=prefix, after=after, delimiter=delimiter, count=count)
        assert len(page.objects) + len(page.common) <= count
        found += sorted([*page.common, *(one.key for one in page.objects)], key=lambda key: key.encode())
        after = page.last
    there = [key for number, key in enumerate(keys) if number % 3 and key.startswith(prefix)]
    if delimiter:
        there = [key if (end := key.find("/", len(prefix))) < 0 else key[: end + 1] for key in there]
    assert found == sorted(set(there), key=lambda key: key.encode())


@given(KEYS, st.text(alphabet="ab/ü", max_size=2), st.text(alphabet="ab/ü-", max_size=4))
def test_a_folder_lists_as_memory_does(keys: list[str], prefix: str, after: str) -> None:
    """A walk of a folder has the order of keys, and begins where it is to."""
    with_parts = {key for key in keys if {"", ".", ".."}.isdisjoint(key.split("/"))}
    files = {key for key in with_parts if not any(one.startswith(f"{key}/") for one in with_parts)}
    with tempfile.TemporaryDirectory() as folder:
        for key in files:
            path = os.path.join(folder, *key.split("/"))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            Path(path).write_text("x")
        served: list[Bucket] = [FolderBucket(folder), MemoryBucket(dict.fromkeys(files, "x"))]
        one, other = ([found.key for found in bucket.after(prefix, after)] for bucket in served)
        assert one == other


def test_nothing_outside_of_the_folder_is_served(tmp_path: Path) -> None:
    """Keys that lead out of the folder, and what is no regular file, are not there."""
    (tmp_path / "secret").write_text("s")
    inside = tmp_path / "data"
    (inside / "sub").mkdir(parents=True)
    (inside / "a").write_text("a")
    os.mkfifo(inside / "pipe")
    (inside / "loop").symlink_to(inside)
    buckets = buckets_of_folder(str(tmp_path))
    assert list(buckets) == ["data"]
    bucket = buckets["data"]
    assert [one.key for one in bucket.after("", "")] == ["a"]
    for key in ("../secret", "sub/../a", "", "sub", "sub/", "/a", "pipe", "a\0"):
        assert bucket.find(key) is None


def test_a_changed_file_is_another_version(tmp_path: Path) -> None:
    """What identifies a file's object follows the file."""
    path = tmp_path / "a"
    path.write_text("one")
    bucket = FolderBucket(str(tmp_path))
    before = bucket.find("a")
    (tmp_path / "b").write_text("two")
    os.replace(tmp_path / "b", path)
    after = bucket.find("a")
    assert before is not None
    assert after is not None
    assert before.content.digest != after.content.digest
    assert before.version != after.version


def test_a_million_objects_take_no_memory() -> None:
    """Numbered objects are found and listed by a rule."""
    bucket = NumberedBucket(1_000_000, prefix="d/")
    found = bucket.find("d/00999999.jsonl")
    assert found is not None
    assert found.content.size == 256
    assert bucket.find("d/01000000.jsonl") is None
    assert bucket.find("d/1.jsonl") is None
    assert [one.key for one in bucket.after("d/0099999", "d/00999997.jsonl")] == [
        "d/00999998.jsonl",
        "d/00999999.jsonl",
    ]


def test_a_new_version_is_younger() -> None:
    """A replacement has a later Last-Modified, which has whole seconds, whatever the clock says."""
    shelf = ObjectShelf(MemoryBucket({"a": "x"}), now=lambda: datetime(2020, 1, 1, tzinfo=UTC))
    assert shelf.put("a", BytesContent(b"y")).modified == EPOCH + timedelta(seconds=1)
    assert shelf.put("a", BytesContent(b"z")).modified == EPOCH + timedelta(seconds=2)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=5-", (5, 10)),
        ("bytes=5-99", (5, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,4-5", None),
        ("lines=0-1", None),
    ],
)
def test_ranges(header: str | None, wanted: tuple[int, int] | None) -> None:
    """A range is cut to what is there; what cannot be read stands for the whole."""
    assert wanted_range(header, 10) == wanted


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_ranges_after_the_end(header: str) -> None:
    """A range without any byte is refused."""
    with pytest.raises(Unsatisfiable):
        wanted_range(header, 10)


@pytest.mark.parametrize(
    ("headers", "etag", "status"),
    [
        ({}, '"a"', None),
        ({"If-Match": '"a"'}, '"a"', None),
        ({"If-Match": '"b", "a"'}, '"a"', None),
        ({"If-Match": "*"}, '"a"', None),
        ({"If-Match": '"b"'}, '"a"', 412),
        ({"If-Match": 'W/"a"'}, 'W/"a"', 412),
        ({"If-Match": '"a"'}, None, 412),
        ({"If-None-Match": '"a"'}, '"a"', 304),
        ({"If-None-Match": 'W/"a"'}, '"a"', 304),
        ({"If-None-Match": '"b"'}, '"a"', None),
        ({"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"}, None, 304),
        ({"If-Modified-Since": "Wed, 31 Dec 2025 23:59:59 GMT"}, None, None),
        ({"If-Unmodified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"}, None, None),
        ({"If-Unmodified-Since": "Wed, 31 Dec 2025 23:59:59 GMT"}, None, 412),
        ({"If-Unmodified-Since": "someday"}, None, None),
    ],
)
def test_conditions(headers: dict[str, str], etag: str | None, status: int | None) -> None:
    """Conditions are compared as RFC 9110 says: If-Match strongly, If-None-Match weakly, dates by whole seconds."""
    assert failed_condition(headers, etag=etag, modified=EPOCH) == status
