"""`validate --stats` and its relatives: what the data is, on standard output and as a page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bulk_upload.core.report.json_shapes import SHAPES
from tests.cli.stage import Ended, run_here
from tests.processes.forked import shell_words

SECRET = "ghp_" + "k3J9sQ2mZx7Lp0Vb5Nc8Rt4Wy6Hd1FgUa8Ec"
STATISTICS, COMPARISON = SHAPES["validate --stats"], SHAPES["validate --stats|validate --group"]


def chat(asked: str, said: str) -> str:
    """Return a line."""
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    return json.dumps({"messages": messages}) + "\n"


@pytest.fixture
def data(desk: Path) -> Path:
    """A manifest of training and evaluation data that have two prompts, and one example, in common."""
    (desk / "train").mkdir()
    (desk / "train" / "a.jsonl").write_text(chat("one", "1") + chat("two", "2") + chat("three", "3"))
    (desk / "train" / "b.jsonl").write_text(chat("four", "4") + chat("two", "2"))
    (desk / "eval.jsonl").write_text(chat("five", "5") + chat("three", "III") + chat("one", "1"))
    names = ("train/a.jsonl", "train/b.jsonl", "eval.jsonl")
    manifest = desk / "manifest.jsonl"
    manifest.write_text("".join(json.dumps({"path": name, "purpose": "fine-tune"}) + "\n" for name in names))
    return manifest


def found(ended: Ended, rule: str) -> list[tuple[str, int, str]]:
    """Return place and words of each finding of a rule, from JSON."""
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    return [(one["file"], one["line"], one["found"]) for one in lines if one.get("rule") == rule]


def test_statistics_follow_the_findings(data: Path) -> None:
    """By purpose, with a histogram of each amount; duplicates have both places."""
    ended = run_here("validate", str(data), "--stats")
    text = ended.stdout.decode()
    assert ended.status == 0
    assert "fine-tune: 8 examples in 3 files\n" in text
    assert "  turns        16 in all, mean 2.0, half up to 2" in text
    assert "most 8 in eval.jsonl:2\n" in text
    assert "user: 8 texts, 30 characters (" in text
    assert "compared 8 examples: 0 repeated within a file, 2 across files\n" in text
    assert "  train/a.jsonl:2 = train/b.jsonl:2\n  train/a.jsonl:1 = eval.jsonl:3\n" in text
    assert "warning: duplicate-across-files on 2 lines, first in train/b.jsonl:2\n" in text


def test_groups_have_two_figures(data: Path) -> None:
    """Examples that both have, and those of which the prompt alone is the same; each is a finding."""
    options = ("--group", "train=train/**", "--group", "eval=eval.jsonl")
    ended = run_here("validate", str(data), *options)
    assert ended.status == 0
    assert (
        "eval beside train: of 3 examples 1 in both (33.3 %), 1 more with the same prompt\n"
        in ended.stdout.decode()
    )
    as_json = run_here("validate", str(data), *options, "--json")
    assert found(as_json, "train-eval-overlap") == [
        ("eval.jsonl", 2, "the prompt is also in train, with another answer: train/a.jsonl:3"),
        ("eval.jsonl", 3, "the example is also in train: train/a.jsonl:1"),
    ]
    assert found(as_json, "duplicate-across-files") == [
        ("train/b.jsonl", 2, "the example is the same as train/a.jsonl:2")
    ]
    comparison: Any = msgspec.json.decode(as_json.stdout.splitlines()[-1], type=COMPARISON)
    assert comparison.overlaps == (
        {"group": "eval", "group_example_count": 3, "beside": "train", "example_count": 1, "prompt_count": 1},
    )


def test_severities_are_the_persons(data: Path) -> None:
    """An overlap is an error where it is said to be one, and nothing where it is ignored."""
    options = ("--group", "train=train/**", "--group", "eval=eval.jsonl")
    raised = run_here("validate", str(data), *options, "--error", "train-eval-overlap")
    assert raised.status == 10
    assert "2 errors" in raised.stderr
    ignored = run_here(
        "validate", str(data), *options, "--json", "--ignore", "train-eval-overlap,duplicate-across-files"
    )
    assert [json.loads(line)["kind"] for line in ignored.stdout.splitlines()] == ["comparison"]


def test_json_has_its_shapes(data: Path) -> None:
    """One object for each purpose, one for the comparison, with the documented keys in their order."""
    lines = run_here("validate", str(data), "--stats", "--json", "--ignore", "duplicate-across-files").stdout
    first, second = lines.splitlines()
    for line, shape in ((first, STATISTICS), (second, COMPARISON)):
        assert list(json.loads(line)) == list(shape.__struct_fields__)
        msgspec.json.decode(line, type=shape)


def test_without_the_options_nothing_is_counted(data: Path) -> None:
    """Nor is anything of it imported."""
    script = (
        "import sys; from bulk_upload.cli.main import status_of; status_of(sys.argv[1:]);"
        "print(*(one for one in sys.modules if '.survey.' in one or '.dataset.survey' in one))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "validate", str(data)], capture_output=True, check=True, timeout=60
    )
    assert done.stdout.split() == [b"bulk_upload.edge.validation.survey.task"]


def test_standard_input_is_counted(data: Path, desk: Path) -> None:
    """Like a file, under the name it has in findings."""
    done = subprocess.run(
        [*shell_words(), "validate", "-", "--purpose", "fine-tune", "--stats"],
        input=(desk / "eval.jsonl").read_bytes(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert b"fine-tune: 3 examples in 1 file\n" in done.stdout


def test_formats_for_other_programs_stay_what_they_are(data: Path) -> None:
    """A SARIF document has findings alone; the log of GitHub Actions shows the lines for people as well."""
    options = ("--group", "train=train/**", "--group", "eval=eval.jsonl", "--format")
    sarif = json.loads(run_here("validate", str(data), *options, "sarif").stdout)
    found = [one["ruleId"] for one in sarif["runs"][0]["results"]]
    assert found.count("train-eval-overlap") == 2
    assert b"eval beside train: of 3 examples" in run_here("validate", str(data), *options, "github").stdout
    assert (
        "SARIF holds findings alone" in run_here("validate", str(data), "--stats", *options, "sarif").stderr
    )


def test_the_page_has_it_all_and_loads_nothing(data: Path, desk: Path) -> None:
    """Findings, statistics and what is the same, in one file."""
    ended = run_here("validate", str(data), "--report", "data.html")
    assert (ended.status, ended.stderr.splitlines()[0]) == (0, "Report: data.html")
    page = (desk / "data.html").read_text("utf-8")
    for words in (
        "<h1>No errors</h1>",
        "Characters per example",
        "duplicate-across-files",
        "train/b.jsonl:2",
    ):
        assert words in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert run_here("validate", str(data), "--report", "none/data.html").status == 2


def test_no_secret_is_printed(desk: Path) -> None:
    """Neither as text nor as JSON nor in the page: four characters at most."""
    pytest.importorskip("detect_secrets")
    (desk / "a.jsonl").write_text(chat(f"my token is {SECRET}", "mail jane.doe@corp-x.de"))
    options = ("--purpose", "fine-tune", "--scan", "secrets", "--stats", "--report", "data.html")
    ended = run_here("validate", "a.jsonl", *options)
    as_json = run_here("validate", "a.jsonl", *options, "--json")
    page = (desk / "data.html").read_text("utf-8")
    assert "a.jsonl:1 [$.messages[0].content]: GitHub Token, ghp_...\n" in ended.stdout.decode()
    assert found(as_json, "personal-data") == [("a.jsonl", 1, "email address, jan...")]
    assert "GitHub Token, ghp_" in page
    for text in (ended.text, as_json.text, page):
        assert SECRET[:6] not in text
        assert "jane" not in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--max-tokens", "9"), "--max-tokens needs a tokenizer"),
        (("--group", "train=*"), "only one group is named"),
        (("--group", "a=train/**", "--group", "b=x.jsonl"), "no file is in the group b"),
    ],
)
def test_what_makes_no_sense_is_refused(data: Path, options: tuple[str, ...], words: str) -> None:
    """With what to do about it: a pattern that matches nothing would find no overlap."""
    ended = run_here("validate", str(data), *options)
    assert ended.status == 2
    assert words in ended.stderr


@pytest.mark.parametrize(
    ("module", "options", "extra"),
    [
        ("tokenizers", ("--stats", "--tokenizer", "tokenizer.json"), "tokens"),
        ("detect_secrets", ("--scan", "secrets"), "scan"),
    ],
)
def test_a_missing_extra_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch, module: str, options: tuple[str, ...], extra: str
) -> None:
    """Before any file is read."""
    monkeypatch.setitem(sys.modules, module, None)
    ended = run_here("validate", str(data), *options)
    assert ended.status == 2
    assert f"pip install 'bulk-upload[{extra}]'" in ended.stderr


def test_a_file_that_is_no_tokenizer_is_named(data: Path, desk: Path) -> None:
    """And one that is not there."""
    pytest.importorskip("tokenizers")
    (desk / "vocab.json").write_text("{}")
    for name, words in (("vocab.json", "vocab.json is not a tokenizer"), ("none.json", "No such file")):
        ended = run_here("validate", str(data), "--stats", "--tokenizer", name)
        assert ended.status == 2
        assert words in ended.stderr


def test_tokens_are_counted(data: Path, desk: Path) -> None:
    """By a file of the user's own, in processes of their own."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    made.save(str(desk / "tokenizer.json"))
    (desk / "eval.jsonl").write_text(chat("a b c", "d"))
    ended = run_here(
        "validate", str(data), "--stats", "--tokenizer", "tokenizer.json", "--max-tokens", "3", "--jobs", "1"
    )
    text = ended.stdout.decode()
    assert "  tokens       14 in all, mean 2.3" in text
    assert "most 4 in eval.jsonl:1\n" in text
    assert "1 example of more than 3 tokens\n" in text
    assert "eval.jsonl:1: the example has 4 tokens, the limit is 3\n" in text
