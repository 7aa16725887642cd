"""Waits for a place of objects as long as it may stand still."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from bulk_upload.core.run.source import SourceError
from bulk_upload.core.text.printable import human_seconds
from bulk_upload.edge.objects.failures import no_answer, source_error

if TYPE_CHECKING:
    from collections.abc import Awaitable

_T = TypeVar("_T")


async def answered(asking: Awaitable[_T], stall_s: float) -> _T:
    """Return what was asked for. Raises SourceError, also after `stall_s`."""
    limit = asyncio.timeout(stall_s)
    try:
        async with limit:
            return await asking
    except TimeoutError as error:
        if limit.expired():
            raise no_answer(human_seconds(stall_s)) from None
        raise source_error(error) from None
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - obstore and fsspec raise what they like
        raise source_error(error) from None
