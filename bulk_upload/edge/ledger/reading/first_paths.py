"""One planned file, and one planned object of each store: what shows whether another machine can read a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.run.plan import Step
from bulk_upload.edge.ledger.columns import FINGERPRINT_SQL, to_exact_text, to_fingerprint

if TYPE_CHECKING:
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.edge.ledger.staging import Staging

HOMES_MAX = 16
"""Plans have few buckets; of web servers there may be many, and each is asked."""

# The home of an address is all before the third slash. A file has none, or what looks like one.
_HOME = """
CASE instr(path, x'3A2F2F') WHEN 0 THEN x'' ELSE
substr(path, 1, instr(path, x'3A2F2F') + 2 + instr(substr(path, instr(path, x'3A2F2F') + 3), x'2F')) END
"""
_FIRST = f"""
SELECT path, {FINGERPRINT_SQL}, min(seq) FROM staged
WHERE path IS NOT NULL AND step IN ('{Step.SEND.value}', '{Step.COMPARE.value}')
GROUP BY {_HOME} ORDER BY min(seq) LIMIT {HOMES_MAX}
"""


def first_of_each_home(staging: Staging) -> list[tuple[str, Fingerprint | None]]:
    """Return the path and version of the first file that is to be sent, and those of the first object of each store, of
    the first few. One statement, whatever the plan's size."""
    return [(to_exact_text(row[0]), to_fingerprint(row[1:7])) for row in staging.rows(_FIRST)]
