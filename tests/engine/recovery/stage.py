"""A folder of files, its ledger, and a server that answers at once."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.paging import ListedPage, PageRequest
from bulk_upload.core.api.profile import FLOW, Profile
from bulk_upload.core.api.server_clock import UNKNOWN, ClockOffset
from bulk_upload.core.clock import Moment
from bulk_upload.core.content_hash import SHA256_ONLY, HashFunction, hash_of
from bulk_upload.core.doubt.content import ByteRange, ReadBack
from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.plan import Step
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.files import FileReader
from bulk_upload.edge.ledger import JobIdentity, Ledger, Staging, open_ledger
from bulk_upload.edge.manifest_file import ManifestFile
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.api_retry import ApiRetry
from bulk_upload.engine.doubt.inquiry import ContentInquiry
from bulk_upload.engine.manifest_marks import record_manifest
from bulk_upload.engine.plan import Plan
from bulk_upload.engine.planned_entries import StagedEntries
from bulk_upload.engine.recovery.contents import Contents
from bulk_upload.engine.recovery.first_look import FirstLook
from bulk_upload.engine.recovery.rebuild import Rebuilder, Rebuilt
from bulk_upload.job_plan import JobPlanner

PURPOSE = "pre-train"


class Desk:
    """A server's files, newest first. `returns` says whether contents can be read; `fails` that nothing is answered."""

    def __init__(self) -> None:
        self.files: list[tuple[ListedFile, bytes]] = []
        self.clock_offset_s: float | None = 0.0
        self.returns = True
        self.fails = False
        self.list_count = 0
        self.read_count = 0

    def store(
        self, name: str, content: bytes, *, at_utc_s: float = 0.0, purpose: str = PURPOSE
    ) -> ListedFile:
        """Keep a file, as the newest one."""
        file = ListedFile(
            file_id=f"file-{len(self.files)}",
            filename=name,
            bytes=len(content),
            purpose=purpose,
            created_at=utc_text(at_utc_s),
        )
        self.files.insert(0, (file, content))
        return file

    def clock_offset(self, then: Moment) -> ClockOffset:
        """Nothing is known of earlier moments."""
        del then
        return UNKNOWN

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return a page."""
        self.list_count += 1
        if self.fails:
            raise NoAnswer("the server's list gave no usable answer (HTTP 404)", http_status=404)
        files = self.files[request.offset : request.offset + request.limit]
        return ListedPage([file for file, _ in files])

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return one file."""
        return next((file for file, _ in self.files if file.file_id == file_id), None)

    async def delete(self, file_id: str) -> bool:
        """Nobody deletes anything here."""
        raise AssertionError(file_id)

    async def hashes_of(self, file_id: str, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
        """Nobody asks for whole contents here."""
        raise AssertionError(file_id)

    async def download(
        self,
        file_id: str,
        write: Callable[[bytes], object],
        *,
        file_bytes: int | None,
        functions: tuple[HashFunction, ...],
    ) -> ReadBack:
        """Nobody fetches anything here."""
        raise AssertionError(file_id)

    async def read_back(
        self,
        file_id: str,
        *,
        file_bytes: int,
        ranges: tuple[ByteRange, ...] = (),
        functions: tuple[HashFunction, ...] = SHA256_ONLY,
    ) -> ReadBack:
        """Return the hash of a content, or of its ranges."""
        self.read_count += 1
        if not self.returns:
            return ReadBack(read_bytes=0, reason="the server returns no content, HTTP 404")
        content = next(content for file, content in self.files if file.file_id == file_id)
        if ranges:
            parts = b"".join(content[one.start : one.start + one.length] for one in ranges)
            return ReadBack(hashes=_hashes(parts, functions), read_bytes=len(parts), by_ranges=True)
        return ReadBack(hashes=_hashes(content, functions), read_bytes=len(content), total_bytes=len(content))


def _hashes(content: bytes, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
    return tuple(hash_of(content, one) for one in functions)


class Lost:
    """A job in a folder whose ledger may be lost, copied and rebuilt."""

    def __init__(self, folder: Path, *, profile: Profile = FLOW) -> None:
        self.folder = folder
        self.desk = Desk()
        self.profile = profile
        self.ledger = folder / "manifest.ledger.db"
        self.planner = JobPlanner(Connection(endpoint="https://api.example", profile=profile, team=None))

    def write(self, files: dict[str, bytes]) -> None:
        """Write files and the manifest that names them all."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        lines = [json.dumps({"path": name, "purpose": PURPOSE}) + "\n" for name in files]
        (self.folder / "manifest.jsonl").write_text("".join(lines), "utf-8")

    @property
    def job(self) -> Job:
        """The job."""
        return Job(manifest=os.fspath(self.folder / "manifest.jsonl"), ledger=os.fspath(self.ledger))

    def send_count(self) -> int:
        """Return how many entries a run would send now."""
        return self.planner.plan(self.job).total(Step.SEND).entry_count

    async def rebuild(self, *, trust_names: bool = False, compare_max_bytes: int = 1 << 20) -> Rebuilt:
        """Rebuild the ledger."""
        async with self._opened() as (plan, entries, reader, ledger):
            del plan
            inquiry = ContentInquiry(self.desk, ApiRetry(SystemClock()))
            rebuilder = Rebuilder(
                inquiry=inquiry,
                contents=Contents(files=reader, server=inquiry, compare_max_bytes=compare_max_bytes),
                profile=self.profile,
                entries=entries,
                ledger=ledger.writer,
                clock=SystemClock(),
                decided_by="me@here",
                trust_names=trust_names,
            )
            return await rebuilder.rebuild()

    async def look(self, *, at_utc_s: float, passes: bool = True) -> list[str]:
        """Look as a run does that begins at a time; return what it says. `passes` marks it as a run that went on."""
        async with self._opened(at_utc_s=at_utc_s) as (plan, entries, reader, ledger):
            look = FirstLook(
                files_api=self.desk,
                files=reader,
                profile=self.profile,
                entries=entries,
                ledger=ledger.writer,
                runs=ledger.earlier,
                clock=SystemClock(),
            )
            warnings = (await look.look(plan)).warnings
            if passes:
                await record_manifest(ledger.writer, entries, manifest="/m.jsonl", utc_s=at_utc_s)
        return list(warnings)

    @asynccontextmanager
    async def _opened(
        self, *, at_utc_s: float = 0.0
    ) -> AsyncIterator[tuple[Plan, StagedEntries, FileReader, Ledger]]:
        manifest = ManifestFile(self.job.manifest)
        staging = Staging(None)
        identity = JobIdentity(
            profile=self.profile.name,
            endpoint="https://api.example",
            team=None,
            root=os.fspath(self.folder),
        )
        path = os.fspath(self.ledger)
        ledger = open_ledger(path, identity, version="1", moved_root=False, utc_s=at_utc_s)
        try:
            staging.attach(path)
            preparation = self.planner.preparation(self.job, manifest, staging, None)
            plan = preparation.plan(manifest.lines())
            entries = StagedEntries(staging)
            reader = FileReader(preparation.tree, thread_count=2, stuck_s=60.0)
            try:
                yield plan, entries, reader, ledger
            finally:
                reader.close()
                entries.close()
        finally:
            await ledger.close()
            staging.close()
            manifest.close()
