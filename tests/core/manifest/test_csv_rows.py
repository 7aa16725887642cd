"""CSV manifest rows."""

from __future__ import annotations

import csv
import io
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest.csv_rows import DELIMITERS, RECORD_LINES_MAX
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import Entry
from bulk_upload.core.purposes import PURPOSES

P, *_ = PURPOSES
RULES = ManifestRules(where="m.csv", root="/data", default_purpose=P)


def read(text: str) -> list[Entry | Finding]:
    content = text.encode("utf-8", "surrogateescape")
    return list(read_manifest(io.BytesIO(content), RULES))


def outline(text: str) -> list[tuple[int | None, str]]:
    return [
        (result.line_no, result.path if isinstance(result, Entry) else result.rule) for result in read(text)
    ]


def test_all_columns() -> None:
    """Every column arrives, in any order, and an empty cell stands for nothing given."""
    header = "fields.z,vector_database_id,path,remote_name,fields.b,purpose\n"
    full, bare = read(f"{header}1,v,a,r,2,{P}\n,,b,,,\n")
    assert full == Entry(
        path="a",
        purpose=P,
        remote_name="r",
        vector_database_id="v",
        fields=(("b", "2"), ("z", "1")),
        line_no=2,
    )
    assert bare == Entry(path="b", purpose=P, line_no=3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('path\n"a b"\n"c,d"\n"e""f"\n', [(2, "a b"), (3, "c,d"), (4, 'e"f')]),
        ('"path","purpose"\n"a",""\n', [(2, "a")]),
        ('path\n"a\nb"\nc\n', [(2, "a\nb"), (4, "c")]),
        ('path\n"a\r\nb"\r\nc\r\n', [(2, "a\r\nb"), (4, "c")]),
        ("path\n a \n", [(2, " a ")]),
        ("path\n\n  \n\t\na\n\n", [(5, "a")]),
        ("path,purpose\n,\na,\n", [(3, "a")]),
        ('path\n5" disk\n', [(2, '5" disk')]),
        ("path\n\udcff\n\u00e9\n", [(2, "\udcff"), (3, "\u00e9")]),
        ("path;purpose\na,b;\n", [(2, "a,b")]),
        ("path\ta\nx\ty\n", [(1, "unknown-column"), (2, "x")]),
        ("path,purpose\na\nb,,x\nc,\n", [(2, "cell-count"), (3, "cell-count"), (4, "c")]),
        ("path,purpose\n,x\n", [(2, "missing-path"), (2, "unknown-purpose")]),
        ("path\na\0b\nc\n", [(2, "nul-in-path"), (3, "c")]),
        ("path,path\na,b\n", [(1, "duplicate-column"), (2, "a")]),
        ("path,fields.a,fields.a\na,1,1\n", [(1, "duplicate-column"), (2, "a")]),
        ("path,fields.\na,1\n", [(2, "bad-field-name")]),
        ("path,fields\na,1\n", [(1, "unknown-column"), (2, "a")]),
        ("path,\na,\n", [(2, "a")]),
        (",path,,\n,a,,\n", [(2, "a")]),
        ("path,\na,x\nb,\n", [(2, "unnamed-column"), (3, "b")]),
        ("path, \u00a0\na,\u00a0\n", [(2, "a")]),
        ("path\na,,\n", [(2, "a")]),
        ("path\na,,x\n", [(2, "cell-count")]),
        ("path,remote_name,purpose\na, ,\u00a0\n", [(2, "a")]),
        ("path,purpose\n , \n\u00a0,\na,\n", [(4, "a")]),
        ('"path",""\n"a",""\n"",""\n', [(2, "a")]),
        ("Path,purpose\na,\n", [(2, "a")]),
        (" path ,PURPOSE\na,\n", [(2, "a")]),
        ("path,\ufeffpurpose\na,\n", [(2, "a")]),
        ("path,Path\na,b\n", [(1, "duplicate-column"), (2, "a")]),
        ('path\n="007"\n', [(2, "007")]),
        ('path\n"=""007"""\n', [(2, '="007"')]),
        ("purpose,remote_name\na,\n", [(1, "missing-column")]),
        ('path\n"a"b\nc\n', [(2, "bad-csv"), (3, "c")]),
        ('path\n"a\nb\nc\n', [(2, "bad-csv"), (3, "b"), (4, "c")]),
        ('path,purpose\n"a,\n"b",\n../c,\n', [(2, "bad-csv"), (3, "b"), (4, "outside-root")]),
        ('path,"purpose\na,\n', [(1, "bad-csv")]),
    ],
)
def test_rows(text: str, expected: list[tuple[int | None, str]]) -> None:
    """Each row gives its entry or its findings, under the number of its first line."""
    assert outline(text) == expected


def test_misspelled_column_gets_a_suggestion() -> None:
    """A column that is nearly right is met with the right name, and the hint about form fields."""
    (finding,) = read("Pth,purpose\na,\n")
    assert isinstance(finding, Finding)
    assert 'Did you mean "path"?' in finding.remedy
    assert "fields.<name>" in finding.remedy


def test_columns_as_people_spell_them() -> None:
    """Capitals, spaces and dashes in a column's name do not matter; the name of a form field is kept as it is."""
    (entry,) = read(f"Path, Remote Name ,VECTOR-DATABASE-ID,Fields.Lang,Purpose\na,r,v,en,{P} \n")
    assert entry == Entry(
        path="a", purpose=P, remote_name="r", vector_database_id="v", fields=(("Lang", "en"),), line_no=2
    )


def test_a_cell_without_a_column_is_found_where_it_is() -> None:
    """A cell under no name is named as spreadsheets name it, with its content."""
    (finding,) = read("path" + "," * 27 + "\na" + "," * 27 + "kept\n")
    assert isinstance(finding, Finding)
    assert (finding.line_no, finding.place) == (2, "column AB")
    assert '"kept"' in finding.found


def test_open_quote_hides_nothing() -> None:
    """A quote nobody closes costs one finding; the thousands of lines after it are read."""
    lines = 2 * RECORD_LINES_MAX
    results = outline('path\n"open\n' + "a\n" * lines)
    assert results == [(2, "bad-csv"), *((number, "a") for number in range(3, lines + 3))]


def test_many_open_quotes_stay_cheap() -> None:
    """Lines that each open a quote anew do not make reading quadratic."""
    results = outline("path\n" + 'a",b,"\n' * 2000)
    assert len(results) == 2000
    assert {what for _, what in results} == {"bad-csv"}


path_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.characters(
    min_codepoint=0xDC80, max_codepoint=0xDCFF
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)


def is_settled(path: str) -> bool:
    canonical = path.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return canonical == path and not {"", ".", ".."} & set(path.split("/"))


@given(
    st.lists(
        st.tuples(
            st.text(path_characters, min_size=1, max_size=12).filter(is_settled), texts, texts | st.just("")
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(DELIMITERS),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_round_trip(
    rows: list[tuple[str, str, str]], delimiter: str, line_end: str, quoting: Literal[1, 2]
) -> None:
    """What the csv module writes with quotes is read back, whatever characters the cells hold."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([("path", "remote_name", "fields.note"), *rows])
    results = read(file.getvalue())
    assert [
        (result.path, result.remote_name, dict(result.fields).get("note", ""))
        for result in results
        if isinstance(result, Entry)
    ] == rows


@given(st.lists(st.text("ab/ \udcff\u00e9", min_size=1, max_size=6).filter(is_settled), max_size=5))
def test_plain_rows_read_like_quoted_ones(paths: list[str]) -> None:
    """A row without quotes takes a quicker way to the same entries."""
    paths = [path for path in paths if path.strip()]
    plain = "".join(f"{path}\n" for path in paths)
    quotes = "".join(f'"{path}"\n' for path in paths)
    assert read(f"path\n{plain}") == read(f"path\n{quotes}")


def test_a_cell_of_spaces_is_no_value() -> None:
    """Spaces between bare delimiters give an entry no name and no database; quoted ones are meant."""
    (bare, quoted) = read('path,remote_name,vector_database_id\na, ,\u00a0\nb," ",\n')
    assert bare == Entry(path="a", purpose=P, line_no=2)
    assert quoted == Entry(path="b", purpose=P, remote_name=" ", line_no=3)
