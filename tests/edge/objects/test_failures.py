"""What errors of obstore become: by their texts, as it has them."""

from __future__ import annotations

import pytest

from bulk_upload.edge.objects.failures import source_error

ASKED = "Generic S3 error: Error performing {} in 1ms - {}\n\nDebug source: …"
GET = "GET http://host/bucket/KEY?X=SECRET"


@pytest.mark.parametrize(
    ("text", "reason", "transient", "inaccessible"),
    [
        (
            ASKED.format(
                "PUT http://169.254.169.254/latest/api/token",
                "Server returned non-2xx status code: 403 Forbidden",
            ),
            "no credentials",
            False,
            True,
        ),
        (ASKED.format(GET, "HTTP error: builder error") + "source: BadScheme", "endpoint in", False, True),
        (
            ASKED.format(GET, "Server returned non-2xx status code: 403 Forbidden: <Code>SlowDown</Code>"),
            "(403 SlowDown)",
            False,
            True,
        ),
        (
            ASKED.format(GET, "Server returned non-2xx status code: 301 Moved"),
            "region and endpoint",
            False,
            True,
        ),
        (
            ASKED.format(GET, "Server returned non-2xx status code: 416 Range"),
            "refuses the request",
            False,
            True,
        ),
        (ASKED.format(GET, "Server returned non-2xx status code: 502 Bad"), "fails (502)", True, False),
        (ASKED.format(GET, "HTTP error: error sending request"), "could not be reached", True, False),
        ("HTTP error: … kind: Interrupted … IncompleteBody", "less of the object", True, False),
        ("source: Precondition { path: …", "replaced", True, False),
        ("MissingContentLength", "how long", False, True),
        ("HTTP error … kind: Timeout", "in time", True, False),
        ("anything else SECRET", "could not be understood", True, False),
    ],
)
def test_by_its_text(text: str, reason: str, transient: bool, inaccessible: bool) -> None:
    """Each says what a person can do about it, and whether another try may help; nothing of the text is passed on."""
    error = source_error(RuntimeError(text))
    assert reason in error.reason
    assert (error.transient, error.inaccessible) == (transient, inaccessible)
    assert "SECRET" not in error.reason
    assert "host" not in error.reason
