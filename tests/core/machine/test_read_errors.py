"""Which errors of a read may be gone when the file is opened again."""

from __future__ import annotations

import errno
import os

import pytest

from bulk_upload.core.machine.read_errors import is_transient
from bulk_upload.core.machine.shortage import shortage_in

TRANSIENT = (
    "EIO",
    "ESTALE",
    "EAGAIN",
    "ETIMEDOUT",
    "ENODEV",
    "ENXIO",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "ENOTCONN",
)
PERMANENT = ("ENOENT", "EACCES", "EPERM", "EISDIR", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EINVAL", "ENOSYS")
SHORTAGES = ("EMFILE", "ENFILE", "ENOMEM")


def _error(name: str) -> OSError:
    number = getattr(errno, name)
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("name", TRANSIENT)
def test_a_file_system_that_fails_may_be_back(name: str) -> None:
    """Errors of a disk, a mount or a network are not the file's, and none of them is a shortage of this machine."""
    assert is_transient(_error(name))
    assert shortage_in(_error(name)) is None


@pytest.mark.parametrize("name", [*PERMANENT, *SHORTAGES])
def test_errors_of_the_file_or_of_this_machine_are_others(name: str) -> None:
    """What is about the file stays so until somebody changes it, and shortages have a way of their own."""
    assert not is_transient(_error(name))


def test_an_error_without_a_number_is_not_known_to_pass() -> None:
    """A library that raises an OSError of its own may mean anything."""
    assert not is_transient(OSError("it is broken"))
