"""What two small files in one request show of a server's call for several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.bundle.answer import BundleAnswer, Lesson
from bulk_upload.core.model import Accepted
from bulk_upload.core.report.doctor_checks import Check, doubtful, fine, problem
from bulk_upload.core.run.records import reason_in
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import quoted
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITHOUT = "run without --bundle"


class ProbedBundle(msgspec.Struct, kw_only=True):
    """What became of two files that were sent in one request: `listed` has the ids by sent name, as the list shows them.

    `left` are names that may still be there.
    """

    sent_names: tuple[str, ...]
    answer: BundleAnswer
    listed: dict[str, str] = msgspec.field(default_factory=dict)
    list_error: str = ""
    left: tuple[str, ...] = ()


def bundle_checks(probed: ProbedBundle) -> Iterator[Check]:
    """Yield what the probe found, step by step."""
    yield _answered(probed)
    yield _listed(probed)
    if probed.left:
        names = ", ".join(quoted(one) for one in probed.left)
        words = f"may still be there: {names}"
        yield problem("probe delete", words, "delete them by hand", ExitStatus.UNFINISHED)
    else:
        yield fine("probe delete", "nothing of it is left")


def _answered(probed: ProbedBundle) -> Check:
    answer, count = probed.answer, len(probed.sent_names)
    accepted_count = sum(isinstance(one, Accepted) for one in answer.outcomes)
    reason = printable(reason_in(answer.outcomes[0]) or "no reason")
    if accepted_count == count:
        return fine(
            "probe bundle", f"{count} files in one request: each is in the answer, with its name and size"
        )
    if answer.lesson is Lesson.UNSERVED:
        return doubtful(
            "probe bundle", f"the server has no such call, or not for this key ({reason})", _WITHOUT
        )
    if accepted_count:
        words = f"only {accepted_count} of {count} files are in the answer with name and size"
        return doubtful("probe bundle", words, f"a run would look up the others each time: {_WITHOUT}")
    remedy = f"a run would try it once, look the files up and send them one by one: {_WITHOUT}"
    return doubtful("probe bundle", f"{count} files in one request: {reason}", remedy)


def _listed(probed: ProbedBundle) -> Check:
    found = len(probed.listed)
    if probed.list_error:
        return doubtful("probe list", probed.list_error, f"a lost answer could not be settled: {_WITHOUT}")
    words = f"shows {found} of the {len(probed.sent_names)} files under their names"
    accepted_any = any(isinstance(one, Accepted) for one in probed.answer.outcomes)
    if accepted_any and found < len(probed.sent_names):
        return doubtful("probe list", words, "lists may lag; if it never shows them, run without --bundle")
    return fine("probe list", words)
