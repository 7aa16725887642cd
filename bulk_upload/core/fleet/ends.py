"""How requests ended, inside messages: packed by an agent, unpacked by its coordinator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.bundle.answer import BundleAnswer, Lesson
from bulk_upload.core.fleet.messages import Ended, EndedBundle
from bulk_upload.core.fleet.wire import packed, packed_outcome, unpacked, unpacked_outcome
from bulk_upload.core.model import ListedFile  # noqa: TC001 - read by msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.sender import BundleReport, UploadReport


class _Strays(msgspec.Struct, frozen=True):
    files: tuple[ListedFile, ...]


def ended(attempt: int, report: UploadReport, *, wire_bytes: int, handed_bytes_total: int) -> Ended:
    """Return the report of an attempt as it is sent."""
    kind, outcome = packed_outcome(report.outcome)
    return Ended(
        attempt=attempt,
        kind=kind,
        outcome=outcome,
        complete=report.sent.complete,
        handed_bytes=report.sent.handed_bytes,
        content_hash=report.sent.content_hash,
        fingerprint=report.sent.fingerprint,
        wire_bytes=wire_bytes,
        handed_bytes_total=handed_bytes_total,
        report=None if report.checked is None else packed(report.checked),
    )


def ended_bundle(
    attempts: tuple[int, ...], report: BundleReport, *, wire_bytes: int, handed_bytes_total: int
) -> EndedBundle:
    """Return the report of a bundle as it is sent."""
    answer = report.answer
    return EndedBundle(
        attempts=attempts,
        outcomes=tuple(map(packed_outcome, answer.outcomes)),
        whole=packed_outcome(answer.whole),
        lesson=answer.lesson.value,
        is_by_file=answer.is_by_file,
        strays=packed(_Strays(answer.strays)),
        complete=report.sent[0].complete,
        handed_bytes=report.sent[0].handed_bytes,
        wire_bytes=wire_bytes,
        handed_bytes_total=handed_bytes_total,
    )


def bundle_answer(message: EndedBundle) -> BundleAnswer:
    """Return the answer in the report of a bundle. Raises ValueError, also for a report about other than its attempts."""
    if len(message.outcomes) != len(message.attempts):
        raise ValueError("there is not one outcome for each attempt")
    return BundleAnswer(
        outcomes=tuple(unpacked_outcome(*one) for one in message.outcomes),
        whole=unpacked_outcome(*message.whole),
        lesson=Lesson(message.lesson),
        is_by_file=message.is_by_file,
        strays=unpacked(message.strays, _Strays).files,
    )


def outcomes_in(message: Ended | EndedBundle) -> Iterator[tuple[int, Outcome]]:
    """Yield each attempt of a report with its outcome. Raises ValueError."""
    if isinstance(message, Ended):
        yield message.attempt, unpacked_outcome(message.kind, message.outcome)
        return
    yield from zip(message.attempts, bundle_answer(message).outcomes, strict=True)
