"""The tables of stores in bulk-upload.toml: checked with the file, and never with a secret in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bulk_upload.cli.config.reading import configuration_of
from bulk_upload.cli.config.sources import KEYS
from bulk_upload.core.objects.options import SourceOptions, options_for
from bulk_upload.errors import UsageError

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "configuration.md").read_text("utf-8")
GOOD = """
[sources."s3://"]
region = "us-east-1"
[sources."s3://data"]
endpoint = "http://127.0.0.1:9000"
access-key-variable = "OUR_KEY"
secret-key-variable = "OUR_SECRET"
requester-pays = true
"""


def read(text: str) -> tuple[SourceOptions, ...]:
    return configuration_of("bulk-upload.toml", text, {}).source_options()


def test_a_bucket_has_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets come from the variables that the file names; the table of a bucket applies, else that of its scheme."""
    monkeypatch.setenv("OUR_KEY", "id")
    monkeypatch.setenv("OUR_SECRET", "SECRET")
    options = read(GOOD)
    own = options_for("s3://data", options)
    assert (own.endpoint, own.access_key_id, own.secret_access_key) == (
        "http://127.0.0.1:9000",
        "id",
        "SECRET",
    )
    assert own.requester_pays
    assert options_for("s3://other", options).region == "us-east-1"
    assert options_for("gs://data", options) == SourceOptions(home="gs://data")
    assert "SECRET" not in repr(options)


@pytest.mark.parametrize(
    ("url", "counts"),
    [("http://127.0.0.1:9000", True), ("http://10.0.0.1:9000", False), ("https://store", False), ("", False)],
)
def test_an_endpoint_in_the_environment(url: str, counts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one on this machine may be plain without being allowed to; a table of all buckets goes before it."""
    monkeypatch.setenv("AWS_ENDPOINT", url)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert [one.endpoint for one in read("")] == ([url] if counts else [])
    assert read('[sources."s3://"]\nregion = "x"') == (SourceOptions(home="s3://", region="x"),)


def test_a_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said which variable is missing, and for which bucket."""
    monkeypatch.delenv("OUR_KEY", raising=False)
    with pytest.raises(UsageError, match="access-key-variable is OUR_KEY, which is not set"):
        read(GOOD)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[sources."s3://b"]\nregoin = "x"', "line 2.*unknown setting 'regoin'"),
        ('[sources."ftp://b"]\nregion = "x"', "no place of objects"),
        ('[sources."s3://b/data"]\nregion = "x"', "more than a bucket"),
        ('[sources."s3://b"]\nanonymous = "yes"', "must be true or false"),
        ('[sources."s3://b"]\nregion = 3', "must be a string"),
        ('[sources."s3://b"]\nendpoint = "https://user:word@host"', "without user name"),
        ('[sources."s3://b"]\nsecret = "x"', "would store a secret"),
    ],
)
def test_what_is_wrong(text: str, message: str) -> None:
    """An error in a table is found with the file, with its line."""
    with pytest.raises(UsageError, match=re.compile(message, re.DOTALL)):
        read(text)


def test_every_key_is_explained() -> None:
    """The page has every key of the table once."""
    section = PAGE.partition("## Sources\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == sorted(KEYS)
