"""The tables of stores in bulk-upload.toml: checked with the file, and never with a secret in them."""

from __future__ import annotations

import os
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


def read(text: str, scheme: str = "s3") -> tuple[SourceOptions, ...]:
    options = configuration_of("bulk-upload.toml", text, {}).source_options()
    return tuple(one for one in options if one.home.startswith(f"{scheme}://"))


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


@pytest.fixture
def hub_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without anything of a Hub or a proxy, and a home folder."""
    for name in [*os.environ]:
        if name.startswith(("HF_", "HUGGING_FACE", "XDG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/home/me")


HUB_TABLE = '[sources."hf://"]\nendpoint = "https://hub.example"'


@pytest.mark.parametrize(
    ("text", "environment", "endpoint", "token", "token_file"),
    [
        ("", {}, None, None, "/home/me/.cache/huggingface/token"),
        ("", {"HF_TOKEN": "SECRET"}, None, "SECRET", None),
        ("", {"HF_HOME": "/hf", "HF_ENDPOINT": "https://hub/"}, "https://hub", None, "/hf/token"),
        ("", {"HF_TOKEN_PATH": "/t"}, None, None, "/t"),
        ("", {"HF_TOKEN": "SECRET", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, None, None, None),
        (HUB_TABLE, {"HF_TOKEN": "SECRET"}, "https://hub.example", None, None),
        (f'{HUB_TABLE}\ntoken-variable = "OURS"', {"OURS": "SECRET"}, "https://hub.example", "SECRET", None),
        ('[sources."hf://"]\nanonymous = true', {"HF_TOKEN": "SECRET"}, None, None, None),
        ('[sources."hf://"]\ntoken-file = "~/t"', {"HF_TOKEN": "SECRET"}, None, None, "/home/me/t"),
    ],
)
@pytest.mark.usefixtures("hub_environment")
def test_the_hub_is_reached_as_by_its_own_tools(
    text: str,
    environment: dict[str, str],
    endpoint: str | None,
    token: str | None,
    token_file: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The token of the environment is for its own endpoint: one that a file names never gets it."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (found,) = read(text, "hf")
    assert (found.endpoint, found.bearer_token, found.token_file) == (endpoint, token, token_file)
    assert "SECRET" not in repr(found)


@pytest.mark.usefixtures("hub_environment")
def test_an_agent_has_a_hub_of_its_own_where_its_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it reaches the Hub as its run does: a missing token would take the place of the run's."""
    monkeypatch.delenv("AWS_ENDPOINT", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    configuration = configuration_of("bulk-upload.toml", "", {})
    assert configuration.own_source_options() == ()
    monkeypatch.setenv("HF_TOKEN", "hf_own")
    (own,) = configuration.own_source_options()
    assert (own.home, own.bearer_token) == ("hf://", "hf_own")


@pytest.mark.usefixtures("hub_environment")
def test_a_filesystem(monkeypatch: pytest.MonkeyPatch) -> None:
    """The password comes from a variable, known hosts are those of ssh, and other settings are fsspec's own."""
    monkeypatch.setenv("OURS", "SECRET")
    text = (
        '[sources."sftp://host"]\nusername = "me"\npassword-variable = "OURS"\nsettings = {compress = true}'
    )
    own, usual = read(text, "sftp")
    assert (own.username, own.password, own.settings) == ("me", "SECRET", {"compress": True})
    assert own.known_hosts == usual.known_hosts == "/home/me/.ssh/known_hosts"


def test_a_repository_has_its_own_settings() -> None:
    """The table of a repository is for all of its revisions."""
    options = read('[sources."hf://datasets/a/b"]\nanonymous = true', "hf")
    assert options_for("hf://datasets/a/b@v1", options).anonymous
    assert not options_for("hf://datasets/a/c", options).anonymous


def test_a_variable_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said which variable is missing, and for which bucket."""
    monkeypatch.delenv("OUR_KEY", raising=False)
    with pytest.raises(UsageError, match="access-key-variable is OUR_KEY, which is not set"):
        read(GOOD)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[sources."s3://b"]\nregoin = "x"', "line 2.*unknown setting 'regoin'"),
        ('[sources."gopher://b"]\nregion = "x"', "no place of objects"),
        ('[sources."hf://datasets/a"]\nanonymous = true', "names no repository"),
        ('[sources."sftp://a"]\nsettings = 3', "must be a table"),
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
