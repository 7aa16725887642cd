"""The two ways to judge a line: decoded quickly, and looked at exactly."""

from __future__ import annotations

import json
from typing import Any

from bulk_upload.core.purposes import Purpose
from bulk_upload.core.validation.fast_decoder import NOT_PASSED, LineReader
from bulk_upload.core.validation.line_checker import LineJudge


def assert_ways_agree(purpose: Purpose, value: dict[str, Any], noise: bytes, at: int) -> None:
    """Write a value as a line with `noise` at a byte, and compare what each way finds.

    The quick way may leave a line to the exact one.
    """
    written = json.dumps(value).encode()
    written = written[:at] + noise + written[at:]
    reader = LineReader(purpose.schema)
    judge = LineJudge(purpose, known=())
    exact = judge.examine(written)
    assert judge._looked_at(written) == exact
    for decode in (reader.strict, judge._decode_lenient):
        try:
            complaints = reader.judge(decode(written))
        except NOT_PASSED:
            continue
        assert complaints is None or list(complaints) == exact
