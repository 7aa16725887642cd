"""What one upload to a server, and what was asked about it, show of the server and of its profile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import Accepted, InDoubt, ListedFile, Outcome, Refused
from bulk_upload.core.report.doctor_checks import Check, doubtful, fine, problem
from bulk_upload.core.run.records import reason_in
from bulk_upload.core.text.printable import printable
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.doubt.content import ReadBack

_TURNS = [{"role": "user", "content": "Is this a test?"}, {"role": "assistant", "content": "Yes."}]
_REQUEST = {
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "none", "messages": _TURNS[:1]},
}
_LINES: dict[str, object] = {
    "batch": {"custom_id": "probe-1", **_REQUEST},
    "pre-train": {"text": "This is a test."},
    "preference-fine-tune": {"messages": _TURNS[:1], "chosen": _TURNS[1:], "rejected": _TURNS[1:]},
    "reinforcement-fine-tune": {"messages": _TURNS[:1], "reference_answer": "Yes."},
}


class Probed(msgspec.Struct, kw_only=True):
    """What became of one small file, as far as it was asked about. An error is what was said in the place of an answer."""

    sent_name: str
    content: bytes
    sha256: str
    outcome: Outcome
    looked_up: ListedFile | None = None
    look_up_error: str = ""
    in_list: ListedFile | None = None
    list_error: str = ""
    read_back: ReadBack | None = None
    read_back_error: str = ""
    is_deleted: bool | None = None
    delete_error: str = ""


def probe_content(purpose: str) -> bytes:
    """Return one good line for a purpose, as far as its rules are known here."""
    return json.dumps(_LINES.get(purpose, {"messages": _TURNS})).encode() + b"\n"


def probe_checks(probed: Probed, profile: Profile) -> Iterator[Check]:
    """Yield what the probe found, step by step."""
    outcome = probed.outcome
    if not isinstance(outcome, Accepted) and not (isinstance(outcome, InDoubt) and outcome.candidate_id):
        yield _not_uploaded(probed)
        return
    yield _uploaded(outcome)
    yield _looked_up(probed, profile)
    if profile.can_list:
        yield _listed(probed)
    if profile.can_read_back:
        yield _read_back(probed)
    yield _deleted(probed)


def _not_uploaded(probed: Probed) -> Check:
    outcome = probed.outcome
    reason = reason_in(outcome) or "no reason"
    if isinstance(outcome, Refused) and outcome.remedy is None:
        remedy = "get a valid key; if the key is right, check --team and --base-url"
        return problem("probe upload", reason, remedy, ExitStatus.CREDENTIALS_REFUSED)
    if isinstance(outcome, InDoubt):
        words = f"no credible answer ({reason}); the server may have {printable(probed.sent_name)!r}"
        return problem("probe upload", words, "look for the file there, and delete it", ExitStatus.UNFINISHED)
    remedy = getattr(outcome, "remedy", None) or "see the server's message; check --profile and --purpose"
    return problem("probe upload", reason, remedy, ExitStatus.UNFINISHED)


def _uploaded(outcome: Accepted | InDoubt) -> Check:
    if isinstance(outcome, InDoubt):
        return doubtful(
            "probe upload",
            f"answered with {outcome.candidate_id}, but {outcome.reason}",
            "a run would leave such files in doubt; if the server changes names, use a profile with keeps-names = false",
        )
    size = "" if outcome.size_confirmed else "; it does not report the size"
    return fine("probe upload", f"HTTP {outcome.http_status}, {outcome.file_id}{size}")


def _looked_up(probed: Probed, profile: Profile) -> Check:
    found = probed.looked_up
    if found is None:
        words = probed.look_up_error or "the server does not know the id that it gave"
        return doubtful(
            "probe look-up", words, "`verify` and `undo` need it: check files-path of the profile"
        )
    if found.filename is None or found.filename == probed.sent_name:
        return fine(
            "probe look-up", "the file is there, with its name" if found.filename else "the file is there"
        )
    words = f"sent as {printable(probed.sent_name)!r}, it is there as {printable(found.filename)!r}"
    if not profile.keeps_names:
        return fine("probe look-up", words)
    remedy = 'use a profile of your own with name-alphabet = "portable", or with keeps-names = false'
    return doubtful("probe look-up", words, remedy)


def _listed(probed: Probed) -> Check:
    if probed.in_list is not None:
        return fine("probe list", "shows it")
    words = probed.list_error or "does not show it yet"
    return doubtful(
        "probe list", words, "lists may lag; if it never shows it, use a profile with can-list = false"
    )


def _read_back(probed: Probed) -> Check:
    back = probed.read_back
    remedy = "use a profile of your own with can-read-back = false, or with the purposes for which it is true"
    if back is None or not back.hashes:
        words = probed.read_back_error or (back.reason if back else "") or "it has another length"
        return doubtful("probe content", words, remedy)
    if probed.sha256 not in back.hashes:
        return doubtful("probe content", "it is returned otherwise than it was sent", remedy)
    return fine("probe content", "it is returned as it was sent")


def _deleted(probed: Probed) -> Check:
    if probed.is_deleted:
        return fine("probe delete", "the file is gone")
    words = probed.delete_error or "the server still has the file"
    left = f"{words}; {printable(probed.sent_name)!r} is left there"
    return problem("probe delete", left, "delete it by hand; `undo` would fail, too", ExitStatus.UNFINISHED)
