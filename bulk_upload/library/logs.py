"""The events of a run as records of the standard `logging`, under the logger `bulk_upload`."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from bulk_upload.core.report.log_records import level_of, log_record, logfmt

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.report.log_records import Record

logger = logging.getLogger("bulk_upload")
# Without a handler of the program's own, warnings would be printed by the handler of last resort.
logger.addHandler(logging.NullHandler())

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode


def log(record: Record, clean: Callable[[str], str]) -> None:
    """Log one event, or the end of a run: its name and fields as text, and as values in the attribute `bulk_upload` of the record.

    A record that no handler wants costs one look at the level. `clean` removes secrets from a text.
    """
    level = max(logging.DEBUG, level_of(record))
    if not logger.isEnabledFor(level):
        return
    values = log_record(record, at_utc="", clean=clean)
    text = logfmt(values, _encode).split(maxsplit=1)[1]
    fields = {name: value for name, value in values.items() if name not in ("v", "at", "level")}
    logger.log(level, "%s", text, extra={"bulk_upload": fields})
