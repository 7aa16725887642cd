"""What a result says of a file's errors as a whole."""

from __future__ import annotations

import pytest

from bulk_upload.core.model import Fingerprint
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.result import validation_result
from tests.core.data_samples import CHAT, USER, line

ANSWER = {"role": "assistant", "content": "b"}
MODEL = line(CHAT, messages=[USER, ANSWER | {"role": "model"}])
NARRATOR = line(CHAT, messages=[USER, ANSWER | {"role": "narrator-of-old"}])
NO_JSON = b'{"messages": [\n'


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (MODEL, ()),
        (MODEL + NO_JSON, None),
        (NO_JSON + MODEL, None),
        (MODEL + NARRATOR, None),
        (MODEL + NO_JSON * 300, None),
        (line(CHAT), None),
    ],
)
def test_a_conversion_is_named_only_where_it_puts_all_errors_right(
    data: bytes, options: tuple[str, ...] | None
) -> None:
    """A converted file that lacks the records with other errors is no file to send."""
    checker = Checker(CHAT, where="f")
    checker.feed(data)
    checker.finish()
    version = Fingerprint(size=1, mtime_ns=1, inode=1)
    assert validation_result(checker.report(), version, "1").convert == options
