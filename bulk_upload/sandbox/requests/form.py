"""The upload form: its fields and its file parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.sandbox.requests.multipart import MultipartError, MultipartParser, PartBegin, PartData

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.sandbox.store import StagedFile

FIELD_BYTES_MAX = 1_048_576
"""Starlette's limit for the value of a form field (`max_part_size`)."""


class UploadForm:
    """Takes the pieces of a body. File parts under `file_field` are staged; file parts under other names are dropped.

    The official SDK (seekrai 0.35.0) sends such a stray part, `name="filename"; filename="upload"`.
    """

    def __init__(self, boundary: bytes, stage: Callable[[str], StagedFile], *, file_field: str) -> None:
        self._file_field = file_field
        self._parser = MultipartParser(boundary)
        self._stage = stage
        self._open: PartBegin | None = None
        self._value = bytearray()
        self.fields: list[tuple[str, str]] = []
        self.files: list[StagedFile] = []
        self.digests: list[str] = []
        self.complete = False

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            MultipartError: not a form, or a field that is too long.
        """
        for event in self._parser.feed(data):
            if isinstance(event, PartBegin):
                self._begin(event)
            elif isinstance(event, PartData):
                self._take(event.data)
            else:
                self._end()

    def close(self) -> None:
        """State that the body is over.

        Raises:
            MultipartError: the form is not complete.
        """
        self._parser.close()
        self.complete = True

    def discard(self) -> None:
        """Forget the staged files."""
        for file in self.files:
            file.discard()

    def value(self, name: str) -> str | None:
        """Return the last value of a field: a later field of the same name wins, as in FastAPI."""
        return dict(self.fields).get(name)

    def _begin(self, part: PartBegin) -> None:
        self._open = part
        self._value.clear()
        if self._is_file(part):
            self.files.append(self._stage(part.filename or ""))

    def _take(self, data: bytes) -> None:
        if self._open is None:
            return
        if self._is_file(self._open):
            self.files[-1].write(data)
        elif self._open.filename is None:
            self._value += data
            if len(self._value) > FIELD_BYTES_MAX:
                raise MultipartError(f"the field {self._open.name!r} exceeds {FIELD_BYTES_MAX} bytes")

    def _end(self) -> None:
        if self._open is None:
            return
        if self._is_file(self._open):
            self.digests.append(self.files[-1].close())
        elif self._open.filename is None:
            self.fields.append((self._open.name, self._value.decode("utf-8", "replace")))
        self._open = None

    def _is_file(self, part: PartBegin) -> bool:
        return part.name == self._file_field and part.filename is not None
