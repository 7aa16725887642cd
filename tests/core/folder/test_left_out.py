"""Files whose purpose cannot be told, and the options that settle them."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from bulk_upload.core.folder.left_out import GROUPS_MAX, PATTERNS_MAX, FilePattern, UndecidedFiles, pattern_of
from bulk_upload.core.folder.selection import Selection
from bulk_upload.core.folder.sightings import Undecided
from bulk_upload.core.manifest.globs import Glob


def undecided(path: str, reason: str = "text", guess: str | None = None) -> Undecided:
    return Undecided(path=path, reason=reason, guess=guess, file_bytes=10)


def test_groups() -> None:
    """Files of one suffix and one reason are one group."""
    files = UndecidedFiles()
    numbers = [files.add(undecided(path)) for path in ("a.md", "x/b.MD", "c.txt")]
    assert numbers == [0, 0, 1]
    assert [(one.suffix, one.count, one.file_bytes) for one in files.groups] == [
        (".md", 2, 20),
        (".txt", 1, 10),
    ]
    assert files.count == 3


def test_a_pattern_for_a_suffix_that_is_all_theirs() -> None:
    """Where no other file has the suffix, one pattern settles the group."""
    files = UndecidedFiles()
    files.add(undecided("a.md"))
    files.note_decided("b.jsonl")
    assert files.patterns(files.groups[0]) == [FilePattern("*.md", "*.md")]


def test_an_option_changes_no_other_file() -> None:
    """Where others with the suffix have a purpose, the group's files are named; too many are not."""
    files = UndecidedFiles()
    files.note_decided("good.jsonl")
    for number in range(PATTERNS_MAX):
        files.add(undecided(f"{number}.jsonl"))
    assert files.patterns(files.groups[0]) == [
        FilePattern(f"/{number}.jsonl", f"/{number}.jsonl") for number in range(PATTERNS_MAX)
    ]
    files.add(undecided("one-more.jsonl"))
    assert files.patterns(files.groups[0]) == []


def test_patterns_are_of_what_they_match() -> None:
    """An object is named by its address, and matched by its key after the prefix."""
    files = UndecidedFiles()
    files.note_decided("s3://data/chat/good.jsonl")
    files.add(Undecided(path="s3://data/chat/deep/b.jsonl", reason="text", within="deep/b.jsonl"))
    assert files.groups[0].examples == ["s3://data/chat/deep/b.jsonl"]
    assert files.patterns(files.groups[0]) == [FilePattern("/deep/b.jsonl", "/deep/b.jsonl")]


def test_memory_does_not_grow_with_the_reasons() -> None:
    """Beyond a screen of groups the rest is one group, which no pattern settles as a whole."""
    files = UndecidedFiles()
    for number in range(10 * GROUPS_MAX):
        files.add(undecided(f"{number}.x{number}", f"reason {number}"))
    assert len(files.groups) == GROUPS_MAX + 1
    assert files.count == 10 * GROUPS_MAX
    assert files.patterns(files.groups[-1]) == []


_NAMES = st.text(
    st.characters(exclude_characters="/\0\n", exclude_categories=["Cs"]), min_size=1, max_size=6
).filter(lambda name: name not in {".", ".."})


@given(_NAMES, _NAMES)
@example("a ", "a")
@example("!a", "a")
@example("[a-c]*", "b")
@example("a\\b", "ab")
def test_a_literal_pattern_matches_its_path_alone(name: str, other: str) -> None:
    """Whatever characters a name has, the pattern for it takes that file, both as --map and as --exclude."""
    pattern = pattern_of("/", name)
    for path in (name, other):
        assert Glob(pattern.mapped).matches(path) == (path == name)
        assert Selection(exclude=[pattern.excluded]).takes(path) == (path != name)
