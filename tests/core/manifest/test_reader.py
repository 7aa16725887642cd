"""Reading manifests: the format is told by content, and every line gives an entry or its findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import LINE_BYTES_MAX, ManifestRules
from bulk_upload.core.model import Entry
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.errors import UsageError

P, OTHER, *_ = PURPOSES


def rules(where: str = "m.jsonl", **changes: Any) -> ManifestRules:
    return ManifestRules(where=where, root="/data", **changes)


def read(content: bytes, where: str = "m.jsonl", **changes: object) -> list[Entry | Finding]:
    return list(read_manifest(content.splitlines(keepends=True), rules(where, **changes)))


def only_finding(content: bytes, where: str = "m.jsonl") -> Finding:
    (finding,) = read(content, where)
    assert isinstance(finding, Finding)
    return finding


JSONL = f'{{"path": "a", "purpose": "{P}"}}\n'.encode()
CSV = f"path,purpose\na,{P}\n".encode()


@pytest.mark.parametrize("where", ["m.jsonl", "m.csv", "m.json", "m.ndjson", "m.tsv", "<stdin>", "m"])
@pytest.mark.parametrize("content", [JSONL, CSV, CSV.replace(b",", b"\t"), CSV.replace(b",", b";")])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\n \n", b"\xef\xbb\xbf\r\n"])
def test_content_tells_the_format(where: str, content: bytes, mark: bytes) -> None:
    """JSON Lines and CSV are recognised whatever the name says, after a byte order mark and blank lines too."""
    (entry,) = read(mark + content, where)
    assert isinstance(entry, Entry)
    assert (entry.path, entry.purpose) == ("a", P)
    assert entry.line_no == (mark + content).count(b"\n")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("form", ["sep={}\n", "SEP={}\r\n", '"sep={}"\r\n', "\ufeffsep={}\n\n"])
@pytest.mark.parametrize("where", ["m.csv", "m.jsonl", "<stdin>"])
def test_a_first_line_may_declare_the_delimiter(delimiter: str, form: str, where: str) -> None:
    """`sep=;`, as spreadsheets write it, is understood; line numbers count it."""
    text = f"{form.format(delimiter)}path{delimiter}purpose{delimiter}\r\na{delimiter}{P}{delimiter}\r\n"
    (entry,) = read(text.encode(), where)
    assert entry == Entry(path="a", purpose=P, line_no=text.count("\n"))


@pytest.mark.parametrize(
    ("content", "rule", "words"),
    [
        (b"sep=|\npath|purpose\n", "bad-delimiter", '"|"'),
        (b"sep=\npath\n", "bad-delimiter", '""'),
        (b"sep=,\npath;purpose\n", "bad-delimiter", "Remove line 1"),
        (b"sep=;\n", "empty-manifest", "path;purpose"),
        (b"sep=;\na;b\n", "missing-column", "path"),
    ],
)
def test_a_declared_delimiter_that_does_not_fit(content: bytes, rule: str, words: str) -> None:
    """A delimiter that is unknown, or not the one that the header has, is said with what to do."""
    finding = read(content, "m.csv")[-1]
    assert isinstance(finding, Finding)
    assert finding.rule == rule
    assert words in finding.found + finding.remedy


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_names_the_way_out(encoding: str) -> None:
    """A spreadsheet's "Unicode text" is recognised, with a byte order mark or without."""
    for content in (CSV, JSONL, b"sep=;\n" + CSV):
        finding = only_finding(content.decode().encode(encoding), "m.csv")
        assert "UTF-16" in finding.found
        assert "CSV UTF-8" in finding.remedy
        assert "UTF-8 in the editor" in finding.remedy


@pytest.mark.parametrize("content", [JSONL * 3, CSV + CSV.splitlines(keepends=True)[1] * 2])
def test_line_ends(content: bytes) -> None:
    """LF, CRLF, no line end at all and none after the last line give the same entries."""
    expected = list(read_manifest(content.splitlines(keepends=True), rules()))
    assert len(expected) == 3
    assert list(read_manifest(content.splitlines(), rules())) == expected
    assert read(content.replace(b"\n", b"\r\n")) == expected
    assert read(content.removesuffix(b"\n")) == expected


@pytest.mark.parametrize(
    ("content", "where", "rule"),
    [
        (b"", "m.jsonl", "empty-manifest"),
        (b" \n\n\t\r\n", "m.csv", "empty-manifest"),
        (b"\xef\xbb\xbf", "m.jsonl", "empty-manifest"),
        (b"path,purpose\n\n", "m.csv", "empty-manifest"),
        (b'[\n{"path": "a"}\n]', "m.json", "json-array"),
        (b'[{"path": "a"}]', "m.csv", "json-array"),
        (b'{\n "path": "a"\n}', "m.json", "json-over-lines"),
        (JSONL.decode().encode("utf-16"), "m.jsonl", "not-text"),
        (JSONL.decode().encode("utf-16-le"), "m.jsonl", "not-text"),
        (b"\x1f\x8b\x08\x00\x00", "m.jsonl", "not-text"),
        (b"PK\x03\x04rest", "m.csv", "not-text"),
        (b"PAR1rest", "m", "not-text"),
        (CSV.replace(b"\n", b"\r"), "m.csv", "line-ends"),
        (f"a.jsonl,{P}\nb.jsonl,{P}\n".encode(), "m.csv", "missing-header"),
        (f"a.jsonl,{P}\n".encode(), "<stdin>", "unknown-format"),
        (b"just some words\n" * 9, "notes.txt", "unknown-format"),
    ],
)
def test_wrong_as_a_whole(content: bytes, where: str, rule: str) -> None:
    """What is wrong with the whole file is said once, with a remedy, and not once for each line."""
    (finding,) = read_manifest(content.split(b"\n"), rules(where))
    assert isinstance(finding, Finding)
    assert finding.rule == rule
    assert finding.where == where
    assert finding.remedy


def test_suffix_decides_where_content_does_not() -> None:
    """A broken first line in a file called .jsonl is bad JSON, and the lines after it are read."""
    finding, entry = read(b'path": "b"}\n' + JSONL, "m.jsonl")
    assert isinstance(finding, Finding)
    assert (finding.rule, finding.line_no) == ("bad-json", 1)
    assert isinstance(entry, Entry)


def test_reading_is_lazy() -> None:
    """Entries come while lines are still to come: nothing is gathered first."""

    def endless() -> Iterator[bytes]:
        while True:
            yield JSONL

    assert len(list(islice(read_manifest(endless(), rules()), 5))) == 5


def test_errors_of_the_source_pass_through() -> None:
    """A disk that fails under the iterator is not a finding about content."""

    def failing() -> Iterator[bytes]:
        yield JSONL
        raise OSError

    results = read_manifest(failing(), rules())
    assert isinstance(next(results), Entry)
    with pytest.raises(OSError):
        next(results)


@pytest.mark.parametrize("head", [b"", b"path\n"])
def test_long_line(head: bytes) -> None:
    """A line of more than 1 MiB is one finding, and the next line is read."""
    line = b'{"path": "' + b"a" * LINE_BYTES_MAX + b'"}\n'
    finding, *rest = read(head + (line if not head else b"a" * LINE_BYTES_MAX + b"\n") + b"\n")
    assert isinstance(finding, Finding)
    assert (finding.rule, finding.line_no) == ("line-too-long", 2 if head else 1)
    assert rest == []


def test_all_errors_of_all_lines() -> None:
    """Every line is judged and a line may have several findings, in the order of the lines."""
    content = (
        b'{"path": "../x", "purpose": "nope", "colour": "red"}\n'
        + JSONL
        + b'{"purpose": ""}\n'
        + b"not json\n"
        + JSONL
    )
    results = read(content)
    assert [(r.rule, r.line_no, r.place) if isinstance(r, Finding) else r.line_no for r in results] == [
        ("unknown-field", 1, "colour"),
        ("outside-root", 1, "path"),
        ("unknown-purpose", 1, "purpose"),
        2,
        ("missing-path", 3, "path"),
        ("empty-value", 3, "purpose"),
        ("bad-json", 4, "column 1"),
        5,
    ]


@pytest.mark.parametrize("content", [b'{"path": "a"}\n', b"path\na\n", b"path,purpose\na,\n"])
def test_default_purpose(content: bytes) -> None:
    """An entry without a purpose gets the default; without a default that is a finding."""
    (entry,) = read(content, default_purpose=OTHER)
    assert isinstance(entry, Entry)
    assert entry.purpose == OTHER
    assert only_finding(content).rule == "missing-purpose"


def test_default_purpose_must_be_known() -> None:
    """An unknown default is the caller's mistake, and said once."""
    with pytest.raises(UsageError) as caught:
        rules(default_purpose=P + "d")
    assert P in (caught.value.hint or "")


def test_unknown_purpose() -> None:
    """An unknown purpose is a finding that suggests the nearest, unless the caller allows it."""
    content = JSONL.replace(P.encode(), P.replace("-", "").encode())
    finding = only_finding(content)
    assert finding.rule == "unknown-purpose"
    assert f'Did you mean "{P}"?' in finding.remedy
    assert isinstance(read(content, allow_unknown_purpose=True)[0], Entry)


def test_purposes_of_a_profile() -> None:
    """The purposes may be those of another profile; the default ones are those of Flow."""
    assert set(FLOW.purposes) == set(PURPOSES)
    assert isinstance(read(b'{"path": "a", "purpose": "mine"}', purposes=("mine",))[0], Entry)


def test_paths_are_normalised() -> None:
    """The path rule is applied, with the root and what may be outside it."""
    (entry,) = read(JSONL.replace(b'"a"', b'"/data/./x//a"'))
    assert isinstance(entry, Entry)
    assert entry.path == "x/a"
    (entry,) = read(JSONL.replace(b'"a"', b'"/etc/a"'), allow_outside=True)
    assert isinstance(entry, Entry)
    assert entry.path == "/etc/a"
    (entry,) = read(JSONL.replace(b'"a"', b'"/link/a"'), root_as_typed="/link")
    assert isinstance(entry, Entry)
    assert entry.path == "a"


def test_finding_is_complete() -> None:
    """A finding says where, what and what to do, and is safe to print."""
    finding = only_finding(JSONL.replace(b'"a"', b'"/\\u001b[31m"'), "dir/m.jsonl")
    text = str(finding)
    assert text.startswith("dir/m.jsonl:1 [path]: ")
    assert text.isprintable()
    assert "--root" in text


snippets = st.sampled_from(
    [
        JSONL,
        CSV,
        b'{"path"',
        b'"',
        b",",
        b"\n",
        b"{",
        b"[",
        b"}",
        b"\\udcff",
        b"\xff",
        b"\0",
        b"path",
        b"fields.x",
    ]
)
HEADS = [b"", JSONL, CSV, b"path,fields.x\n", b'{"path": "a", "fields": ', b'path\n"']


@given(st.sampled_from(HEADS), st.lists(snippets | st.binary(max_size=12), max_size=12), st.booleans())
def test_any_bytes(head: bytes, pieces: list[bytes], keepends: bool) -> None:
    """Whatever the bytes, the iterator yields entries and findings only, and at least one of them."""
    lines = (head + b"".join(pieces)).splitlines(keepends=keepends)
    results = list(read_manifest(lines, rules("m.csv" if keepends else "m.jsonl")))
    assert results
    for result in results:
        assert isinstance(result, Entry | Finding)
        assert str(result)
    numbers = [result.line_no for result in results if result.line_no is not None]
    assert numbers == sorted(numbers)
    assert all(1 <= number <= len(lines) for number in numbers)


PROJECT = Path(__file__).parents[3]
DOCUMENT = (PROJECT / "docs" / "reference" / "manifest.md").read_text()
SOURCES = [
    "core/manifest/paths.py",
    "edge/source_tree.py",
    "engine/plan.py",
    *(f"core/manifest/{part}.py" for part in ("addresses", "reader", "rules", "jsonl", "csv_rows")),
    "core/objects/address.py",
    "core/pack/packable.py",
]


def test_examples_of_the_document() -> None:
    """Every example in the document is a valid manifest."""
    examples = re.findall(r"```(jsonl|csv)\n(.*?)```", DOCUMENT, re.DOTALL)
    assert [suffix for suffix, _ in examples] == ["jsonl", "csv"]
    for suffix, text in examples:
        results = read(text.encode(), f"m.{suffix}")
        assert len(results) == 3
        assert all(isinstance(result, Entry) for result in results)


def test_document_names_every_rule_and_purpose() -> None:
    """The document lists exactly the rules that findings can have, and every purpose."""
    code = "".join((PROJECT / "bulk_upload" / source).read_text() for source in SOURCES)
    pattern = r'(?:rule=|AddressFlaw\(\s*|finding\(\s*|_finding\(rules, )"([a-z-]+)"'
    table = DOCUMENT.partition("| rule | meaning |")[2].partition("\n\n")[0]
    documented = {
        rule for row in table.splitlines() for rule in re.findall(r"`([a-z-]+)`", row[: row.find("|", 1)])
    }
    # What is said of a prefix is in no manifest.
    assert set(re.findall(pattern, code)) - {"no-list"} == documented
    assert all(f"`{purpose}`" in DOCUMENT for purpose in PURPOSES)


@pytest.mark.parametrize("strict", [True, False])
def test_addresses_of_objects(strict: bool) -> None:
    """An address is an entry in its one form; a bad one is a finding, whatever may fail, and its secret is not shown."""
    lines = [
        b'{"path": "S3://b/x.jsonl", "purpose": "fine-tune"}\n',
        b'{"path": "https://user:SECRET@host/x", "purpose": "fine-tune"}\n',
        b'{"path": "http://10.0.0.1/x", "purpose": "fine-tune"}\n',
    ]
    rules = ManifestRules(where="m.jsonl", root="/data", strict_paths=strict)
    good, secret, plain = read_manifest(lines, rules)
    assert isinstance(good, Entry)
    assert good.path == "s3://b/x.jsonl"
    assert isinstance(secret, Finding)
    assert (secret.rule, secret.line_no) == ("address-with-password", 2)
    assert "SECRET" not in repr(secret)
    assert isinstance(plain, Finding)
    assert plain.rule == "plain-http"
    (allowed,) = read_manifest(lines[2:], replace(rules, allow_plain_http=True))
    assert isinstance(allowed, Entry)
