"""Findings for GitHub Actions and as SARIF: by their rules, whatever the files are called."""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.parse import unquote_to_bytes

import jsonschema
import pytest

from bulk_upload.core.finding import Finding, Severity
from bulk_upload.core.validation.report import FileReport
from bulk_upload.core.validation.rules import RULES
from bulk_upload.report.findings import FORMATS, GithubFindings, SarifFindings

HOSTILE = [
    "a b.jsonl",
    "-x.jsonl",
    "a,b:c%2C.jsonl",
    "new\nline\r.jsonl",
    "caf\udce9.jsonl",
    "::error::x.jsonl",
    "é\u2028.jsonl",
]


def finding(rule: str, line_no: int | None = 3, **fields: Any) -> Finding:
    """Return a finding."""
    severity = RULES[rule].severity if rule in RULES else Severity.ERROR
    usual = {"found": "100% wrong,\nit is: so", "remedy": "Mend it", "severity": severity}
    return Finding(**{"rule": rule, "where": "f", "line_no": line_no, **usual, **fields})


def report(*findings: Finding, **counts: int) -> FileReport:
    """Return the report of a file."""
    counted = {one.rule: sum(other.rule == one.rule for other in findings) for one in findings}
    return FileReport(
        findings=findings,
        counts=counted | {name.replace("_", "-"): n for name, n in counts.items()},
        line_count=9,
    )


def written(name: str, *files: tuple[str, FileReport]) -> list[str]:
    """Return all lines of a format."""
    made = FORMATS[name](lambda path: path, "1.0")
    lines = [line for path, one in files for line in made.add(path, "fine-tune", one)]
    return [*lines, *made.end()]


def unescaped(text: str) -> str:
    """Return what GitHub makes of a property or a message."""
    for escape, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(escape, character)
    return text


@pytest.mark.parametrize("file", HOSTILE)
def test_an_annotation_is_one_command_whatever_is_in_it(file: str) -> None:
    """Nothing of a name or a finding ends a property, the command or the line."""
    (line,) = written("github", (file, report(finding("wrong-role", column=7, place="$.messages[1].role"))))
    matched = re.fullmatch(r"::error title=wrong-role,file=([^,:\r\n]*),line=3,col=7::([^\r\n]*)", line)
    assert matched is not None
    name, message = matched.groups()
    assert unescaped(name).isprintable()
    if file.isprintable():
        assert unescaped(name) == file
    assert unescaped(message).startswith(
        "$.messages[1].role: 100% wrong,\\nit is: so\nMend it\nwrong-role on 1 of 9 lines"
    )


def test_each_rule_is_annotated_before_any_twice() -> None:
    """GitHub shows ten of a kind: a frequent rule does not hide a rare one, and the rest is said in the log."""
    frequent = [finding("wrong-role", line_no) for line_no in range(1, 51)]
    rare = [finding(rule) for rule in ("bad-json", "missing-key", "not-utf-8")]
    lines = written("github", ("a", report(*rare, *frequent, finding("last-role"), wrong_role=4100)))
    errors = [line for line in lines if line.startswith("::error ")]
    assert len(errors) == 10
    titles = [line.partition("title=")[2].partition(",")[0] for line in errors]
    assert {title: titles.count(title) for title in titles} == {
        "wrong-role": 7,
        "bad-json": 1,
        "missing-key": 1,
        "not-utf-8": 1,
    }
    assert "wrong-role: 4,093 more; --json lists findings one by one" in lines
    assert sum(line.startswith("::warning ") for line in lines) == 1


def test_more_rules_than_annotations_are_named_all_the_same() -> None:
    """Those without one have a line of the log."""
    rules = [name for name, rule in RULES.items() if rule.severity is Severity.ERROR][:14]
    lines = written("github", ("a", report(*map(finding, rules))))
    assert sum(line.startswith("::error ") for line in lines) == 10
    annotated = [line.partition("title=")[2].partition(",")[0] for line in lines[:10]]
    assert {*annotated, *(line.partition(":")[0] for line in lines[10:])} == set(rules)


@pytest.mark.parametrize("format_name", ["github", "sarif"])
def test_rows_of_parquet_are_no_lines(format_name: str) -> None:
    """A viewer that opened line 3 of a binary file would show nothing that is meant."""
    text = "\n".join(written(format_name, ("a.parquet", report(finding("wrong-role", place="$.x")))))
    assert "line=3" not in text
    assert "startLine" not in text
    assert re.search("row 3", text, re.IGNORECASE)


TEXT = {
    "type": "object",
    "required": ["text"],
    "additionalProperties": False,
    "properties": {"text": {"type": "string", "minLength": 1}, "markdown": {"type": "string"}},
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
COUNT = {"type": "integer", "minimum": 1}
LOCATION = {
    "type": "object", "required": ["physicalLocation"], "additionalProperties": False,
    "properties": {"physicalLocation": {
        "type": "object", "required": ["artifactLocation"], "additionalProperties": False,
        "properties": {
            "artifactLocation": {
                "type": "object", "required": ["uri"], "additionalProperties": False,
                "properties": {"uri": {"type": "string", "pattern": r"^(file://)?[A-Za-z0-9/._~%-]+$"}, "uriBaseId": {"const": "%SRCROOT%"}},
            },
            "region": {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": {"startLine": COUNT, "startColumn": COUNT}},
        },
    }},
}  # fmt: skip
RULE = {
    "type": "object", "required": ["id"], "additionalProperties": False,
    "properties": {
        "id": {"type": "string"}, "shortDescription": TEXT, "help": TEXT,
        "defaultConfiguration": {"type": "object", "additionalProperties": False, "properties": {"level": LEVEL}},
    },
}  # fmt: skip
RESULT = {
    "type": "object", "required": ["message", "ruleId", "level", "locations"], "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"}, "level": LEVEL, "message": TEXT, "occurrenceCount": COUNT,
        "locations": {"type": "array", "items": LOCATION, "minItems": 1}, "properties": {"type": "object"},
    },
}  # fmt: skip
SARIF = {
    "type": "object", "required": ["version", "runs"], "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"}, "version": {"const": "2.1.0"},
        "runs": {"type": "array", "minItems": 1, "maxItems": 1, "items": {
            "type": "object", "required": ["tool", "results"], "additionalProperties": False,
            "properties": {
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": RESULT},
                "tool": {"type": "object", "required": ["driver"], "additionalProperties": False, "properties": {"driver": {
                    "type": "object", "required": ["name"], "additionalProperties": False,
                    "properties": {"name": {"type": "string"}, "version": {"type": "string"}, "rules": {"type": "array", "items": RULE, "uniqueItems": True}},
                }}},
            },
        }},
    },
}  # fmt: skip
"""What SARIF 2.1.0 says about the members that are written, and that there are no others."""


def log_of(*files: tuple[str, FileReport]) -> Any:
    """Return the SARIF log, checked against its schema."""
    log = json.loads("\n".join(written("sarif", *files)))
    jsonschema.validate(log, SARIF)
    return log


@pytest.mark.parametrize("file", [*HOSTILE, "/data/a b.jsonl", "<stdin>"])
def test_a_sarif_log_is_valid_and_names_the_file(file: str) -> None:
    """Relative names start from the folder of the command; each is its bytes again once it is decoded."""
    log = log_of((file, report(finding("wrong-role", column=2), finding("crlf", None), wrong_role=60)))
    results = log["runs"][0]["results"]
    artifact = results[0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert unquote_to_bytes(artifact["uri"].removeprefix("file://")) == os.fsencode(file)
    assert ("uriBaseId" in artifact) is not file.startswith("/")
    assert [(one["ruleId"], one["level"], one.get("occurrenceCount")) for one in results] == [
        ("wrong-role", "error", None), ("crlf", "warning", None), ("wrong-role", "error", 59),
    ]  # fmt: skip
    assert results[0]["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 2}


def test_a_log_describes_its_rules() -> None:
    """Those that were found, with what to do; also those of a manifest, and a log of nothing is one."""
    assert log_of()["runs"][0]["results"] == []
    made = SarifFindings(lambda path: path, "1.0")
    lines = [
        *made.add_one(finding("missing-file", severity=Severity.ERROR)),
        *made.add("a", "p", report(finding("crlf"))),
        *made.end(),
    ]
    log = json.loads("\n".join(lines))
    jsonschema.validate(log, SARIF)
    rules = {one["id"]: one for one in log["runs"][0]["tool"]["driver"]["rules"]}
    assert set(rules) == {"missing-file", "crlf"}
    assert RULES["crlf"].remedy in rules["crlf"]["help"]["text"]
    assert rules["crlf"]["defaultConfiguration"] == {"level": "warning"}


def test_a_raised_severity_is_the_level() -> None:
    """Of the result; the rule keeps its own."""
    raised = report(finding("last-role", severity=Severity.ERROR))
    log = log_of(("a", raised))
    assert log["runs"][0]["results"][0]["level"] == "error"
    assert list(GithubFindings(lambda path: path).end()) == []
