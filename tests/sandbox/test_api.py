from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.sandbox import Sandbox, SandboxConfig
from tests.sandbox.client import (
    BOUNDARY,
    call,
    exchange,
    field_part,
    file_part,
    form,
    upload,
    upload_form,
    upload_request,
)


async def test_an_upload_is_stored_and_described() -> None:
    """A whole form becomes a file, and the answer has every field of the API's FileResponse."""
    data = b'{"text": "one"}\n' * 1000
    async with Sandbox() as sandbox:
        answer = await upload(sandbox.url, data, "naïve data%20.jsonl")
    assert answer.status == 200
    (file,) = sandbox.files
    described = answer.json
    assert datetime.fromisoformat(described.pop("created_at")).tzinfo is not None
    assert described == {
        "id": file.file_id,
        "object": "file",
        "type": "jsonl",
        "purpose": "fine-tune",
        "filename": "naïve data%20.jsonl",
        "bytes": len(data),
        "created_by": "sandbox",
        "original_file_id": None,
        "deleted": False,
    }
    assert file.file_id.startswith("file-")
    assert file.sha256 == hashlib.sha256(data).hexdigest()


async def test_extra_fields_are_recorded_in_any_order() -> None:
    """Parts may come in any order; `vector_database_id` and unknown fields are kept, stray file parts dropped."""
    body = form(
        file_part("a.md", b"# x", name="files"),
        field_part("vector_database_id", "vdb-1"),
        field_part("colour", "blue"),
        file_part("upload", b"a.md", name="filename"),
        field_part("purpose", "alignment"),
    )
    async with Sandbox() as sandbox:
        assert (await exchange(sandbox.url, upload_request(body))).status == 200
    (file,) = sandbox.files
    assert (file.purpose, file.vector_database_id, file.bytes) == ("alignment", "vdb-1", 3)
    assert file.fields == (("vector_database_id", "vdb-1"), ("colour", "blue"))
    assert sandbox.uploads[0].fields == file.fields


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        (form(file_part("a", b"x")), ["body", "purpose"], "missing"),
        (form(field_part("purpose", "fine-tune")), ["body", "files"], "missing"),
        (upload_form(purpose="fun"), ["body", "purpose"], "enum"),
        (
            form(field_part("purpose", "fine-tune"), field_part("files", "x")),
            ["body", "files"],
            "value_error",
        ),
        (
            form(field_part("purpose", "fine-tune"), file_part("a", b"x", "file")),
            ["body", "files"],
            "missing",
        ),
    ],
)
async def test_a_wrong_form_is_422(body: bytes, loc: list[str], kind: str) -> None:
    """A form with a missing or wrong field is answered 422 in FastAPI's shape, and nothing is stored."""
    async with Sandbox() as sandbox:
        answer = await exchange(sandbox.url, upload_request(body))
    assert answer.status == 422
    (detail,) = answer.json["detail"]
    assert (detail["loc"], detail["type"]) == (loc, kind)
    assert {"msg", "input"} <= set(detail)
    assert sandbox.files == ()


async def test_a_body_that_is_no_form() -> None:
    """A broken form is 400 and says why in the journal; a body of another type lacks both fields (422)."""
    async with Sandbox() as sandbox:
        broken = await exchange(sandbox.url, upload_request(upload_form()[:-8]))
        other = await exchange(sandbox.url, upload_request(b"{}", content_type="application/json"))
    assert (broken.status, other.status) == (400, 422)
    assert broken.json == {"detail": "There was an error parsing the body"}
    assert [detail["loc"][1] for detail in other.json["detail"]] == ["purpose", "files"]
    assert "closing boundary" in (sandbox.uploads[0].note or "")


@pytest.mark.parametrize(
    ("key", "status"), [("right", 200), (None, 401), ("", 401), ("wrong", 401), ("Bearer right", 401)]
)
async def test_the_key_stands_by_itself(key: str | None, status: int) -> None:
    """A request needs an accepted key in `Authorization`, without `Bearer`; the journal never shows it."""
    async with Sandbox(SandboxConfig(keys=("right", "other"))) as sandbox:
        answers = [
            await upload(sandbox.url, key=key),
            await call(sandbox.url, "GET", "/v1/flow/files", key=key),
        ]
    assert [answer.status for answer in answers] == [status, status]
    assert [record.auth_ok for record in sandbox.journal] == [status == 200] * 2
    assert not any("right" in record.as_json() for record in sandbox.journal)
    assert "right" not in repr(sandbox.config)


async def test_bulk_upload_stores_each_part() -> None:
    """A bulk upload answers with one FileResponse per `files` part, in their order."""
    body = form(field_part("purpose", "pre-train"), file_part("a.jsonl", b"1"), file_part("b.parquet", b"22"))
    async with Sandbox() as sandbox:
        answer = await exchange(sandbox.url, upload_request(body, path="/v1/flow/bulk_files"))
    assert [(file["filename"], file["bytes"], file["type"]) for file in answer.json] == [
        ("a.jsonl", 1, "jsonl"),
        ("b.parquet", 2, "parquet"),
    ]
    (record,) = sandbox.uploads
    assert [file.file_id for file in record.bulk_files] == [file["id"] for file in answer.json]
    assert record.file_id is None


async def listed(url: str, query: str = "", **options: Any) -> list[str]:
    answer = await call(url, "GET", f"/v1/flow/files?{query}", **options)
    assert answer.json["object"] == "list"
    return [file["filename"] for file in answer.json["data"]]


async def test_listing() -> None:
    """The list is newest first by default, pages by limit and offset without a total, sorts and filters."""
    async with Sandbox() as sandbox:
        for name, size in (("b.jsonl", 3), ("c.pdf", 1), ("a.md", 2)):
            await upload(sandbox.url, b"x" * size, name)
        await exchange(sandbox.url, upload_request(upload_form(b"1234", "d.jsonl", "pre-train")))
        assert await listed(sandbox.url) == ["d.jsonl", "a.md", "c.pdf", "b.jsonl"]
        assert await listed(sandbox.url, "limit=2&offset=1") == ["a.md", "c.pdf"]
        assert await listed(sandbox.url, "limit=2&offset=3") == ["b.jsonl"]
        assert await listed(sandbox.url, "sort_by=filename&sort_order=asc") == [
            "a.md",
            "b.jsonl",
            "c.pdf",
            "d.jsonl",
        ]
        assert await listed(sandbox.url, "sort_by=size") == ["d.jsonl", "b.jsonl", "a.md", "c.pdf"]
        assert (await listed(sandbox.url, "sort_by=type&sort_order=asc"))[2:] == ["a.md", "c.pdf"]
        assert await listed(sandbox.url, "purpose=pre-train") == ["d.jsonl"]
    moments = [file.created_at for file in sandbox.files]
    assert moments == sorted(set(moments))


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "sort_by=age", "sort_order=up"]
)
async def test_wrong_list_queries_are_422(query: str) -> None:
    """A list query outside its range or choices is answered 422 and names the parameter."""
    async with Sandbox() as sandbox:
        answer = await call(sandbox.url, "GET", f"/v1/flow/files?{query}")
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"] == ["query", query.partition("=")[0]]


async def test_teams_do_not_see_each_other() -> None:
    """A file belongs to the team of its upload: other teams neither list it nor find it."""
    async with Sandbox() as sandbox:
        mine = (await upload(sandbox.url, headers=["x-team-id: one"])).json["id"]
        assert await listed(sandbox.url) == []
        assert await listed(sandbox.url, headers=["x-team-id: one"]) == ["a.jsonl"]
        path = f"/v1/flow/files/{mine}"
        assert (await call(sandbox.url, "GET", path)).status == 404
        assert (await call(sandbox.url, "DELETE", path, headers=["x-team-id: two"])).status == 404
        assert (await call(sandbox.url, "GET", path, headers=["x-team-id: one"])).status == 200


async def test_get_rename_delete() -> None:
    """A file can be looked up and renamed; deleted, it is gone from list and disk alike."""
    async with Sandbox() as sandbox:
        stored = (await upload(sandbox.url)).json
        path = f"/v1/flow/files/{stored['id']}"
        assert (await call(sandbox.url, "GET", path)).json == stored
        renamed = await call(sandbox.url, "PUT", f"{path}/rename", {"new_filename": "z.md"})
        assert renamed.json == stored | {"filename": "z.md", "type": "md"}
        assert (await call(sandbox.url, "PUT", f"{path}/rename", {})).status == 422
        assert (await call(sandbox.url, "PUT", f"{path}/rename", {"new_filename": 1})).status == 422
        gone = await call(sandbox.url, "DELETE", path)
        assert gone.json == {"id": stored["id"], "object": "file", "deleted": True}
        for method in ("GET", "DELETE"):
            assert (await call(sandbox.url, method, path)).status == 404
        assert (await call(sandbox.url, "PUT", f"{path}/rename", {"new_filename": "y"})).status == 404
        assert await listed(sandbox.url) == []
    assert sandbox.files == ()


async def test_content_with_ranges(tmp_path: Path) -> None:
    """Kept bytes come back whole and by range, and only finished files stand in the folder."""
    data = bytes(range(256)) * 5000
    async with Sandbox(SandboxConfig(directory=str(tmp_path))) as sandbox:
        file_id = (await upload(sandbox.url, data)).json["id"]
        await exchange(sandbox.url, upload_request(upload_form(data)[:-3]))
        path = f"/v1/flow/files/{file_id}/content"
        whole = await call(sandbox.url, "GET", path)
        probe = await call(sandbox.url, "GET", path, headers=["Range: bytes=0-1"])
        assert (whole.status, whole.body, whole.headers["content-type"]) == (
            200,
            data,
            "application/octet-stream",
        )
        assert (probe.status, probe.body) == (206, data[:2])
        assert probe.headers["content-range"] == f"bytes 0-1/{len(data)}"
        assert os.listdir(tmp_path) == [file_id]
        await call(sandbox.url, "DELETE", f"/v1/flow/files/{file_id}")
        assert (await call(sandbox.url, "GET", path)).status == 404
    assert os.listdir(tmp_path) == []


async def test_contents_in_memory() -> None:
    """Without a folder contents are kept as long as they fit; a deleted file makes room; of others the 404 names --dir."""
    async with Sandbox(SandboxConfig(memory_bytes=10)) as sandbox:
        ids = [(await upload(sandbox.url, data)).json["id"] for data in (b"0123456", b"abcd")]
        first, second = (f"/v1/flow/files/{one}/content" for one in ids)
        whole = await call(sandbox.url, "GET", first)
        assert (whole.status, whole.body) == (200, b"0123456")
        for wanted, status, body, place in (
            ("bytes=0-1", 206, b"01", "bytes 0-1/7"),
            ("bytes=-2", 206, b"56", "bytes 5-6/7"),
            ("bytes=5-", 206, b"56", "bytes 5-6/7"),
            ("bytes=3-99", 206, b"3456", "bytes 3-6/7"),
            ("bytes=7-", 416, b"", "bytes */7"),
            ("bytes=x", 416, b"", "bytes */7"),
        ):
            part = await call(sandbox.url, "GET", first, headers=[f"Range: {wanted}"])
            assert (part.status, part.body, part.headers["content-range"]) == (status, body, place), wanted
        refused = await call(sandbox.url, "GET", second)
        assert refused.status == 404
        assert "contents up to 10 B in all" in refused.json["detail"]
        assert "start it with --dir DIR" in refused.json["detail"]
        assert (await call(sandbox.url, "DELETE", first.removesuffix("/content"))).status == 200
        third = (await upload(sandbox.url, b"0123456789")).json["id"]
        assert (await call(sandbox.url, "GET", f"/v1/flow/files/{third}/content")).body == b"0123456789"


async def test_content_without_bytes_is_an_honest_404() -> None:
    """A sandbox that keeps digests only says so when asked for content."""
    async with Sandbox() as sandbox:
        file_id = (await upload(sandbox.url)).json["id"]
        answer = await call(sandbox.url, "GET", f"/v1/flow/files/{file_id}/content")
    assert answer.status == 404
    assert "digests only" in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({"purpose": "alignment", "suffix": "pdf", "size": 10}, True),
        ({"purpose": "fine-tune", "suffix": "parquet", "size": 10}, True),
        ({"purpose": "fine-tune", "suffix": "pdf", "size": 10}, False),
        ({"purpose": "alignment", "suffix": "pt", "size": 10}, False),
        ({"purpose": "alignment", "suffix": "md", "size": 0}, False),
        ({"purpose": "alignment", "suffix": "md", "size": 4 * 10**9 + 1}, False),
    ],
)
async def test_validate_metadata(body: dict[str, Any], valid: bool) -> None:
    """Metadata is valid when the purpose takes the suffix and the size is within the documented limit."""
    async with Sandbox() as sandbox:
        answer = (await call(sandbox.url, "POST", "/v1/flow/files/validate_metadata", body)).json
    assert answer["is_valid"] is valid
    assert (answer["errors"] is None) is valid


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"suffix": "md", "size": 1}, "purpose"),
        ({"purpose": "alignment", "suffix": "md", "size": "1"}, "size"),
    ],
)
async def test_metadata_of_the_wrong_shape_is_422(body: dict[str, Any], name: str) -> None:
    """Metadata with a missing or mistyped value is answered 422 and names it."""
    async with Sandbox() as sandbox:
        answer = await call(sandbox.url, "POST", "/v1/flow/files/validate_metadata", body)
    assert (answer.status, answer.json["detail"][0]["loc"]) == (422, ["body", name])


async def test_unknown_places_answer_in_json() -> None:
    """Unknown paths and methods are 404 and 405 with a JSON detail, and stand in the journal."""
    async with Sandbox() as sandbox:
        answers = [
            await call(sandbox.url, "GET", "/v2/nothing"),
            await call(sandbox.url, "POST", "/v1/flow/files"),
        ]
    assert [answer.status for answer in answers] == [404, 405]
    assert answers[0].json == {"detail": "Not Found"}
    assert [record.status for record in sandbox.journal] == [404, 405]


async def test_chunked_bodies_are_taken() -> None:
    """A body without Content-Length, in chunks, is stored like any other."""
    body = upload_form(b"chunked")
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(body[i : i + 9]), body[i : i + 9]) for i in range(0, len(body), 9)
    )
    headers = ["Transfer-Encoding: chunked", f"Content-Type: multipart/form-data; boundary={BOUNDARY}"]
    async with Sandbox() as sandbox:
        answer = await exchange(sandbox.url, upload_request(b"", headers=headers) + chunks + b"0\r\n\r\n")
    assert answer.json["bytes"] == 7
    assert sandbox.uploads[0].content_length is None
    assert sandbox.unexpected == ()
