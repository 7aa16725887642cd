"""What may become of a request to a fake server, and how likely that is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What becomes of one request."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    LOSE_BODY = "lose_body"
    THROTTLE = "throttle"
    THROTTLE_NAMED = "throttle_named"
    BUSY = "busy"
    BUSY_NAMED = "busy_named"
    FAIL_EARLY = "fail_early"
    FAIL_UNSTORED = "fail_unstored"
    FAIL_STORED = "fail_stored"
    LOSE_UNSTORED = "lose_unstored"
    LOSE_STORED = "lose_stored"
    HANG_STORED = "hang_stored"
    BAD_ID = "bad_id"
    OTHER_ID = "other_id"
    CROSSED_ID = "crossed_id"
    OTHER_SIZE = "other_size"
    REJECT = "reject"
    FORBID = "forbid"
    DENY = "deny"
    ASTRAY = "astray"
    REDIRECT = "redirect"
    OTHER_FILE = "other_file"
    ANY_ID = "any_id"
    SUCCESS_ERROR = "success_error"


STORING = frozenset(
    {
        Fate.ACCEPT,
        Fate.FAIL_STORED,
        Fate.LOSE_STORED,
        Fate.HANG_STORED,
        Fate.BAD_ID,
        Fate.OTHER_ID,
        Fate.CROSSED_ID,
        Fate.OTHER_SIZE,
        Fate.OTHER_FILE,
        Fate.ANY_ID,
    }
)
"""The fates that leave a file at the server."""

_FAULTY = tuple(one for one in Fate if one is not Fate.ACCEPT)

EARLY = frozenset({Fate.LOSE_BODY, Fate.FAIL_EARLY})
"""The fates that meet a request before its body is complete, where it has more than one piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How likely each fate is; what is left goes well.

    Args:
        refuse: connection refused.
        lose_body: the connection is lost in the middle of the body.
        throttle: 429 without Retry-After; `throttle_named` with one.
        busy: 503 without Retry-After; `busy_named` with one.
        fail_early: 500 before the body is complete; `fail_unstored` after, with nothing stored.
        fail_stored: 500 though the file is stored.
        lose_unstored: the connection is lost after the body, with nothing stored; `lose_stored` with the file.
        hang_stored: the file is stored and no answer ever comes.
        bad_id: 200 with an id nobody can use.
        other_id: 200 with the id of another file.
        crossed_id: 200 with the id of a file whose own answer is on its way, which then has this one's.
        other_size: 200 with a size that was not sent, while the list shows the right one.
        reject: 400; `forbid` 403, `deny` 401, `astray` 404, `redirect` 307.
        other_file: 200 that describes another file that was just stored; `any_id` with the id of any stored file, and
            else as it should be; `success_error` 200 with an error, and nothing stored.
        list_fails: a page of the list or a look-up gives no usable answer.
    """

    refuse: float = 0.0
    lose_body: float = 0.0
    throttle: float = 0.0
    throttle_named: float = 0.0
    busy: float = 0.0
    busy_named: float = 0.0
    fail_early: float = 0.0
    fail_unstored: float = 0.0
    fail_stored: float = 0.0
    lose_unstored: float = 0.0
    lose_stored: float = 0.0
    hang_stored: float = 0.0
    bad_id: float = 0.0
    other_id: float = 0.0
    crossed_id: float = 0.0
    other_size: float = 0.0
    reject: float = 0.0
    forbid: float = 0.0
    deny: float = 0.0
    astray: float = 0.0
    redirect: float = 0.0
    other_file: float = 0.0
    any_id: float = 0.0
    success_error: float = 0.0
    list_fails: float = 0.0

    def draw(self, chance: float) -> Fate:
        """Return the fate that a random number in [0, 1) stands for."""
        for fate in _FAULTY:
            chance -= getattr(self, fate)
            if chance < 0:
                return fate
        return Fate.ACCEPT
