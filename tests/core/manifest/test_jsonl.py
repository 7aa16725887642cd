"""JSON manifest lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest import jsonl
from bulk_upload.core.manifest.jsonl import jsonl_line
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import Entry
from bulk_upload.core.purposes import PURPOSES

P, *_ = PURPOSES
RULES = ManifestRules(where="m.jsonl", root="/data", default_purpose=P)


def read(line: str | bytes) -> list[Entry | Finding]:
    return list(read_manifest([line.encode() if isinstance(line, str) else line], RULES))


def places(line: str | bytes) -> list[tuple[str, str | None]]:
    return [(finding.rule, finding.place) for finding in read(line) if isinstance(finding, Finding)]


def entry(line: str | bytes) -> Entry:
    (result,) = read(line)
    assert isinstance(result, Entry), result
    return result


def test_all_fields() -> None:
    """Every field arrives; form fields are sorted by name."""
    line = {
        "path": "a",
        "purpose": P,
        "remote_name": "r.jsonl",
        "vector_database_id": "v",
        "fields": {"z": "1", "b": ""},
    }
    assert entry(json.dumps(line)) == Entry(
        path="a",
        purpose=P,
        remote_name="r.jsonl",
        vector_database_id="v",
        fields=(("b", ""), ("z", "1")),
        line_no=1,
    )


def test_null_means_not_given() -> None:
    """A field that is null is as good as absent, in both ways of parsing."""
    expected = Entry(path="a", purpose=P, line_no=1)
    nulls = '"purpose": null, "remote_name": null, "vector_database_id": null, "fields": null'
    assert entry(f'{{"path": "a", {nulls}}}') == expected
    assert entry('{"path": "a", "fields": {}}') == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"path": "a"', [("bad-json", "column 13")]),
        ('  {"path": a}', [("bad-json", "column 12")]),
        ('{"path": "a"} {"path": "b"}', [("bad-json", "column 15")]),
        ('{"path": "a"},', [("bad-json", "column 14")]),
        ('  {"path": "a",}', [("bad-json", "column 15")]),
        ("{'path': 'a'}", [("bad-json", "column 2")]),
        ('{"path": "a\tb"}', [("bad-json", "column 12")]),
        ('"a.jsonl"', [("not-an-object", None)]),
        ("7", [("not-an-object", None)]),
        ("true", [("not-an-object", None)]),
        ("null", [("not-an-object", None)]),
        ("{}", [("missing-path", "path")]),
        ('{"path": null}', [("missing-path", "path")]),
        ('{"path": ""}', [("empty-path", "path")]),
        ('{"path": "a\\u0000b"}', [("nul-in-path", "path")]),
        ('{"path": "\\ud800"}', [("unencodable-path", "path")]),
        ('{"path": 7}', [("wrong-type", "path")]),
        ('{"path": ["a"]}', [("wrong-type", "path")]),
        ('{"path": {"a": "b"}}', [("wrong-type", "path")]),
        ('{"path": true, "purpose": 1.5}', [("wrong-type", "path"), ("wrong-type", "purpose")]),
        ('{"path": NaN}', [("wrong-type", "path")]),
        ('{"path": ' + "1" * 5000 + "}", [("wrong-type", "path")]),
        ('{"path": "a", "remote_name": ""}', [("empty-value", "remote_name")]),
        ('{"path": "a", "vector_database_id": ""}', [("empty-value", "vector_database_id")]),
        ('{"path": "a", "purpose": "\\udcff"}', [("not-text", "purpose")]),
        ('{"path": "a", "remote_name": "\\udcff"}', [("not-text", "remote_name")]),
        ('{"path": "a", "fields": []}', [("wrong-type", "fields")]),
        ('{"path": "a", "fields": "x"}', [("wrong-type", "fields")]),
        ('{"path": "a", "fields": {"n": 3}}', [("wrong-type", "fields.n")]),
        ('{"path": "a", "fields": {"n": null}}', [("wrong-type", "fields.n")]),
        (
            '{"path": "a", "fields": {"n": {}, "m": []}}',
            [("wrong-type", "fields.n"), ("wrong-type", "fields.m")],
        ),
        ('{"path": "a", "fields": {"": "x"}}', [("bad-field-name", "fields.")]),
        ('{"path": "a", "fields": {"a\\r\\nb": "x"}}', [("bad-field-name", "fields.a\r\nb")]),
        ('{"path": "a", "fields": {"a\\"b": "x"}}', [("bad-field-name", 'fields.a"b')]),
        ('{"path": "a", "fields": {"purpose": "x"}}', [("reserved-field", "fields.purpose")]),
        ('{"path": "a", "fields": {"files": "x"}}', [("reserved-field", "fields.files")]),
        ('{"path": "a", "fields": {"n": "\\udcff"}}', [("not-text", "fields.n")]),
        ('{"path": "a", "path": "b"}', [("duplicate-field", "path")]),
        ('{"path": "a", "path": "a", "path": "a"}', [("duplicate-field", "path")]),
        ('{"path" : "a", "path" : "b:"}', [("duplicate-field", "path")]),
        ('{"path": "x:y", "path": "a"}', [("duplicate-field", "path")]),
        ('{"path": "s3://b/x", "path": "s3://b/x"}', [("duplicate-field", "path")]),
        (r'{"path": "x", "path": "a\u003ab"}', [("duplicate-field", "path")]),
        (r'{"path": "a\u003ab", "fields": {"n": "1", "n": "2"}}', [("duplicate-field", "fields.n")]),
        ('{"path": "a", "fields": {"n": "1", "n": "2"}}', [("duplicate-field", "fields.n")]),
        ('{"path": "a", "fields": {"n": "1"}, "fields": {"m": "2"}}', [("duplicate-field", "fields")]),
        ('{"path": "a", "fields": null, "fields": null}', [("duplicate-field", "fields")]),
        ('{"path": "a", "id": "x"}', [("unknown-field", "id")]),
    ],
)
def test_findings(line: str, expected: list[tuple[str, str | None]]) -> None:
    """Each defect of a line is found, with its rule and its place."""
    # A first line that is no object would be taken for another format.
    first, *results = read_manifest([b'{"path": "first"}', line.encode()], RULES)
    assert isinstance(first, Entry)
    assert [(result.rule, result.place) for result in results if isinstance(result, Finding)] == expected
    assert len(results) == len(expected)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("file_path", None), ("Path", "path"), ("purpos", "purpose"), ("remote-name", "remote_name")],
)
def test_unknown_field_gets_a_suggestion(name: str, meant: str | None) -> None:
    """A misspelled field is met with the right name; any other is pointed to `fields`."""
    finding = next(
        result for result in read(json.dumps({"path": "a", name: "b"})) if isinstance(result, Finding)
    )
    assert finding.rule == "unknown-field"
    assert "`fields`" in finding.remedy
    if meant:
        assert f'Did you mean "{meant}"?' in finding.remedy


@pytest.mark.parametrize(
    "nested",
    [
        '{"path": ' + "[" * 100_000,
        '{"fields": ' + '{"a":' * 100_000,
        '{"x": ' + "[" * 9000 + "]" * 9000 + "}",
    ],
)
def test_deep_nesting(nested: str) -> None:
    """Brackets by the thousand are a finding, not a crash."""
    assert places(nested)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b'{"path": "\\udcff.jsonl"}', "\udcff.jsonl"),
        (b'{"path": "\xff.jsonl"}', "\udcff.jsonl"),
        (b'{"path": "\\udcc3\\udca9"}', "\u00e9"),
        (b'{"path": "\\ud83d\\ude00"}', "\U0001f600"),
        ('{"path": "caf\u00e9:\u2028"}'.encode(), "caf\u00e9:\u2028"),
    ],
)
def test_names_of_any_bytes(line: bytes, path: str) -> None:
    """Bytes that are not UTF-8 may be written as escapes or as they are; both name the same file."""
    assert entry(line).path == path


def is_settled(path: str) -> bool:
    canonical = path.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return canonical == path and not {"", ".", ".."} & set(path.split("/"))


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
path_characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.characters(
    min_codepoint=0xDC80, max_codepoint=0xDCFF
)
form_names = st.text("abc:- ", min_size=1, max_size=3)
entries = st.builds(
    Entry,
    path=st.text(path_characters, min_size=1, max_size=12).filter(is_settled),
    purpose=st.sampled_from(list(PURPOSES)),
    remote_name=st.none() | texts,
    vector_database_id=st.none() | texts,
    fields=st.dictionaries(form_names, texts, max_size=3).map(lambda fields: tuple(sorted(fields.items()))),
    line_no=st.just(1),
)


@given(entries)
def test_round_trip(original: Entry) -> None:
    """Every valid entry survives being written and read, in ASCII."""
    line = jsonl_line(original)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert entry(line) == original
    assert entry(line).key == original.key


@given(entries)
def test_raw_text_reads_like_escapes(original: Entry) -> None:
    """Text written as it is reads like text written in escapes."""
    content = json.loads(jsonl_line(original))
    raw = json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogateescape")
    assert entry(raw) == original


@pytest.mark.parametrize(
    ("line", "is_slow"),
    [
        ('{"path": "s3://b/x", "purpose": "fine-tune"}', False),
        ('{"path": "https://h:1/x", "purpose": "fine-tune", "fields": {"a:b": "c:d"}}', False),
        (r'{"path": "s3:\/\/b/x", "purpose": "fine-tune"}', True),
        (r'{"path": "s3://b/\u00e4", "purpose": "fine-tune"}', True),
        (r'{"path": "\u00e4", "purpose": "fine-tune"}', False),
    ],
)
def test_addresses_are_read_fast(line: str, is_slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The colons of addresses are known not to be those of names, unless an escape could hide one."""
    slow: list[bytes] = []
    careful = jsonl._carefully

    def noted(text: bytes, line_no: int, rules: ManifestRules) -> Entry | list[Finding]:
        slow.append(text)
        return careful(text, line_no, rules)

    monkeypatch.setattr(jsonl, "_carefully", noted)
    assert all(isinstance(one, Entry) for one in read(line))
    assert bool(slow) is is_slow
