"""One upload request on its way through the sandbox: let in, received, stored, answered, journalled."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from bulk_upload.sandbox.answers import raw_answer
from bulk_upload.sandbox.chooser import Draw
from bulk_upload.sandbox.dialects.dialect import Problem
from bulk_upload.sandbox.faults import OK, FaultKind
from bulk_upload.sandbox.journal import JournalRecord, RecordKind, SentFile
from bulk_upload.sandbox.requests.intake import Dropped, Intake
from bulk_upload.sandbox.requests.multipart import MultipartError
from bulk_upload.sandbox.wire import current_connection

if TYPE_CHECKING:
    from bulk_upload.sandbox.requests.form import UploadForm
    from bulk_upload.sandbox.service import Service
    from bulk_upload.sandbox.stored_file import StoredFile

_NO_FORM = Problem(status=400, message="There was an error parsing the body")
_CLIENT_GONE = (ConnectionError, web.RequestPayloadError, HttpProcessingError)


class Upload:
    """One request to an upload path."""

    def __init__(self, service: Service, request: web.Request, *, bulk: bool) -> None:
        self._service = service
        self._request = request
        self._bulk = bulk
        self._connection = current_connection.get()
        self._number, self._moment = service.journal.arrived()
        self._head_problem = service.problem(request)
        self._step = OK
        self._intake: Intake | None = None
        self._stored: tuple[StoredFile, ...] = ()
        self._recorded = False

    async def run(self) -> web.StreamResponse:
        """Serve the request and return its answer; its journal record is written before the answer leaves."""
        if self._head_problem is not None:
            answer = self._service.answers.problem(self._head_problem)
            self._record(status=answer.status)
            return answer
        over = self._service.unserved(bulk=self._bulk, body_bytes=self._request.content_length)
        if over is not None:
            limit, answer = over
            self._record(status=answer.status, fault=limit)
            return answer
        self._service.enter()
        try:
            return await self._served()
        except BaseException as error:
            if not self._recorded:
                self._record(note=f"broken off: {type(error).__name__}")
            if isinstance(error, _CLIENT_GONE):
                return web.Response()
            raise
        finally:
            self._discard_rest()
            self._service.leave()

    async def _served(self) -> web.StreamResponse:
        hits = self._bulk or not self._service.faults.bulk_only
        draw = self._service.chooser.draw(self._request.content_length) if hits else Draw(step=OK)
        if draw.step.early:
            self._step = draw.step
            return await self._answered_early()
        intake = self._intake = Intake(self._service, self._request, self._connection, draw)
        try:
            await intake.receive()
        except MultipartError as error:
            self._record(status=400, note=str(error))
            return self._service.answers.refusal(400, "There was an error parsing the body")
        except Dropped:
            return self._dropped()
        return await self._answered_whole(intake)

    async def _answered_early(self) -> web.StreamResponse:
        if self._step.kind is FaultKind.DROP_HEAD:
            return self._dropped()
        return await self._answered(self._service.answers.scripted(self._step, {}))

    async def _answered_whole(self, intake: Intake) -> web.StreamResponse:
        self._step = intake.step
        if self._step.refuses:
            return await self._answered(self._service.answers.scripted(self._step, {}))
        problem = self._form_problem(intake.form)
        if problem is not None or intake.form is None:
            return await self._answered(self._service.answers.problem(problem or _NO_FORM))
        earlier = self._service.store.first()
        self._stored = self._store(intake.form)
        if self._step.drops:
            return self._dropped()
        return await self._answered_stored((earlier or self._stored[0]).file_id)

    def _form_problem(self, form: UploadForm | None) -> Problem | None:
        fields = dict(form.fields) if form is not None else {}
        has_file = form is not None and bool(form.files)
        problem = self._service.dialect.form_problem(fields, self._service.purposes, has_file=has_file)
        if problem is not None or form is None:
            return problem
        named = self._service.name_problem(file.filename for file in form.files)
        return named or self._service.conflict(form.digests[-1], self._service.team_of(self._request))

    async def _answered_stored(self, taken_id: str) -> web.StreamResponse:
        dialect = self._service.dialect
        body = [dialect.file_body(file) for file in self._stored]
        delay_s = self._step.number if self._step.kind is FaultKind.DELAY else 0.0
        status = dialect.success_status(self._request.path)
        answer = await self._answered(
            self._service.answers.stored(self._step, body, status=status, bulk=self._bulk, taken_id=taken_id),
            delay_s=delay_s,
        )
        raw = raw_answer(self._step, json.dumps(body if self._bulk else body[0]).encode("ascii"))
        if raw is not None:
            self._connection.send(raw)
            self._connection.close()
        return answer

    async def _answered(self, answer: web.Response, *, delay_s: float = 0.0) -> web.Response:
        # Written before the delay: a client that gives up waiting finds in the journal what became of its file.
        self._record(status=None if self._step.kind is FaultKind.GARBAGE else answer.status)
        await self._connection.wait_lost(self._service.faults.answer_delay_s + delay_s)
        return answer

    def _dropped(self) -> web.Response:
        self._record()
        self._connection.reset()
        return web.Response()

    def _discard_rest(self) -> None:
        """Remove what was staged and not stored; discarding what was stored finds nothing under its old name."""
        if self._intake is not None and self._intake.form is not None:
            self._intake.form.discard()

    def _store(self, form: UploadForm) -> tuple[StoredFile, ...]:
        # A single upload with several `files` parts keeps the last one, as FastAPI does.
        kept = form.files if self._bulk else form.files[-1:]
        if self._step.kind is FaultKind.DROP_PART:
            kept = kept[: int(len(kept) * self._step.number)]
        if self._step.kind is FaultKind.RENAMED:
            kept[0].stored_name = f"renamed-{kept[0].filename}"
        return tuple(
            self._service.store.store(
                file,
                purpose=form.value("purpose") or "",
                team_id=self._service.team_of(self._request),
                fields=_extra_fields(form),
                number=self._number,
                list_lag_s=self._service.faults.list_lag_s,
                file_id=self._service.dialect.file_id(str(uuid.uuid4())),
            )
            for file in kept
        )

    def _record(
        self, *, status: int | None = None, fault: str | None = None, note: str | None = None
    ) -> None:
        self._recorded = True
        step = self._intake.step if self._intake is not None else self._step
        self._service.journal.write(
            JournalRecord(
                kind=RecordKind.UPLOAD,
                number=self._number,
                time=self._moment,
                connection=self._connection.number,
                method=self._request.method,
                path=self._request.path_qs,
                auth_ok=self._head_problem is None,
                team_id=self._service.team_of(self._request),
                content_length=self._request.content_length,
                status=status,
                fault=fault or (None if step == OK else str(step)),
                note=note,
                **self._received(),
            )
        )

    def _received(self) -> dict[str, Any]:
        """Return the journal's values about the body."""
        if self._intake is None:
            return {}
        values: dict[str, Any] = {"body_bytes": self._intake.body_bytes, "complete": self._intake.complete}
        form = self._intake.form
        if form is None:
            return values
        values |= {"purpose": form.value("purpose"), "fields": _extra_fields(form)}
        sent = _sent_files(form, self._stored, bulk=self._bulk)
        if self._bulk:
            return values | {"bulk_files": sent}
        return values | ({name: getattr(sent[-1], name) for name in SentFile.__slots__} if sent else {})


def _sent_files(form: UploadForm, stored: tuple[StoredFile, ...], *, bulk: bool) -> tuple[SentFile, ...]:
    known, unknown = [file.file_id for file in stored], [None] * (len(form.files) - len(stored))
    # Of several files the first ones are stored, of a single upload the last one is.
    ids = [*known, *unknown] if bulk else [*unknown, *known]
    digests = form.digests + [None] * (len(form.files) - len(form.digests))
    return tuple(
        SentFile(filename=file.filename, file_bytes=file.size, sha256=digest, file_id=file_id)
        for file, digest, file_id in zip(form.files, digests, ids, strict=True)
    )


def _extra_fields(form: UploadForm) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in form.fields if name != "purpose")
