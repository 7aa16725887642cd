"""What a 4xx means where the profile, or the answer's `x-should-retry`, says more than its status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulk_upload.core.model import InDoubt, Refused, Unavailable
from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import Outcome

RAISE_LIMIT = (
    "nothing was lost; raise the limit of the account, or free some of it, then run the same command again"
)
_CODE_FIELDS = ("code", "type", "status")


def special_refusal(
    status: int,
    headers: Mapping[str, str],
    answer: Mapping[str, Any],
    *,
    reason: str,
    request_id: str | None,
    profile: Profile,
    is_file_id: Callable[[object], bool],
) -> Outcome | None:
    """Return what an answered refusal means by its codes, None where its status says all.

    A final code is about the account: the run stops. A 409 is passing, or names the file that the server has already, as
    the profile says. `x-should-retry` is the header of servers whose SDKs obey it.
    """
    if not 400 <= status < 500 or status in (401, 403):
        return None
    should_retry = headers.get("x-should-retry", "").strip().lower()
    codes = codes_in(answer)
    final = next((one for one in profile.final_codes if one in codes), None)
    if final is not None:
        return Refused(
            http_status=status, reason=_with(reason, final), request_id=request_id, remedy=RAISE_LIMIT
        )
    if status == 429:
        if should_retry == "false":
            return Refused(http_status=status, reason=reason, request_id=request_id, remedy=RAISE_LIMIT)
        return None
    if status == 409 and profile.adopts_from is not None:
        file_id = _at(answer, profile.adopts_from)
        if isinstance(file_id, str) and is_file_id(file_id):
            return InDoubt(
                reason=reason,
                answered=True,
                http_status=status,
                candidate_id=file_id,
                request_id=request_id,
                is_there_already=True,
            )
    if should_retry == "true" or (status == 409 and profile.conflict == "retry"):
        return Unavailable(reason=reason, http_status=status, request_id=request_id)
    return None


def codes_in(answer: Mapping[str, Any]) -> frozenset[str]:
    """Return the codes that an error names, at the top or in the object `error` or `detail`."""
    found = set()
    for one in (answer, answer.get("error"), answer.get("detail")):
        if isinstance(one, dict):
            found |= {value for name in _CODE_FIELDS if isinstance(value := one.get(name), str)}
    return frozenset(found)


def _at(answer: Mapping[str, Any], place: str) -> object:
    """Return what is at a dotted place in an answer, also beneath its `error` or `detail`."""
    for top in (answer, answer.get("error"), answer.get("detail")):
        value: object = top
        for name in place.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _with(reason: str, code: str) -> str:
    return reason if code in reason else f"{reason} ({printable(code)})"
