"""The sandbox in other vendors' dialects, as a plain HTTP client sees it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bulk_upload.errors import UsageError
from bulk_upload.sandbox import Habit, Sandbox, SandboxConfig, parse_faults
from bulk_upload.sandbox.dialects.dialect import Dialect
from bulk_upload.sandbox.dialects.named import DIALECTS

ELSEWHERE = [one for one in DIALECTS.values() if one.name != "flow"]
LISTING = [one for one in ELSEWHERE if one.lookup_problem() is None]


class Client:
    """The requests of a client that follows the dialect."""

    def __init__(self, session: aiohttp.ClientSession, sandbox: Sandbox, *, key: str = "k") -> None:
        self._session = session
        self._sandbox = sandbox
        self._dialect = DIALECTS[sandbox.config.profile]
        credential = self._dialect.credentials[0]
        self.headers = {credential.header: f"{credential.prefix}{key}"}
        self.headers |= dict.fromkeys(self._dialect.required_headers, "2026-10-21")

    async def call(self, method: str, path: str = "", **options: Any) -> tuple[int, Any]:
        """Return status and body of a call below the first root."""
        url = f"{self._sandbox.url}{self._dialect.roots[0]}{path}"
        options.setdefault("headers", self.headers)
        async with self._session.request(method, url, **options) as answer:
            body = await answer.read()
            self.answered = answer.headers
            return answer.status, await answer.json() if body[:1] in (b"{", b"[") else body

    async def upload(self, data: bytes = b"{}\n", name: str = "a.jsonl", **fields: str) -> tuple[int, Any]:
        """Upload a file with the dialect's first purpose."""
        form = aiohttp.FormData(quote_fields=False)
        for field, value in fields.items():
            form.add_field(field, value)
        if self._dialect.purposes is not None and "purpose" not in fields:
            form.add_field("purpose", self._dialect.purposes[0])
        form.add_field(self._dialect.file_field, data, filename=name)
        return await self.call("POST", data=form)

    async def ids(self, **query: str) -> list[str]:
        """Return the ids of all pages, each asked for as the dialect's answers say."""
        found: list[str] = []
        page = dict(query)
        while True:
            _, body = await self.call("GET", params=page)
            found += [one["id"] for one in body["data"]]
            if not body["data"]:
                return found
            if "next_page" in body:
                if body["next_page"] is None:
                    return found
                page["page"] = body["next_page"]
            elif "has_more" in body:
                page["after"] = body["last_id"]
            elif "total" in body:
                page["page"] = str(int(page.get("page", "0")) + 1)
            else:
                return found


def dialects(*wanted: Dialect) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("dialect", wanted or ELSEWHERE, ids=lambda one: one.name)


@dialects()
async def test_a_file_is_stored_as_it_was_sent(dialect: Dialect, tmp_path: Path) -> None:
    """Every dialect takes a form, answers with the file's id and size, and keeps the bytes."""
    config = SandboxConfig(profile=dialect.name, directory=str(tmp_path))
    async with Sandbox(config) as sandbox, aiohttp.ClientSession() as session:
        status, body = await Client(session, sandbox).upload(b'{"text": "a"}\n', "a-b.jsonl")
    (file,) = sandbox.files
    assert (status, body["id"], body[dialect.size_member]) == (200, file.file_id, 14)
    assert (tmp_path / file.file_id).read_bytes() == b'{"text": "a"}\n'
    created = body["created_at"]
    assert isinstance(created, int) or datetime.fromisoformat(created).tzinfo is not None


@dialects(*LISTING)
async def test_pages_hold_every_file_once(dialect: Dialect) -> None:
    """A walk through short pages finds all files, newest first; a look-up by id finds each."""
    config = SandboxConfig(profile=dialect.name)
    size = {"mistral": {"page_size": "2"}, "groq": {}}.get(dialect.name, {"limit": "2"})
    async with Sandbox(config) as sandbox, aiohttp.ClientSession() as session:
        client = Client(session, sandbox)
        for number in range(5):
            await client.upload(name=f"{number}.jsonl")
        if Habit.LOSSY_CURSOR not in dialect.habits:
            assert await client.ids(**size) == [one.file_id for one in reversed(sandbox.files)]
        status, body = await client.call("GET", f"/{sandbox.files[2].file_id}")
        assert (status, body["filename"]) == (200, "2.jsonl")


@dialects(*LISTING)
async def test_a_deleted_file_is_gone(dialect: Dialect) -> None:
    """After a deletion the file is in no list, and looking it up is a 404 in the dialect's words."""
    async with Sandbox(SandboxConfig(profile=dialect.name)) as sandbox, aiohttp.ClientSession() as session:
        client = Client(session, sandbox)
        _, uploaded = await client.upload()
        status, _ = await client.call("DELETE", f"/{uploaded['id']}")
        assert status == 200
        assert await client.ids() == []
        status, body = await client.call("GET", f"/{uploaded['id']}")
        assert (status, "not found" in str(body)) == (404, True)
        assert dialect.request_id_header in client.answered


@dialects()
async def test_a_wrong_key_is_refused(dialect: Dialect) -> None:
    """Neither no key nor another one comes in, by upload or by call."""
    config = SandboxConfig(profile=dialect.name, keys=("right",))
    async with Sandbox(config) as sandbox, aiohttp.ClientSession() as session:
        client = Client(session, sandbox, key="wrong")
        assert (await client.upload())[0] == 401
        assert (await client.call("GET"))[0] == 401
        client.headers = dict.fromkeys(dialect.required_headers, "2026-10-21")
        assert (await client.call("GET"))[0] == 401
        assert (await Client(session, sandbox, key="right").upload())[0] == 200


@dialects(*[one for one in ELSEWHERE if one.purposes is not None])
async def test_a_purpose_of_another_vendor_is_refused(dialect: Dialect) -> None:
    """A purpose that the vendor does not have is a refusal that names it, and nothing is stored."""
    async with Sandbox(SandboxConfig(profile=dialect.name)) as sandbox, aiohttp.ClientSession() as session:
        status, body = await Client(session, sandbox).upload(purpose="pre-train")
    assert status in (400, 422)
    assert "pre-train" in str(body)
    assert sandbox.files == ()


@dialects(DIALECTS["openai"], DIALECTS["mistral"], DIALECTS["anthropic"])
async def test_a_spent_quota_is_told_from_a_rate(dialect: Dialect) -> None:
    """The 429 of a spent quota has a code, the one of a rate names its wait."""
    faults = parse_faults("no-quota,ok,rate=1,burst=2")
    config = SandboxConfig(profile=dialect.name, faults=faults)
    async with Sandbox(config) as sandbox, aiohttp.ClientSession() as session:
        client = Client(session, sandbox)
        status, body = await client.upload()
        assert (status, "insufficient_quota" in str(body), "Retry-After" in client.answered) == (
            429,
            True,
            False,
        )
        assert (await client.upload())[0] == 200
        status, body = await client.upload()
        assert (status, "insufficient_quota" in str(body), client.answered["Retry-After"]) == (
            429,
            False,
            "1",
        )
        assert ("retry-after-ms" in client.answered) is (dialect.name == "openai")


async def test_azures_older_path_wants_its_version() -> None:
    """The older path answers 201, and nothing without `api-version`."""
    async with Sandbox(SandboxConfig(profile="azure")) as sandbox, aiohttp.ClientSession() as session:
        form = {"purpose": "batch", "file": b"{}\n"}
        for query, status in (("", 404), ("?api-version=2025-04-01", 201)):
            data = aiohttp.FormData({"purpose": "batch"})
            data.add_field("file", form["file"], filename="a.jsonl")
            url = f"{sandbox.url}/openai/files{query}"
            async with session.post(url, data=data, headers={"api-key": "k"}) as answer:
                assert answer.status == status


async def test_equal_times_are_whole_seconds() -> None:
    """With the habit no creation time has a fraction."""
    config = SandboxConfig(habits=(Habit.EQUAL_TIMES,))
    headers = {"Authorization": "k"}
    async with Sandbox(config) as sandbox, aiohttp.ClientSession() as session:
        for _ in range(3):
            data = aiohttp.FormData({"purpose": "fine-tune"})
            data.add_field("files", b"{}\n", filename="a.jsonl")
            async with session.put(f"{sandbox.url}/v1/flow/files", data=data, headers=headers) as answer:
                assert answer.status == 200
    assert {datetime.fromisoformat(one.created_at).microsecond for one in sandbox.files} == {0}


async def test_a_lossy_cursor_skips_files_of_one_second() -> None:
    """Behind a cursor only older seconds are listed, as llama-stack does; one long page shows all."""
    config = SandboxConfig(profile="llama-stack")
    async with Sandbox(config) as sandbox, aiohttp.ClientSession() as session:
        client = Client(session, sandbox)
        for _ in range(8):
            await client.upload()
        seconds = {datetime.fromisoformat(one.created_at).replace(microsecond=0) for one in sandbox.files}
        assert len(await client.ids(limit="1")) == len(seconds)
        assert len(await client.ids()) == 8


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("naïve ä.jsonl", "na_ve__.jsonl"),
        ("a..b", "a_b"),
        (".hidden", "_hidden"),
        ("a-b_1.jsonl", "a-b_1.jsonl"),
    ],
)
async def test_names_are_sanitised(sent: str, kept: str) -> None:
    """With the habit a name keeps only what is safe."""
    async with Sandbox(SandboxConfig(profile="llama-stack")) as sandbox, aiohttp.ClientSession() as session:
        _, body = await Client(session, sandbox).upload(name=sent)
    assert body["filename"] == kept


@dialects(DIALECTS["openai"], DIALECTS["mistral"], DIALECTS["anthropic"])
async def test_content_that_is_there_is_a_conflict(dialect: Dialect) -> None:
    """With the habit the same bytes are refused, and the answer names the file that has them."""
    config = SandboxConfig(profile=dialect.name, habits=(Habit.CONFLICT,))
    async with Sandbox(config) as sandbox, aiohttp.ClientSession() as session:
        client = Client(session, sandbox)
        _, first = await client.upload()
        status, body = await client.upload(name="b.jsonl")
        assert (status, body["file_id"]) == (409, first["id"])
        assert (await client.upload(b"[]\n"))[0] == 200
    assert len(sandbox.files) == 2


@pytest.mark.parametrize(("profile", "habits"), [("anthropic", ()), ("openai", (Habit.NO_CONTENT,))])
async def test_content_that_cannot_be_read_back(
    profile: str, habits: tuple[Habit, ...], tmp_path: Path
) -> None:
    """Reading back is a 400, though the bytes are there."""
    config = SandboxConfig(profile=profile, habits=habits, directory=str(tmp_path))
    async with Sandbox(config) as sandbox, aiohttp.ClientSession() as session:
        client = Client(session, sandbox)
        _, body = await client.upload()
        assert (await client.call("GET", f"/{body['id']}/content"))[0] == 400


async def test_litellm_only_uploads() -> None:
    """The proxy's list and look-ups fail."""
    async with Sandbox(SandboxConfig(profile="litellm")) as sandbox, aiohttp.ClientSession() as session:
        client = Client(session, sandbox)
        _, body = await client.upload()
        assert (await client.call("GET"))[0] == 500
        assert (await client.call("GET", f"/{body['id']}"))[0] == 500


def test_an_unknown_profile_is_refused_with_the_nearest() -> None:
    """A misspelt profile names the one that is meant."""
    with pytest.raises(UsageError) as caught:
        SandboxConfig(profile="opnai")
    assert 'Did you mean "openai"?' in str(caught.value.hint)


@dialects(DIALECTS["openai"], DIALECTS["mistral"])
@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"page": "-1"}, {"page_size": "99999"}])
async def test_a_query_that_cannot_be_is_refused_or_ignored(dialect: Dialect, query: dict[str, str]) -> None:
    """A parameter of the dialect is checked; a foreign one is ignored, so that a wrong dialect shows."""
    own = {"openai": "limit", "mistral": "page"}[dialect.name]
    async with Sandbox(SandboxConfig(profile=dialect.name)) as sandbox, aiohttp.ClientSession() as session:
        status, _ = await Client(session, sandbox).call("GET", params=query)
    assert status == (400 if next(iter(query)).startswith(own) else 200)
