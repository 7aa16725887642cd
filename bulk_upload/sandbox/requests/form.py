"""The upload form: its fields, its file parts, and what FastAPI would say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulk_upload.sandbox.requests.multipart import MultipartError, MultipartParser, PartBegin, PartData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk_upload.sandbox.store import StagedFile

FIELD_BYTES_MAX = 1_048_576
"""Starlette's limit for the value of a form field (`max_part_size`)."""

Detail = dict[str, Any]


class UploadForm:
    """Takes the pieces of a body. File parts under `files` are staged; file parts under other names are dropped.

    The official SDK (seekrai 0.35.0) sends such a stray part, `name="filename"; filename="upload"`.
    """

    def __init__(self, boundary: bytes, stage: Callable[[str], StagedFile]) -> None:
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
        if _is_file(part):
            self.files.append(self._stage(part.filename or ""))

    def _take(self, data: bytes) -> None:
        if self._open is None:
            return
        if _is_file(self._open):
            self.files[-1].write(data)
        elif self._open.filename is None:
            self._value += data
            if len(self._value) > FIELD_BYTES_MAX:
                raise MultipartError(f"the field {self._open.name!r} exceeds {FIELD_BYTES_MAX} bytes")

    def _end(self) -> None:
        if self._open is None:
            return
        if _is_file(self._open):
            self.digests.append(self.files[-1].close())
        elif self._open.filename is None:
            self.fields.append((self._open.name, self._value.decode("utf-8", "replace")))
        self._open = None


def _is_file(part: PartBegin) -> bool:
    return part.name == "files" and part.filename is not None


def form_problems(form: UploadForm | None, purposes: Sequence[str]) -> list[Detail]:
    """Return what is wrong with a form, in the shape of FastAPI's 422 answers; None is a body that is no form."""
    fields = dict(form.fields) if form is not None else {}
    problems: list[Detail] = []
    if "purpose" not in fields:
        problems.append(missing("body", "purpose"))
    else:
        problems += purpose_problems(fields["purpose"], purposes, "body")
    if form is None or not form.files:
        if "files" in fields:
            problems.append(
                {
                    "type": "value_error",
                    "loc": ["body", "files"],
                    "msg": "Value error, Expected UploadFile, received: <class 'str'>",
                    "input": fields["files"][:200],
                    "ctx": {"error": {}},
                }
            )
        else:
            problems.append(missing("body", "files"))
    return problems


def purpose_problems(purpose: object, purposes: Sequence[str], place: str) -> list[Detail]:
    """Return the 422 detail of a purpose the API does not have, or nothing."""
    return choice_problems(purpose, purposes, place, "purpose")


def choice_problems(value: object, choices: Sequence[str], place: str, name: str) -> list[Detail]:
    """Return the 422 detail of a value that is none of `choices`, or nothing."""
    if value in choices:
        return []
    quoted = [f"'{choice}'" for choice in choices]
    expected = " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
    return [
        {
            "type": "enum",
            "loc": [place, name],
            "msg": f"Input should be {expected}",
            "input": value,
            "ctx": {"expected": expected},
        }
    ]


def missing(*loc: str) -> Detail:
    """Return the 422 detail of a value that is not there."""
    return {"type": "missing", "loc": list(loc), "msg": "Field required", "input": None}
