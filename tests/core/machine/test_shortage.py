"""Which errors are a shortage of this machine, and what to do about each."""

from __future__ import annotations

import errno
import os

import pytest

from bulk_upload.core.machine.shortage import naming_shortage, shortage_in
from bulk_upload.errors import ResourceShortage
from bulk_upload.exit_status import ExitStatus


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "ulimit -n"),
        (OSError(errno.ENFILE, os.strerror(errno.ENFILE)), "fs.file-max"),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "memory"),
        (MemoryError(), "memory"),
    ],
)
def test_a_shortage_names_its_remedy(error: Exception, remedy: str) -> None:
    """Each shortage is an error of our own that says what is short, and may be gone at the next run."""
    with pytest.raises(ResourceShortage) as caught, naming_shortage():
        raise error
    assert caught.value.hint is not None
    assert remedy in f"{caught.value} {caught.value.hint}"
    assert caught.value.exit_status is ExitStatus.UNFINISHED


@pytest.mark.parametrize("error", [RuntimeError("something else"), OSError(errno.ENOENT, "x"), ValueError()])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    """What is no shortage is not called one."""
    assert shortage_in(error) is None
    with pytest.raises(type(error)), naming_shortage():
        raise error
