"""Any status, headers and body: an outcome, and never an exception."""

from __future__ import annotations

import json
from typing import get_args

from hypothesis import example, given
from hypothesis import strategies as st

from bulk_upload.core.api.paging import ListedPage
from bulk_upload.core.api.responses import (
    decipher,
    is_file_id,
    listed_page,
    looked_up_file,
)
from bulk_upload.core.model import (
    Accepted,
    InDoubt,
    Outcome,
    Unavailable,
)
from tests.core.api.answers import FILE_ID, INSANE_IDS, nested, sent

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(INSANE_IDS[:14]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "id",
    "bytes",
    "size_bytes",
    "filename",
    "purpose",
    "created_at",
    "detail",
    "error",
    "message",
    "data",
]
JSON_ANSWERS = st.dictionaries(
    st.sampled_from(FIELDS), JSON_VALUES | st.just(3) | st.just(FILE_ID), max_size=6
)
BODIES = st.binary(max_size=200) | st.builds(
    lambda value: json.dumps(value).encode(), JSON_ANSWERS | JSON_VALUES
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "date", "location", "cf-ray", "x-request-id"]),
    st.text(st.characters(exclude_categories=()), max_size=50)
    | st.sampled_from(["5", "-5", "https://[", "https://a:b@c", "Sun, 06 Nov 1994 08:49:37 GMT"]),
)
STATUSES = st.integers(-10, 1200) | st.sampled_from([200, 201, 204, 302, 401, 403, 429, 500, 503])


@given(STATUSES, HEADERS, BODIES, st.booleans())
@example(400, {}, b'{"detail":[{"loc":[' + nested(980) + b'],"msg":"x"}]}', True)
@example(200, {}, b'{"id":"a","bytes":' + b"9" * 4000 + b"}", True)
def test_decipher_never_raises(status: int, headers: dict[str, str], body: bytes, complete: bool) -> None:
    """Every answer means an outcome, and an outcome claims no more than the body sent allows."""
    outcome = decipher(
        status=status, headers=headers, body=body, sent=sent(complete=complete), now_utc_s=784111777.0
    )
    assert isinstance(outcome, get_args(Outcome))
    success = 200 <= status < 300
    if isinstance(outcome, Accepted):
        assert success
        assert complete
        answer = json.loads(body)
        assert is_file_id(answer["id"])
        assert answer["id"] == outcome.file_id
        assert outcome.size_confirmed <= (3 in (answer.get("bytes"), answer.get("size_bytes")))
    if isinstance(outcome, InDoubt):
        assert complete or success
        assert outcome.candidate_id is None or is_file_id(outcome.candidate_id)
        assert outcome.answered <= (400 <= status < 600)
    if isinstance(outcome, Unavailable):
        assert not complete
    if success:
        assert isinstance(outcome, Accepted | InDoubt)


@given(BODIES)
def test_lists_never_raise(body: bytes) -> None:
    """Any body is a list of files, each with a sane id or none, a single such file, or not an answer."""
    assert all(is_file_id(one.file_id) for one in (listed_page(body) or ListedPage()).files if one.has_id)
    looked_up = looked_up_file(body)
    assert looked_up is None or is_file_id(looked_up.file_id)
