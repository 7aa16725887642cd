"""The vendors' own clients against the sandbox's dialects: see docs/explanation/interop.md."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults, sandbox_in_thread

pytestmark = [pytest.mark.interop, pytest.mark.filterwarnings("ignore")]

KEY = "interop-key"
NAME = "naïve ä.jsonl"
DATA = b'{"custom_id": "1"}\n' * 5000


@pytest.fixture(autouse=True)
def _leaks_end_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Collect the clients' unclosed connections while their warnings are ignored, not after the last test."""
    # Some clients load the certificates before their first request, and fail where there are none.
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    yield
    gc.collect()


@contextmanager
def serving(profile: str, folder: Path, faults: str = "") -> Iterator[Sandbox]:
    config = SandboxConfig(
        profile=profile, directory=str(folder / "server"), keys=(KEY,), faults=parse_faults(faults)
    )
    with sandbox_in_thread(config) as running:
        yield running


def installed(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is not installed: see docs/explanation/interop.md")


def data_file(folder: Path, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(
    ("profile", "purpose"),
    [("openai", "batch"), ("llama-stack", "batch"), ("xai", "assistants"), ("azure", "batch")],
)
def test_openais_client(profile: str, purpose: str, tmp_path: Path) -> None:
    """It uploads, lists page by page, looks up, reads back and deletes."""
    openai = installed("openai")
    base_path = "/openai/v1" if profile == "azure" else "/v1"
    with serving(profile, tmp_path) as sandbox:
        client = openai.OpenAI(api_key=KEY, base_url=f"{sandbox.url}{base_path}", max_retries=0)
        _openai_calls(openai, client, sandbox, tmp_path, purpose)


def test_azures_client(tmp_path: Path) -> None:
    """The client for the older path with `api-version` and `api-key` does the same."""
    openai = installed("openai")
    with serving("azure", tmp_path) as sandbox:
        client = openai.AzureOpenAI(
            api_key=KEY, azure_endpoint=sandbox.url, api_version="2025-04-01-preview", max_retries=0
        )
        _openai_calls(openai, client, sandbox, tmp_path, "batch")


def _openai_calls(openai: Any, client: Any, sandbox: Sandbox, folder: Path, purpose: str) -> None:
    lossy = sandbox.config.profile == "llama-stack"
    uploaded = client.files.create(file=data_file(folder), purpose=purpose)
    (stored,) = sandbox.files
    assert (uploaded.id, uploaded.bytes, uploaded.filename) == (stored.file_id, len(DATA), stored.filename)
    assert stored.filename == ("na_ve__.jsonl" if lossy else NAME)
    assert client.files.retrieve(uploaded.id).created_at == uploaded.created_at
    assert client.files.content(uploaded.id).read() == DATA
    for number in range(4):
        client.files.create(file=data_file(folder, f"{number}.jsonl"), purpose=purpose)
    listed = [one.id for one in client.files.list(limit=10_000 if lossy else 2)]
    assert listed == [one.file_id for one in reversed(sandbox.files)]
    assert client.files.delete(uploaded.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(uploaded.id)
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").files.list()
    sandbox.use_faults(parse_faults("429:1,no-quota"))
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            client.files.create(file=data_file(folder), purpose=purpose)
    assert sandbox.unexpected == ()


def test_groqs_client(tmp_path: Path) -> None:
    """It uploads, lists, looks up, reads back and deletes."""
    groq = installed("groq")
    with serving("groq", tmp_path) as sandbox:
        client = groq.Groq(api_key=KEY, base_url=sandbox.url, max_retries=0)
        uploaded = client.files.create(file=data_file(tmp_path), purpose="batch")
        (stored,) = sandbox.files
        assert (uploaded.id, uploaded.bytes, uploaded.filename) == (stored.file_id, len(DATA), NAME)
        assert client.files.info(uploaded.id).created_at == uploaded.created_at
        assert [one.id for one in client.files.list().data] == [uploaded.id]
        assert client.files.content(uploaded.id).read() == DATA
        assert client.files.delete(uploaded.id).deleted is True
        with pytest.raises(groq.NotFoundError):
            client.files.info(uploaded.id)
        with pytest.raises(groq.AuthenticationError):
            client.with_options(api_key="wrong").files.list()
        sandbox.use_faults(parse_faults("429:1"))
        with pytest.raises(groq.RateLimitError):
            client.files.create(file=data_file(tmp_path), purpose="batch")
        assert sandbox.unexpected == ()


def test_mistrals_client(tmp_path: Path) -> None:
    """It uploads with and without a purpose, lists page by page, looks up, reads back and deletes."""
    installed("mistralai")
    from mistralai.client import Mistral  # noqa: PLC0415 - may be absent
    from mistralai.client.errors import MistralError  # noqa: PLC0415 - may be absent

    with serving("mistral", tmp_path) as sandbox:
        client = Mistral(api_key=KEY, server_url=sandbox.url)
        whole = {"file_name": NAME, "content": DATA}
        client.files.upload(file=whole)
        uploaded = client.files.upload(file=whole, purpose="batch")
        stored = sandbox.files[-1]
        assert (uploaded.id, uploaded.size_bytes, uploaded.filename) == (stored.file_id, len(DATA), NAME)
        assert client.files.retrieve(file_id=uploaded.id).deleted is False
        listed = [client.files.list(page=page, page_size=1).data for page in range(3)]
        assert [[one.id for one in page] for page in listed] == [
            *([one.file_id] for one in reversed(sandbox.files)),
            [],
        ]
        assert client.files.download(file_id=uploaded.id).read() == DATA
        assert client.files.delete(file_id=uploaded.id).deleted is True
        for refused in (
            lambda: client.files.retrieve(file_id=uploaded.id),
            Mistral(api_key="wrong", server_url=sandbox.url).files.list,
        ):
            with pytest.raises(MistralError) as caught:
                refused()
            assert caught.value.status_code in (401, 404)
        assert sandbox.unexpected == ()


def test_anthropics_client(tmp_path: Path) -> None:
    """It uploads, lists page by page, looks up and deletes; what was uploaded cannot be read back."""
    anthropic = installed("anthropic")
    with serving("anthropic", tmp_path) as sandbox:
        client = anthropic.Anthropic(api_key=KEY, base_url=sandbox.url, max_retries=0)
        files = client.files if hasattr(client, "files") else client.beta.files
        uploaded = files.upload(file=data_file(tmp_path))
        (stored,) = sandbox.files
        assert (uploaded.id, uploaded.size_bytes, uploaded.filename) == (stored.file_id, len(DATA), NAME)
        for number in range(4):
            files.upload(file=data_file(tmp_path, f"{number}.jsonl"))
        assert [one.id for one in files.list(limit=2)] == [one.file_id for one in reversed(sandbox.files)]
        assert files.retrieve_metadata(uploaded.id).downloadable is False
        with pytest.raises(anthropic.BadRequestError):
            files.download(uploaded.id)
        assert files.delete(uploaded.id).type == "file_deleted"
        with pytest.raises(anthropic.NotFoundError):
            files.retrieve_metadata(uploaded.id)
        wrong = anthropic.Anthropic(api_key="wrong", base_url=sandbox.url, max_retries=0)
        with pytest.raises(anthropic.AuthenticationError):
            (wrong.files if hasattr(wrong, "files") else wrong.beta.files).list()
        sandbox.use_faults(parse_faults("429:1"))
        with pytest.raises(anthropic.RateLimitError):
            files.upload(file=data_file(tmp_path))
        assert sandbox.unexpected == ()
