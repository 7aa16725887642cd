"""The rule for paths: names only, no disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.manifest.paths import PathComplaint, is_beneath, is_plain, relative_path

ROOT = "/data/job"

names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("a.jsonl", "a.jsonl"),
        ("./a//b", "a/b"),
        ("a/./b", "a/b"),
        (".hidden/x", ".hidden/x"),
        ("a/..b", "a/..b"),
        ("...", "..."),
        ("/data/job/a", "a"),
        ("//data///job/./a", "a"),
        (" a ", " a "),
        ("na\u00efve", "na\u00efve"),
        ("\udcff", "\udcff"),
        ("\udcc3\udca9", "\u00e9"),
    ],
)
def test_accepted(raw: str, path: str) -> None:
    """A path beneath the root becomes relative and has one spelling."""
    assert relative_path(raw, root=ROOT, allow_outside=False) == path


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        ("", "empty-path"),
        ("a\0b", "nul-in-path"),
        ("\0", "nul-in-path"),
        ("/etc/passwd", "outside-root"),
        ("/data/jobs/a", "outside-root"),
        ("../a", "outside-root"),
        ("../job/a", "outside-root"),
        ("./../a", "outside-root"),
        ("a/../b", "parent-in-path"),
        ("a/../../b", "parent-in-path"),
        ("/data/job/../x", "parent-in-path"),
        ("/../data/job/x", "parent-in-path"),
        ("a/", "not-a-file"),
        ("a/.", "not-a-file"),
        ("a/..", "not-a-file"),
        (".", "not-a-file"),
        ("..", "not-a-file"),
        ("/", "not-a-file"),
        ("/data/job", "outside-root"),
        ("\ud800", "unencodable-path"),
        ("a\udc2f", "unencodable-path"),
    ],
)
def test_refused(raw: str, rule: str) -> None:
    """A path that leaves the root, is ambiguous or can name no file is refused with its rule."""
    complaint = relative_path(raw, root=ROOT, allow_outside=False)
    assert isinstance(complaint, PathComplaint)
    assert complaint.rule == rule
    assert complaint.remedy


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/etc//passwd", "/etc/passwd"),
        ("../a", "/data/a"),
        ("../../../../a", "/a"),
        ("../job/a", "a"),
        ("/data/job/a", "a"),
    ],
)
def test_allowed_outside(raw: str, path: str) -> None:
    """Where it is allowed, a path outside the root is kept as an absolute one."""
    assert relative_path(raw, root=ROOT, allow_outside=True) == path


def test_parent_after_a_name_is_always_refused() -> None:
    """`a/../b` is refused even where outside is allowed: `a` may be a symbolic link."""
    assert isinstance(relative_path("a/../b", root=ROOT, allow_outside=True), PathComplaint)


def test_root_as_typed() -> None:
    """An absolute path that begins with the other spelling of the root is beneath it."""
    assert relative_path("/link/a", root=ROOT, root_as_typed="/link", allow_outside=False) == "a"


def test_root_of_the_system() -> None:
    """The root may be `/`."""
    assert relative_path("/etc/passwd", root="/", allow_outside=False) == "etc/passwd"
    assert not is_beneath("/", "/")


@given(st.text(), st.booleans())
def test_any_text_is_judged(raw: str, allow_outside: bool) -> None:
    """Any text becomes a path free of `.` and `..` that the system can encode, or a complaint."""
    path = relative_path(raw, root=ROOT, allow_outside=allow_outside)
    if isinstance(path, str):
        assert not {"", ".", ".."} & set(path.removeprefix("/").split("/"))
        assert allow_outside or not path.startswith("/")
        path.encode("utf-8", "surrogateescape")


@given(st.lists(names, min_size=1, max_size=4).filter(lambda parts: not {".", ".."} & set(parts)))
def test_normalising_twice_changes_nothing(parts: list[str]) -> None:
    """What was accepted once is accepted unchanged, and beneath the root as an absolute path too."""
    path = relative_path("/".join(parts), root=ROOT, allow_outside=False)
    assert isinstance(path, str)
    assert relative_path(path, root=ROOT, allow_outside=False) == path
    assert relative_path(f"{ROOT}/{path}", root=ROOT, allow_outside=False) == path


@given(st.text("ab./\0\u00e9", max_size=8))
def test_plain_paths_are_their_own_normal_form(raw: str) -> None:
    """The quick check never accepts what the full rule would change or refuse."""
    if is_plain(raw):
        assert relative_path(f"./{raw}", root=ROOT, allow_outside=False) == raw
