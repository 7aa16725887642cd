"""The name a file is sent under."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_upload.core.manifest.sent_name import SENT_NAME_BYTES_MAX, sent_name

# Lone surrogates included: they stand for undecodable bytes in a path.
ANY_CHARACTER = st.characters(exclude_categories=())
ANY_NAME = st.one_of(
    st.text(ANY_CHARACTER),
    st.builds(
        lambda part, times, end: part * times + end, st.text(ANY_CHARACTER), st.integers(1, 300), st.text()
    ),
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data.jsonl", "data.jsonl"),
        ("train/data.jsonl", "data.jsonl"),
        ("my data.jsonl", "my data.jsonl"),
        ("100%.jsonl", "100%.jsonl"),
        ("naïve 雪 🎉.jsonl", "naïve 雪 🎉.jsonl"),
        ("nai\u0308ve.jsonl", "naïve.jsonl"),
        ('q"uote;s.jsonl', "q_uote;s.jsonl"),
        ("C:\\dir\\a", "C:_dir_a"),
        ("a\r\nX-Evil: 1\x00\x1b[31m", "a__X-Evil: 1__[31m"),
        ("a\u202egnp.exe", "a_gnp.exe"),
        ("a\u2028b\u2029c\x85d", "a_b_c_d"),
        ("caf\udce9.jsonl", "caf_xe9.jsonl"),
        ("a\ud800b", "a_b"),
        ("", "_"),
        ("folder/", "_"),
        (".", "_"),
        ("..", "__"),
        (" . ", "___"),
        (".hidden", ".hidden"),
    ],
)
def test_sent_name(path: str, expected: str) -> None:
    """The base name is sent, as it is where every server keeps it, and cleaned where one would not."""
    assert sent_name(path) == expected


def test_remote_name_wins() -> None:
    """An entry's `remote_name` is sent in place of its base name, and cannot name a folder."""
    assert sent_name("a/b.jsonl", "c.jsonl") == "c.jsonl"
    assert sent_name("a/b.jsonl", "../c.jsonl") == ".._c.jsonl"
    assert sent_name("a/b.jsonl", "") == "_"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a" * 200, "a" * 200),
        ("a" * 201, "a" * 200),
        ("a" * 300 + ".jsonl", "a" * 194 + ".jsonl"),
        ("雪" * 100 + ".pdf", "雪" * 65 + ".pdf"),
        ("a" * 300 + "." + "e" * 19, "a" * 180 + "." + "e" * 19),
        ("a" * 300 + "." + "e" * 20, "a" * 200),
        ("." + "a" * 300, "." + "a" * 199),
    ],
)
def test_long_names(name: str, expected: str) -> None:
    """A name is cut at a character's border, before an extension that is one."""
    assert sent_name(name) == expected


@given(ANY_NAME, st.none() | ANY_NAME)
@example("." * 250 + "a" * 30, None)
@example("folder", " " * 250 + "a")
@example("\udcff" * 60, None)
def test_every_name_is_safe(path: str, remote_name: str | None) -> None:
    """Whatever a path or a manifest says, the sent name is short, one line, valid UTF-8 and steers nothing."""
    name = sent_name(path, remote_name)
    assert 1 <= len(name.encode("utf-8")) <= SENT_NAME_BYTES_MAX
    assert not set(name) & set('"\\/')
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in name)
    assert name.strip(" .")
    assert unicodedata.is_normalized("NFC", name)


@given(ANY_NAME)
@example("." * 250 + "a" * 30)
@example(" " * 250 + "a" * 30)
def test_idempotent(path: str) -> None:
    """A name that was made safe is sent as it is."""
    name = sent_name(path)
    assert sent_name(name) == name


@given(ANY_NAME.filter(lambda name: name != ""), st.from_regex(r"[a-z0-9]{1,10}", fullmatch=True))
def test_extension_is_kept(stem: str, extension: str) -> None:
    """However long or odd a name is, its extension arrives: the server tells formats by it."""
    assert sent_name(f"{stem}.{extension}").endswith(f".{extension}")
